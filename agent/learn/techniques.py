"""ATT&CK techniques of anomalies, by what the behaviour touches: the most specific one that certainly holds."""

from agent.learn.actor import Behaviour
from detection.baseline.priors import OUTSIDE
from detection.baseline.templates import SHELLS, basename
from detection.finding import Technique

_WRITES = (
    ("/etc/ld.so", Technique("T1574.006", "persistence")),
    ("/cron", Technique("T1053.003", "persistence")),
    ("/.ssh/", Technique("T1098.004", "persistence")),
    ("/etc/systemd/", Technique("T1543.002", "persistence")),
    ("/etc/sudoers", Technique("T1548.003", "privilege-escalation")),
    ("/etc/passwd", Technique("T1136.001", "persistence")),
    ("/etc/shadow", Technique("T1098", "persistence")),
    ("/bin/", Technique("T1554", "persistence")),
    ("/sbin/", Technique("T1554", "persistence")),
)
_READS = (
    ("/etc/shadow", Technique("T1003.008", "credential-access")),
    ("/etc/passwd", Technique("T1087.001", "discovery")),
    ("/secrets/kubernetes.io/", Technique("T1528", "credential-access")),
    ("/.ssh/", Technique("T1552.004", "credential-access")),
    ("/.aws/", Technique("T1552.001", "credential-access")),
    ("/.kube/", Technique("T1552.001", "credential-access")),
    (".key", Technique("T1552.004", "credential-access")),
    ("_history", Technique("T1552.003", "credential-access")),
)
_CALLS = (
    ("ptrace", Technique("T1055.008", "privilege-escalation")),
    ("process_vm_", Technique("T1055", "privilege-escalation")),
    ("init_module", Technique("T1547.006", "persistence")),
    ("bpf", Technique("T1014", "stealth")),
    ("memfd_create", Technique("T1620", "stealth")),
    ("mount", Technique("T1611", "privilege-escalation")),
    ("setns", Technique("T1611", "privilege-escalation")),
    ("unshare", Technique("T1611", "privilege-escalation")),
    ("chroot", Technique("T1611", "privilege-escalation")),
    ("raw socket", Technique("T1095", "command-and-control")),
    ("packet socket", Technique("T1040", "credential-access")),
    ("kill", Technique("T1489", "impact")),
)
_OF_CLASS = {
    "ingress": Technique("T1133", "initial-access"),
    "listen": Technique("T1571", "command-and-control"),
    "credential": Technique("T1548", "privilege-escalation"),
    "capability": Technique("T1548", "privilege-escalation"),
    "call": Technique("T1106", "execution"),
    "read": Technique("T1005", "collection"),
    "write": Technique("T1105", "command-and-control"),
}
_WEB_PORTS = frozenset({"80", "443"})
_REMOTE_SERVICES = frozenset({"22", "445", "3389", "5985"})


def techniques_of(behaviour: Behaviour) -> tuple[Technique, ...]:
    """At least one technique; for a person and for counting distinct tactics, not a verdict."""
    actor, _, deed = behaviour.member.partition(" → ")
    if behaviour.kind == "exec":
        return _exec(actor, deed.partition(" ")[0])
    if behaviour.kind == "egress":
        return _egress(deed)
    table = {"write": _WRITES, "read": _READS, "call": _CALLS}.get(behaviour.kind, ())
    found = next((technique for part, technique in table if part in deed), None)
    return (found or _OF_CLASS[behaviour.kind],)


def _exec(parent: str, name: str) -> tuple[Technique, ...]:
    run = "T1059.004" if basename(name) in SHELLS else "T1059"
    command = (Technique("T1609", "execution"),) if parent == OUTSIDE else ()
    return (*command, Technique(run, "execution"))


def _egress(target: str) -> tuple[Technique, ...]:
    host, _, port = target.rpartition(":")
    if host.endswith("169.254.169.254"):
        return (Technique("T1552.005", "credential-access"),)
    if port in _REMOTE_SERVICES:
        return (Technique("T1021", "lateral-movement"),)
    return (Technique("T1071" if port in _WEB_PORTS else "T1571", "command-and-control"),)
