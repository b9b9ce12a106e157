"""Behaviour of principals: are false anomalies within the budget, are stolen credentials found, and what does it cost?

`python -m bench principals [WEEKS] [SEEDS]`. Speed is processor time of this process.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import rules
from bench import principal_world as world
from collector.audit import FORMATS, Detector, Format
from collector.audit.record import AuditRecord
from collector.principals import PrincipalWatch
from detection.finding import Severity
from detection.rules import load_compiled

Pair = tuple[Format, AuditRecord]
_SECONDS = 3.0
_LEAVES = {"annotations": {f"part{n}": {"name": f"value-{n}", "list": [n, n + 1]} for n in range(40)}}


@dataclass(frozen=True, slots=True)
class Weeks:
    """One world: alarms (findings above informational that began an episode) and findings by severity, by week."""

    what: str
    seed: int
    alarms: tuple[int, ...]
    loud: tuple[int, ...]  # findings of medium or higher
    quiet: int  # informational ones in all
    records: int


@dataclass(frozen=True, slots=True)
class Caught:
    """What an intrusion raised at most."""

    what: str
    severity: str
    surprise: float
    findings: int


def validate(weeks: int, seeds: int) -> tuple[list[Weeks], list[Caught]]:
    """Worlds of that many weeks, each with the intrusions at its end."""
    lived, caught = [], []
    for seed in range(seeds):
        for what, make, attacks in (("Kubernetes", world.kubernetes, _IN_CLUSTER), ("AWS", world.aws, _IN_ACCOUNT)):
            watch = PrincipalWatch()
            lived.append(_live(what, seed, weeks, make(seed, weeks), watch))
            end = world.BEGIN + weeks * 168
            caught += [_caught(name, watch, attack(end + 24 * n)) for n, (name, attack) in enumerate(attacks.items())]
    return lived, caught


def _live(what: str, seed: int, weeks: int, stream: Iterable[Pair], watch: PrincipalWatch) -> Weeks:
    alarms, loud, quiet, records = [0] * weeks, [0] * weeks, 0, 0
    for form, record in stream:
        records += 1
        found = watch.observe(form, record)
        if found is None:
            continue
        week = (record.time_ns // world.HOUR_NS - world.BEGIN) // 168
        if found.severity <= Severity.INFORMATIONAL:
            quiet += 1
            continue
        state = watch.state(form.source)
        began = sum(p.alarm_ns == record.time_ns for p in state.profiles.values())
        alarms[week] += min(1, began)
        loud[week] += found.severity >= Severity.MEDIUM
    return Weeks(what, seed, tuple(alarms), tuple(loud), quiet, records)


def _caught(what: str, watch: PrincipalWatch, records: Iterable[Pair]) -> Caught:
    found = [f for form, record in records if (f := watch.observe(form, record)) is not None]
    if not found:
        return Caught(what, "nothing", 0.0, 0)
    worst = max(found, key=lambda f: (f.severity, f.surprise))
    return Caught(what, worst.severity.label, worst.surprise, len(found))


def _token(hour: int) -> Iterator[Pair]:
    form, user = FORMATS["kubernetes-audit"], "system:serviceaccount:team-3:sa-3"
    for n, (verb, resource) in enumerate(
        (("create", "selfsubjectrulesreviews"), ("list", "secrets"), ("list", "pods"))
    ):
        yield form, world.k8s_record(hour + 13, n, user, verb, resource, "team-3", "203.0.113.66", "kubectl/v1.30.0")


def _admin_at_night(hour: int) -> Iterator[Pair]:
    form = FORMATS["kubernetes-audit"]
    for n, (verb, resource) in enumerate((("list", "secrets"), ("create", "clusterrolebindings"))):
        user = "admin-2@example.com"
        yield form, world.k8s_record(hour + 2, n, user, verb, resource, "kube-system", "100.200.3.4", "curl/8.5.0")


def _instance(hour: int) -> Iterator[Pair]:
    form, calls = FORMATS["aws-cloudtrail"], (("sts", "GetCallerIdentity"), ("s3", "ListBuckets"), ("iam", "ListUsers"))
    for n, (service, name) in enumerate(calls):
        call = (f"{service}.amazonaws.com", name)
        yield (
            form,
            world.aws_record(hour + 11, n, world.role_of("node-4"), call, "100.200.9.9", "aws-cli/2.9 Python/3.8"),
        )


def _key_at_night(hour: int) -> Iterator[Pair]:
    form = FORMATS["aws-cloudtrail"]
    for n, name in enumerate(("ListSecrets", "GetSecretValue")):
        call = ("secretsmanager.amazonaws.com", name)
        yield form, world.aws_record(hour + 2, n, world.key_of(5), call, "100.201.7.7", "curl/8.5.0")


def _ci_makes_keys(hour: int) -> Iterator[Pair]:
    agent = "Boto3/1.34 Botocore/1.34"
    call = ("iam.amazonaws.com", "CreateAccessKey")
    yield FORMATS["aws-cloudtrail"], world.aws_record(hour + 12, 1, world.role_of("ci-1"), call, "10.8.1.4", agent)


_IN_CLUSTER: dict[str, Callable[[int], Iterator[Pair]]] = {
    "service account's token used from elsewhere with kubectl": _token,
    "admin's certificate used at night to bind a cluster role": _admin_at_night,
}
_IN_ACCOUNT: dict[str, Callable[[int], Iterator[Pair]]] = {
    "instance role's credentials used from outside": _instance,
    "person's key at night, new network and tool, reads secrets": _key_at_night,
    "CI role begins to make access keys": _ci_makes_keys,
}


def speed() -> list[tuple[str, float]]:
    """(what, records a second of one core) on a mixed stream of known behaviour."""
    stream = [pair for make in (world.kubernetes, world.aws) for pair in _sample(make(7, 1))]
    watch, detector = PrincipalWatch(), Detector(load_compiled(rules.audit_rules()), behaviour=PrincipalWatch())
    plain = Detector(load_compiled(rules.audit_rules()))

    def behaviour() -> None:
        for form, record in stream:
            watch.observe(form, record)

    def rate(work: Callable[[], None]) -> float:
        work()
        done, begin = 0, time.process_time()
        while time.process_time() - begin < _SECONDS:
            work()
            done += len(stream)
        return done / (time.process_time() - begin)

    def all_of(one: Detector) -> Callable[[], None]:
        def work() -> None:
            for form, record in stream:
                one.commit(one.detect(form, (record,)))

        return work

    return [
        ("behaviour alone", rate(behaviour)),
        ("rules alone", rate(all_of(plain))),
        ("rules and behaviour", rate(all_of(detector))),
    ]


def _sample(stream: Iterator[Pair]) -> list[Pair]:
    """What one hour shows, again and again as in life, each record as large as real ones are."""
    hours: dict[int, list[Pair]] = {}
    for form, record in islice(stream, 30_000):
        large = replace(record, raw={**record.raw, **_LEAVES})
        hours.setdefault(record.time_ns // world.HOUR_NS, []).append((form, large))
    one = hours[max(hours) - 1]
    return [one[n % len(one)] for n in range(5_000)]


def report(lived: Sequence[Weeks], caught: Sequence[Caught], rates: Sequence[tuple[str, float]]) -> str:
    """Markdown."""
    lines = [
        "| world | seed | records | alarms by week | medium or higher by week | informational |",
        "|---|---|---|---|---|---|",
    ]
    for w in lived:
        alarms, loud = (" ".join(map(str, row)) for row in (w.alarms, w.loud))
        lines.append(f"| {w.what} | {w.seed} | {w.records:,} | {alarms} | {loud} | {w.quiet} |")
    lines += ["", "| intrusion | severity | surprise | of |", "|---|---|---|---|"]
    for what in dict.fromkeys(c.what for c in caught):
        ones = [c for c in caught if c.what == what]
        severities = ", ".join(f"{k} {n}" for k, n in Counter(c.severity for c in ones).most_common())
        lines.append(f"| {what} | {severities} | {min(c.surprise for c in ones):.1f} at least | {len(ones)} |")
    lines += ["", "| what | records/s of one core | µs |", "|---|---|---|"]
    lines += [f"| {what} | {rate:,.0f} | {1e6 / rate:.1f} |" for what, rate in rates]
    return "\n".join(lines)


def main(weeks: int, seeds: int) -> None:
    """Print all of it."""
    print(report(*validate(weeks, seeds), speed()))
