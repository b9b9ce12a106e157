"""Common Event Format, version 0 (ArcSight Common Event Format implementation standard, rev. 26): one line of text."""

from collector.incident import Incident
from collector.publish.sinks.formats.facts import VENDOR, VERSION, Facts, first_last, sentence, techniques_of
from collector.publish.sinks.port import Subject
from detection.finding import EntityKind, Finding

_SEVERITY = {1: 1, 2: 3, 3: 5, 4: 8, 5: 10}
_LONG = 1023  # the standard's bound for most texts
_LINES = str.maketrans({"\r": " ", "\n": " ", "\x00": " "})


def cef(subject: Subject) -> bytes:
    """`CEF:0|…|key=value key=value`, UTF-8, without a line's end."""
    code = subject.rule_id if isinstance(subject, Finding) else "incident"
    head = ("CEF:0", VENDOR, VENDOR, VERSION, code, subject.title, str(_SEVERITY[int(subject.severity)]))
    text = "|".join([head[0], *(_header(part) for part in head[1:])])
    values = {**_common(subject), **_from_finding(subject)}
    extension = " ".join(f"{key}={_value(value)}" for key, value in values.items() if value not in ("", None))
    return f"{text}|{extension}".encode(errors="replace")


def _common(subject: Subject) -> dict[str, str | int | None]:
    first, last = first_last(subject)
    techniques = techniques_of(subject)
    incident = isinstance(subject, Incident)
    return {
        "rt": last // 10**6,
        "start": first // 10**6,
        "end": last // 10**6,
        "externalId": subject.id,
        "cat": "incident" if isinstance(subject, Incident) else subject.source.value,
        "cnt": len(subject.findings) if isinstance(subject, Incident) else subject.count,
        "msg": sentence(subject),
        **_labelled(1, "techniques", ",".join(dict.fromkeys(t for t, _ in techniques))),
        **_labelled(2, "tactics", ",".join(dict.fromkeys(t for _, t in techniques))),
        **_labelled(6, "incident" if incident else "advice", _extra(subject)),
    }


def _extra(subject: Subject) -> str:
    if isinstance(subject, Finding):
        return subject.advice
    merged = f", now part of {subject.superseded_by}" if subject.superseded_by else ""
    return f"revision {subject.revision}, score {subject.score:.0f}{merged}"


def _from_finding(subject: Subject) -> dict[str, str | int | None]:
    """What one finding tells; of an incident the most severe, latest."""
    finding = subject if isinstance(subject, Finding) else max(subject.findings, key=lambda f: (f.severity, f.time_ns))
    facts = Facts(finding)
    program = facts.program
    namespace, pod = facts.pod
    return {
        "dvchost": facts.node,
        "suser": facts.user,
        "src": facts.source_ip if ":" not in facts.source_ip else "",
        "dst": facts.peer_ip if ":" not in facts.peer_ip else "",
        "c6a2": facts.source_ip if ":" in facts.source_ip else "",
        "c6a2Label": "Source IPv6 Address" if ":" in facts.source_ip else "",
        "c6a3": facts.peer_ip if ":" in facts.peer_ip else "",
        "c6a3Label": "Destination IPv6 Address" if ":" in facts.peer_ip else "",
        "dpt": facts.peer_port,
        "dhost": facts.domain,
        "sproc": program.path if program is not None else "",
        "spid": program.pid if program is not None else None,
        "filePath": facts.file,
        "act": facts.operation,
        **_labelled(3, "pod", f"{namespace}/{pod}" if pod else ""),
        **_labelled(4, "container", facts.id(EntityKind.CONTAINER)),
        **_labelled(5, "command", program.command if program is not None else ""),
    }


def _labelled(number: int, label: str, value: str) -> dict[str, str | int | None]:
    return {f"cs{number}": value, f"cs{number}Label": label} if value else {}


def _header(text: str) -> str:
    """Header fields: backslash and pipe are escaped, lines are not allowed."""
    return text.translate(_LINES)[:512].replace("\\", "\\\\").replace("|", "\\|")


def _value(value: str | int | None) -> str:
    """Extension values: backslash, equals sign and lines are escaped."""
    cut = str(value)[:_LONG].replace("\\", "\\\\").replace("=", "\\=")
    return cut.replace("\r", "\\r").replace("\n", "\\n").replace("\x00", " ")
