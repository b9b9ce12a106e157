"""A record of Azure Monitor or Entra as behaviour of its principal."""

from functools import lru_cache

from collector.audit.azure import facts
from collector.audit.origin import MOST, agent_of, hours_of, network_of, template
from collector.audit.record import AuditRecord
from collector.audit.values import mapping, text
from collector.plain import plain
from detection.principals.access import Access, Actor, PrincipalKind

_REFUSED = frozenset({"authorizationfailed", "forbidden", "unauthorized", "403", "401", "failure"})


def access_of(record: AuditRecord) -> Access | None:
    """None where it does not say who acted."""
    raw = record.raw
    properties, target = mapping(raw.get("properties")), facts.resource_of(raw)[:512]
    home = facts.subscription_of(target) or text(raw.get("tenantId"), 64)
    actor = _actor(facts.user_of(raw)[:256], facts.application_of(raw)[:256], home)
    if actor is None:
        return None
    signature = facts.name_of(raw.get("resultSignature")) or facts.name_of(raw.get("resultType"))
    operation = facts.name_of(raw.get("operationName"))[:MOST] or text(raw.get("category"), MOST)
    network, agent = _network(facts.address_of(raw)), agent_of(properties.get("userAgent"))
    app = text(properties.get("appDisplayName"), MOST)
    kind = _kind(target) or template(text(properties.get("resourceDisplayName"), MOST) or app)
    return Access(
        actor,
        _call(operation, signature[:64].partition(".")[0].lower() in _REFUSED),
        kind,
        agent or template(app),
        network,
        template(text(mapping(properties.get("location")).get("countryOrRegion"), 64) or text(raw.get("location"), 64)),
        hours_of(record.time_ns),
    )


@lru_cache(maxsize=16_384)
def _actor(user: str, application: str, home: str) -> Actor | None:
    """A user, or an application where none stands behind it."""
    name = user or application
    if not name:
        return None
    person = bool(user) and "@" in user
    if name.lower().startswith(("microsoft.", "azure ", "windows azure ")):
        return Actor(plain(name, 256), PrincipalKind.SERVICE, plain(home, 64))
    return Actor(plain(name, 256), PrincipalKind.PERSON if person else PrincipalKind.WORKLOAD, plain(home, 64))


@lru_cache(maxsize=16_384)
def _call(operation: str, refused: bool) -> str:
    """ "microsoft.compute:virtualmachines/write"."""
    provider, slash, rest = operation.lower().partition("/")
    text_ = f"{provider}:{rest}" if slash else provider
    return plain(text_[:MOST], MOST) + (" refused" if refused else "")


@lru_cache(maxsize=16_384)
def _kind(resource: str) -> str:
    """The provider's type in a resource's id: "microsoft.compute/virtualmachines"."""
    parts = resource.lower().split("/providers/")[-1].split("/") if "/providers/" in resource.lower() else []
    return plain("/".join(parts[:2]), MOST) if len(parts) > 1 else ""


def _network(address: str) -> str:
    """Sign-ins may carry a port."""
    return network_of(address.partition(":")[0] if address.count(":") == 1 else address)
