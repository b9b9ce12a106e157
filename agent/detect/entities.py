"""What a finding about an event is about: the entities the collector joins on."""

from ipaddress import ip_address

from agent.detect.changes import source_path
from agent.detect.fields import target_path
from agent.detect.sockets import peer_of
from agent.events import Call, PathChange
from agent.workload import Container, Identified
from detection.finding import Entity, EntityKind, Role


def entities_of(identified: Identified, node: str) -> tuple[Entity, ...]:
    """Process, entry process, container, pod, workload, node, image, account, addresses and file, as far as known."""
    process = identified.process
    found = [Entity(EntityKind.PROCESS, process.exec_id, Role.ACTOR, process.path)]
    if process.entry_id:
        found.append(Entity(EntityKind.PROCESS, process.entry_id, Role.ENTRY, _entry_path(identified)))
    if identified.container is not None:
        found += container_entities(identified.container)
    found.append(Entity(EntityKind.WORKLOAD, identified.workload.key))
    if node:
        found.append(Entity(EntityKind.NODE, node))
    found += _of_event(identified)
    return tuple(found)


def _entry_path(identified: Identified) -> str:
    lineage = (identified.process, *identified.ancestors)
    return next((p.path for p in lineage if p.exec_id == identified.process.entry_id), "")


def container_entities(container: Container) -> list[Entity]:
    """The container, its pod, image, account and addresses, as far as known."""
    found = [Entity(EntityKind.CONTAINER, container.id, Role.ACTOR, container.name)]
    named = f"{container.namespace}/{container.pod_name}" if container.namespace and container.pod_name else ""
    if container.pod_uid or named:
        found.append(Entity(EntityKind.POD, container.pod_uid or named, Role.ACTOR, named))
    if named:
        found.append(Entity(EntityKind.POD_NAME, named))
    if container.image_digest or container.image:
        found.append(Entity(EntityKind.IMAGE, container.image_digest or container.image, Role.ACTOR, container.image))
    if container.namespace and container.service_account:
        found.append(Entity(EntityKind.SERVICE_ACCOUNT, f"{container.namespace}/{container.service_account}"))
    found += [Entity(EntityKind.ADDRESS, a) for a in container.addresses if _joins(a)]
    return found


def _of_event(identified: Identified) -> list[Entity]:
    event = identified.event
    if peer := peer_of(event):
        return [Entity(EntityKind.ADDRESS, peer, Role.PEER)] if _joins(peer) else []
    if isinstance(event, Call):
        return _of_target(identified)
    paths = [target_path(identified)]
    if isinstance(event, PathChange):
        paths.append(source_path(identified, event))
    return [Entity(EntityKind.FILE, path, Role.TARGET) for path in paths if path]


def _of_target(identified: Identified) -> list[Entity]:
    """The process a call was done to, and its container where that is another."""
    target = identified.target
    if target is None:
        return []
    found = [Entity(EntityKind.PROCESS, target.exec_id, Role.TARGET, target.path)]
    if target.container_id and target.container_id != identified.process.container_id:
        found.append(Entity(EntityKind.CONTAINER, target.container_id, Role.TARGET))
    return found


def _joins(address: str) -> bool:
    """Loopback and unspecified addresses name every machine: joining on them would join everything."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified)
