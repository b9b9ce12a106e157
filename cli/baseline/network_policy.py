"""A Kubernetes NetworkPolicy (networking.k8s.io/v1) from what a workload connects to, takes and listens on.

What such a policy cannot say is not left out silently: it comes back as remarks. Peers that are workloads become
selectors of namespace (by kubernetes.io/metadata.name, which Kubernetes sets) and of pods by the label `app_label` with
the controller's name as its value: that is a convention, so it is said, too.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

_EGRESS = re.compile(
    r"^(?P<actor>.*) → (?P<protocol>tcp|udp|sctp|icmp|icmpv6|ip\d+) (?P<host>\[[^\]]*\]|[^ ]*?):(?P<port>\d+|\*)$",
    re.DOTALL,
)
_INGRESS = re.compile(
    r"^(?P<actor>.*) → (?P<protocol>tcp|udp|sctp|icmp|icmpv6|ip\d+) :(?P<port>\d+|\*) from (?P<peer>.*)$", re.DOTALL
)
_LABEL = re.compile(r"^(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
_KINDS = ("deployment", "daemonset", "statefulset", "job", "cronjob", "rollout", "replicaset", "pod")
_NAMESPACE = "kubernetes.io/metadata.name"
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
_LOOPBACK = ("loopback", "localhost")
_DNS = 53


class Owner(NamedTuple):
    """The parts of a workload key of Kubernetes."""

    namespace: str
    kind: str
    name: str


class _Port(NamedTuple):
    protocol: str
    port: int  # 0: any

    def plain(self) -> dict[str, Any]:
        return {"protocol": self.protocol, "port": self.port} if self.port else {"protocol": self.protocol}


class _Terms(NamedTuple):
    """What holds for a whole policy: the label of applications, its namespace, and what has to be said of it."""

    app_label: str
    namespace: str
    remarks: list[str]


@dataclass(slots=True)
class Policy:
    """`document` is the NetworkPolicy; `remarks` what it does not say, or says only by convention."""

    document: dict[str, Any]
    remarks: list[str] = field(default_factory=list)


def owner_of(workload: str) -> Owner | None:
    """k8s/[cluster/]namespace/kind/name/container; None for any other key."""
    parts = workload.split("/")
    if parts[0] != "k8s" or not 5 <= len(parts) <= 6 or parts[-3] not in _KINDS:
        return None
    return Owner(parts[-4], parts[-3], parts[-2])


def policy_of(workload: str, egress: Iterable[str], ingress: Iterable[str], app_label: str) -> Policy:
    """The policy for the pods of `workload`, which is one of Kubernetes. `egress`, `ingress`: members of these classes.

    Raises: ValueError for a workload that is not, or whose names no label can hold.
    """
    owner = owner_of(workload)
    if owner is None:
        raise ValueError("is no workload of Kubernetes; its key would begin with k8s/")
    if not (_LABEL.match(owner.name) and _LABEL.match(owner.namespace)):
        raise ValueError("has a name that no label can hold")
    remarks = [f"pods are chosen by the label {app_label}={owner.name}, a convention: check that they carry it"]
    terms = _Terms(app_label, owner.namespace, remarks)
    out = _rules("egress", egress, terms)
    into = _rules("ingress", ingress, terms)
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {app_label: owner.name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [peer], "ports": ports} if peer else {"ports": ports} for peer, ports in into],
        "egress": [{"to": [peer], "ports": ports} if peer else {"ports": ports} for peer, ports in out],
    }
    metadata = {"name": f"{owner.name.lower()[:54].rstrip('-._')}-baseline", "namespace": owner.namespace}
    document = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return Policy(document, list(dict.fromkeys(remarks)))


def _rules(way: str, members: Iterable[str], terms: _Terms) -> list[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Peers with their ports, in a fixed order; one rule for each peer."""
    found: dict[str, tuple[dict[str, Any] | None, set[_Port]]] = {}
    for member in sorted(members):
        for peer, port in _connections(way, member, terms):
            found.setdefault(repr(peer), (peer, set()))[1].add(port)
    rules = sorted(found.items())
    return [(peer, [port.plain() for port in sorted(ports)]) for _, (peer, ports) in rules]


def _connections(way: str, member: str, terms: _Terms) -> Iterator[tuple[dict[str, Any] | None, _Port]]:
    match = (_EGRESS if way == "egress" else _INGRESS).match(member)
    if match is None:
        if " → unix " not in member:  # unix sockets are no network
            terms.remarks.append(f"{way}: {member!r} is in no form a policy could say")
        return
    protocol = match["protocol"].upper()
    if protocol not in ("TCP", "UDP", "SCTP"):
        terms.remarks.append(f"{way}: {member!r}: policies know TCP, UDP and SCTP only")
        return
    port = _Port(protocol, 0 if match["port"] == "*" else int(match["port"]))
    whom = match["host"] if way == "egress" else match["peer"]
    if port.port == 0:
        terms.remarks.append(f"{way}: {member!r}: no one port, so all {protocol} ports of that peer are allowed")
    if whom in _LOOPBACK or _is_loopback(whom):
        return  # policies do not apply within a pod
    peer = _peer(way, whom, terms)
    if way == "egress" and port.port == _DNS:
        yield _DNS_PEER, port  # as plugins see it that translate a service's address first
    if peer is None and port.port != _DNS:
        terms.remarks.append(f"{way}: {member!r}: a policy cannot name {whom!r}; allowed is any peer on that port")
        yield None, port
    elif peer is not None:
        yield peer, port


_DNS_PEER: dict[str, Any] = {
    "namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


def _peer(way: str, whom: str, terms: _Terms) -> dict[str, Any] | None:
    """A selector or a block for one end of a connection; None where there is no such thing."""
    owner = owner_of(whom)
    if owner is not None and _LABEL.match(owner.name) and _LABEL.match(owner.namespace):
        terms.remarks.append(
            f"peer {whom}: chosen by the label {terms.app_label}={owner.name}, check that its pods carry it"
        )
        return {
            "namespaceSelector": {"matchLabels": {_NAMESPACE: owner.namespace}},
            "podSelector": {"matchLabels": {terms.app_label: owner.name}},
        }
    if whom == "public":
        return {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}}
    if whom == "link-local":
        return {"ipBlock": {"cidr": "169.254.0.0/16"}}
    if way == "egress" and (service := _service_of(whom, terms.namespace)):
        terms.remarks.append(
            f"service {whom}: its pods are taken to carry {terms.app_label}={service.name}: check that"
        )
        return {
            "namespaceSelector": {"matchLabels": {_NAMESPACE: service.namespace}},
            "podSelector": {"matchLabels": {terms.app_label: service.name}},
        }
    return _block(whom, terms.remarks)


def _service_of(whom: str, namespace: str) -> Owner | None:
    """db.shop.svc or db.shop.svc.cluster.local; db and db.shop where shop is the workload's own namespace."""
    labels = whom.rstrip(".").split(".")
    if not all(map(_LABEL.match, labels)) or labels[-1].isdigit():
        return None
    if len(labels) == 1 or labels[1:] == [namespace]:
        return Owner(namespace, "service", labels[0])
    return Owner(labels[1], "service", labels[0]) if len(labels) > 2 and labels[2] == "svc" else None


def _block(whom: str, remarks: list[str]) -> dict[str, Any] | None:
    try:
        network = ip_network(whom.strip("[]"), strict=False)
    except ValueError:
        return None
    if network.num_addresses == 1 and network.is_private:
        remarks.append(f"{network[0]} is an address nobody has a name for: it may be another's tomorrow")
    return {"ipBlock": {"cidr": str(network)}}


def _is_loopback(whom: str) -> bool:
    try:
        return ip_address(whom.strip("[]")).is_loopback
    except ValueError:
        return False
