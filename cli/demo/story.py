"""Does what the collector joined tell the story that was played?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.demo.controlplane import HUMAN
from cli.demo.pods import NAMESPACE
from collector.plain import plain

_OURS = f"k8s/{NAMESPACE}/"
_SERIOUS = ("medium", "high", "critical")
_NEEDED = (("anomalies", 1), ("runtime rules", 3), ("audit rules", 2))


@dataclass(frozen=True, slots=True)
class Quiet:
    """What was raised about the demo's workloads before the intrusion began, and how much elsewhere on the machine."""

    incidents: int
    findings: int  # of medium severity or higher
    titles: tuple[str, ...] = ()  # of these findings
    elsewhere: int = 0  # incidents, whenever they were raised

    def as_dict(self) -> dict[str, int]:
        """As the JSON document has it."""
        return {"incidents": self.incidents, "findings_medium_or_higher": self.findings}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the incident holds, and what the story lacks ("" entries never occur)."""

    incident: Mapping[str, Any] | None
    counts: Mapping[str, int]
    missing: tuple[str, ...]


def quiet_before(
    raised: Iterable[str],
    incidents: Iterable[Mapping[str, Any]],
    findings: Iterable[Mapping[str, Any]],
    began_ns: int,
) -> Quiet:
    """Count what was there before `began_ns`.

    `raised` are the ids of incidents the collector had by then. To them come incidents that end before it, and findings
    of medium severity or higher on events before it, whenever they arrived. An incident raised later may well
    reach back: what the collector knew of the same containers is part of it.
    """
    incidents = list(incidents)
    foreign = {i["id"] for i in incidents if i["findings"] and not any(_is_ours(f) for f in i["findings"])}
    early = {i["id"] for i in incidents if i["last_ns"] < began_ns and not i["superseded_by"]}
    serious = [f for f in findings if f["time_ns"] < began_ns and f["severity"] in _SERIOUS and _is_ours(f)]
    titles = dict.fromkeys(plain(f["title"], 100) for f in serious)
    return Quiet(len((early | set(raised)) - foreign), len(serious), tuple(titles)[:5], len(foreign))


def _is_ours(finding: Mapping[str, Any]) -> bool:
    """Not about a container, service or host that was there before the demo: the audit log is all ours."""
    workloads = [e["id"] for e in finding["entities"] if e["kind"] == "workload"]
    return not workloads or any(w.startswith(_OURS) for w in workloads)


def judge(incidents: Sequence[Mapping[str, Any]], quiet: Quiet) -> Verdict:
    """Hold the largest standing incident of the demo's own workloads against the story."""
    standing = [i for i in incidents if not i["superseded_by"] and any(map(_is_ours, i["findings"]))]
    main = max(standing, key=lambda i: len(i["findings"]), default=None)
    counts = _counts(main) if main else {}
    missing = [
        f"{n} or more {what} in the incident (it has {counts.get(what, 0)})"
        for what, n in _NEEDED
        if counts.get(what, 0) < n
    ]
    if main is None or not _names_the_human(main):
        missing.append(f"{HUMAN}, joined to what the exec started")
    if quiet.incidents or quiet.findings:
        what = "; ".join((f"{quiet.incidents} incidents, {quiet.findings} findings", *quiet.titles))
        missing.append(f"silence before the intrusion ({what})")
    return Verdict(main, counts, tuple(missing))


def _counts(incident: Mapping[str, Any]) -> dict[str, int]:
    def distinct(kind: str, source: str) -> int:
        return len({f["rule"] for f in incident["findings"] if f["kind"] == kind and f["source"].startswith(source)})

    anomalies = sum(f["kind"] == "anomaly" for f in incident["findings"])
    return {
        "anomalies": anomalies,
        "runtime rules": distinct("rule", "runtime"),
        "audit rules": distinct("rule", "kubernetes"),
    }


def _names_the_human(incident: Mapping[str, Any]) -> bool:
    """The person is among the actors, and a join ties a record of theirs to something the kernel saw."""
    theirs = {f["id"] for f in incident["findings"] if any(e["id"] == HUMAN for e in f["entities"])}
    runtime = {f["id"] for f in incident["findings"] if f["source"] == "runtime"}
    ends = [{j["from"], j["to"]} for j in incident["joins"]]
    tied = any(pair & theirs and pair & runtime for pair in ends)
    return tied and any(a["id"] == HUMAN for a in incident["actors"])
