"""ATT&CK techniques of anomalies, by what the behaviour touches: the most specific one that certainly holds."""

from agent.learn.behaviour import EGRESS, EXEC, Behaviour
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
_WEB_PORTS = frozenset({"80", "443"})
_REMOTE_SERVICES = frozenset({"22", "445", "3389", "5985"})


def techniques_of(behaviour: Behaviour) -> tuple[Technique, ...]:
    """At least one technique; for a person and for counting distinct tactics, not a verdict."""
    actor, _, deed = behaviour.member.partition(" → ")
    if behaviour.kind == EXEC:
        return _exec(actor, deed.partition(" ")[0])
    return _egress(deed) if behaviour.kind == EGRESS else _write(deed)


def _exec(parent: str, name: str) -> tuple[Technique, ...]:
    run = "T1059.004" if basename(name) in SHELLS else "T1059"
    command = (Technique("T1609", "execution"),) if parent == OUTSIDE else ()
    return (*command, Technique(run, "execution"))


def _write(path: str) -> tuple[Technique, ...]:
    found = next((technique for part, technique in _WRITES if part in path), None)
    return (found or Technique("T1105", "command-and-control"),)


def _egress(target: str) -> tuple[Technique, ...]:
    host, _, port = target.rpartition(":")
    if host.endswith("169.254.169.254"):
        return (Technique("T1552.005", "credential-access"),)
    if port in _REMOTE_SERVICES:
        return (Technique("T1021", "lateral-movement"),)
    return (Technique("T1071" if port in _WEB_PORTS else "T1571", "command-and-control"),)
