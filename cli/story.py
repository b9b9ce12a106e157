"""An incident as steps a person can follow: findings about one act become one step, alike steps in a row one line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collector.plain import plain

_ORDER = {"critical": 5, "high": 4, "medium": 3, "low": 2, "informational": 1}
_PLACES = ("pod_name", "pod", "container", "node")
_PRINCIPALS = ("user", "service_account")
_OBJECTS = ("TargetFilename", "DestinationIp")
_COMMANDS = 8


@dataclass(slots=True)
class Step:
    """One act: what one process did, or one audit event. `numbers` are places in the incident's findings, from 1."""

    time_ns: int
    key: str
    place: str
    numbers: list[int] = field(default_factory=list)
    findings: list[Mapping[str, Any]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def severity(self) -> str:
        """The worst of its findings."""
        return max((str(f["severity"]) for f in self.findings), key=lambda s: _ORDER.get(s, 0))

    @property
    def weight(self) -> int:
        """How much it matters: severity first, then how many agree."""
        return _ORDER.get(self.severity, 0) * 100 + len(self.findings)

    @property
    def headline(self) -> str:
        """Title of the worst rule, or that it was new where only the baseline spoke."""
        rules = [f for f in self.findings if f["kind"] == "rule"]
        if not rules:
            return "Never seen of this workload"
        return plain(max(rules, key=lambda f: _ORDER.get(f["severity"], 0))["title"], 120)

    @property
    def objects(self) -> list[str]:
        """Files and addresses it touched."""
        found = (_object(f["fields"]) for f in self.findings)
        return list(dict.fromkeys(o for o in found if o))

    @property
    def surprise(self) -> float:
        """−log10 of the chance of its most surprising anomaly; 0 without one."""
        return max((f["surprise"] for f in self.findings), default=0.0)

    @property
    def lossy(self) -> bool:
        """Events were lost around that time."""
        return any(f["lossy"] for f in self.findings)


def steps_of(findings: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Findings, in order of time, as steps in order of time."""
    return list(_fold(_acts(findings)))


def most_telling(steps: Sequence[Step], limit: int) -> list[Step]:
    """At most `limit` steps in order of time: the first of each headline before its repetitions, the worst first."""
    first = {step.headline: step for step in reversed(steps)}
    ranked = sorted(steps, key=lambda s: (first[s.headline] is not s, -s.weight))
    kept = {id(step) for step in ranked[:limit]}
    return [step for step in steps if id(step) in kept]


def _acts(findings: Sequence[Mapping[str, Any]]) -> list[Step]:
    acts: dict[str, Step] = {}
    for number, finding in enumerate(findings, 1):
        key = _key(finding)
        act = acts.setdefault(key, Step(finding["time_ns"], key, _place(finding)))
        act.numbers.append(number)
        act.findings.append(finding)
        command = plain(_command(finding), 160)
        if command and command not in act.commands:
            act.commands.append(command)
    return list(acts.values())


def _fold(acts: Sequence[Step]) -> Iterator[Step]:
    """Acts in a row with one headline, place and severity are one step."""
    held: Step | None = None
    for act in acts:
        if held is not None and (held.headline, held.place) == (act.headline, act.place):
            held.numbers += act.numbers
            held.findings += act.findings
            held.commands += [c for c in act.commands if c not in held.commands]
            continue
        if held is not None:
            yield held
        held = act
    if held is not None:
        yield held


def _key(finding: Mapping[str, Any]) -> str:
    for kind in ("audit_event", "process"):
        for entity in finding["entities"]:
            if entity["kind"] == kind and entity["role"] == "actor":
                return f"{kind}:{entity['id']}"
    return f"finding:{finding['id']}"


def _place(finding: Mapping[str, Any]) -> str:
    for kind in _PLACES:
        for entity in finding["entities"]:
            if entity["kind"] == kind:
                return plain(entity["name"] or entity["id"], 64)
    return ""


def _command(finding: Mapping[str, Any]) -> str:
    """The command line, or the API call and who made it."""
    fields = finding["fields"]
    if fields.get("CommandLine"):
        return str(fields["CommandLine"])
    if not fields.get("verb"):
        return str(fields.get("Image", ""))
    what = _joined("/", fields, "objectRef.resource", "objectRef.subresource")
    where = _joined("/", fields, "objectRef.namespace", "objectRef.name")
    who = next((e["name"] or e["id"] for e in finding["entities"] if e["kind"] in _PRINCIPALS), "somebody")
    return f"{who}: {fields['verb']} {what} {where}".rstrip()


def _joined(mark: str, fields: Mapping[str, Any], *names: str) -> str:
    return mark.join(str(fields[name]) for name in names if fields.get(name))


def _object(fields: Mapping[str, Any]) -> str:
    name = next((n for n in _OBJECTS if fields.get(n)), "")
    if not name:
        return ""
    port = fields.get("DestinationPort", "") if name == "DestinationIp" else ""
    return plain(f"{fields[name]}:{port}" if port else fields[name], 100)


def commands_line(step: Step) -> str:
    """Its commands in one line."""
    shown = " ; ".join(step.commands[:_COMMANDS])
    more = len(step.commands) - _COMMANDS
    return shown + (f" ; … {more} more" if more > 0 else "")
