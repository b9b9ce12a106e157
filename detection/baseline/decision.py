"""What people decided about a workload: what is normal, what never is, and whether anything more may be learned.

The plain form is that of a baseline file:

    workload: k8s/shop/deployment/web/web
    version: sha256:…            # optional; without it the decisions hold for every version
    lock: true                   # optional; in the classes below nothing but what is accepted is normal
    accepted:
      exec: ["/bin/httpd → /bin/cgi *"]
      exec/startup: ["/bin/sh → /bin/httpd -D *"]
    condemned:
      egress: ["/bin/httpd → 169.254.169.254:80"]

Parsing is strict: an unknown field is an error, not a comment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from detection.baseline.folding import Exact, covers
from detection.baseline.keys import ClassKey
from detection.baseline.merge import Approved
from detection.baseline.templates import read_is_exact, write_is_exact
from detection.errors import DetectionError

MAX_MEMBERS = 20_000  # of one file
MAX_NAME = 4096
MAX_KEY = 1024
_FIELDS = ("workload", "version", "lock", "accepted", "condemned")
_NOTHING: frozenset[str] = frozenset()
_FOLDED: dict[str, Exact] = {"write": write_is_exact, "read": read_is_exact}

Path = tuple[str | int, ...]


class DecisionError(DetectionError):
    """Plain data that is no baseline file; `path` leads to the part that is wrong, from the top down."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{dotted(path)}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions about one workload; `version` "" holds for all. Class names are the text form of a class key."""

    workload: str
    version: str = ""
    lock: bool = False
    accepted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    condemned: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is decided."""
        return self.lock or bool(self.accepted or self.condemned)

    def accepts(self, key: ClassKey | str, member: str) -> bool:
        """Whether people called it normal."""
        return _covered(str(key), member, self.accepted)

    def condemns(self, key: ClassKey | str, member: str) -> bool:
        """Whether people said that it never is."""
        return _covered(str(key), member, self.condemned)

    def locks(self, key: ClassKey | str) -> bool:
        """Whether this class holds only what is accepted: it must be named, if only with an empty list."""
        return self.lock and str(key) in self.accepted

    def changed(
        self,
        accept: Mapping[str, Iterable[str]] | None = None,
        condemn: Mapping[str, Iterable[str]] | None = None,
        remove: Mapping[str, Iterable[str]] | None = None,
        lock: bool | None = None,
    ) -> "Decisions":
        """With these added or taken back; the later word on a member holds. Raises: DecisionError."""
        add, against, back = accept or {}, condemn or {}, remove or {}
        accepted = _with(_less(_less(self.accepted, back), against), add)
        condemned = _with(_less(_less(self.condemned, back), add), against)
        plain = {"workload": self.workload, "version": self.version, "lock": self.lock if lock is None else lock}
        return parse({**plain, "accepted": _lists(accepted), "condemned": _lists(condemned)})


def parse(document: Any) -> Decisions:
    """Decisions from the plain form. Raises: DecisionError, which says where."""
    if not isinstance(document, dict):
        raise DecisionError((), f"a baseline file is a mapping with {', '.join(_FIELDS)}; found {_kind(document)}")
    for name in document:
        if name not in _FIELDS:
            raise DecisionError((name,), f"no such field; there are {', '.join(_FIELDS)}")
    accepted, condemned = (_classes(document.get(name), name) for name in ("accepted", "condemned"))
    for behaviour, members in condemned.items():
        both = sorted(members & accepted.get(behaviour, _NOTHING))
        if both:
            raise DecisionError(("condemned", behaviour), f"{both[0][:200]!r} is accepted too; decide for one")
    if sum(len(m) for m in (*accepted.values(), *condemned.values())) > MAX_MEMBERS:
        raise DecisionError((), f"more than {MAX_MEMBERS} members; split them by version or let some go")
    return Decisions(
        workload=_text(document.get("workload"), ("workload",), MAX_KEY),
        version=_text(document.get("version", ""), ("version",), MAX_KEY, empty=True),
        lock=_truth(document.get("lock", False), ("lock",)),
        accepted=accepted,
        condemned=condemned,
    )


def to_plain(decisions: Decisions) -> dict[str, Any]:
    """The plain form, sorted, without what is empty: `parse` gives the same decisions back."""
    plain: dict[str, Any] = {"workload": decisions.workload}
    if decisions.version:
        plain["version"] = decisions.version
    if decisions.lock:
        plain["lock"] = True
    for name, classes in (("accepted", decisions.accepted), ("condemned", decisions.condemned)):
        if classes:
            plain[name] = _lists(classes)
    return plain


class DecisionBook:
    """Decisions about many workloads, and what holds for one version of one."""

    def __init__(self, decided: Iterable[Decisions] = ()) -> None:
        self._by_workload: dict[str, list[Decisions]] = {}
        self._found: dict[tuple[str, str], Decisions | None] = {}
        for one in decided:
            self._by_workload.setdefault(one.workload, []).append(one)

    def of(self, workload: str, version: str) -> Decisions | None:
        """All that applies, as one; None where nothing was decided."""
        if workload not in self._by_workload:
            return None
        key = (workload, version)
        if key not in self._found:
            self._found[key] = combined(self._by_workload[workload], workload, version) or None
        return self._found[key]


def combined(decided: Iterable[Decisions], workload: str, version: str) -> Decisions:
    """What holds for one version, of all decisions about its workload: a condemnation outweighs any acceptance."""
    accepted: dict[str, frozenset[str]] = {}
    condemned: dict[str, frozenset[str]] = {}
    lock = False
    for one in decided:
        if one.workload != workload or one.version not in ("", version):
            continue
        lock |= one.lock
        accepted = _with(accepted, one.accepted)
        condemned = _with(condemned, one.condemned)
    return Decisions(workload, version, lock, _less(accepted, condemned, keep=True), condemned)


def _covered(key: str, member: str, classes: Mapping[str, frozenset[str]]) -> bool:
    """Whether a member is named, or is below a directory that is ("app → /srv/*.jpg")."""
    named = classes.get(key, _NOTHING)
    if not named or member in named:
        return bool(named)
    exact = _FOLDED.get(key.partition("/")[0])
    return exact is not None and any(wider in named for wider in covers(member, exact))


def approved(decisions: Decisions) -> dict[str, Approved]:
    """The same by class, as `merge.total` takes it."""
    names = sorted({*decisions.accepted, *decisions.condemned})
    return {n: Approved(decisions.accepted.get(n, _NOTHING), decisions.condemned.get(n, _NOTHING)) for n in names}


def dotted(path: Path) -> str:
    """accepted.exec[3], fit for a message."""
    text = ""
    for part in path:
        step = f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
        text += "".join(c if c.isprintable() else "?" for c in step[:100])
    return text


def _classes(value: Any, name: str) -> dict[str, frozenset[str]]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DecisionError((name,), f"expected classes with lists of members, found {_kind(value)}")
    return {_class_name(key, name): _members(members, (name, key)) for key, members in value.items()}


def _class_name(key: Any, name: str) -> str:
    try:
        return str(ClassKey.parse(_text(key, (name,), 64)))
    except ValueError as error:
        raise DecisionError((name, key), f"no such class of behaviour: {error}") from error


def _members(value: Any, path: Path) -> frozenset[str]:
    if not isinstance(value, list):
        raise DecisionError(path, f"expected a list of members, found {_kind(value)}")
    return frozenset(_text(item, (*path, position), MAX_NAME) for position, item in enumerate(value))


def _text(value: Any, path: Path, limit: int, *, empty: bool = False) -> str:
    if not isinstance(value, str) or (not value and not empty):
        raise DecisionError(path, f"expected text, found {_kind(value)}")
    if len(value) > limit:
        raise DecisionError(path, f"{len(value)} characters; at most {limit} are taken")
    if limit == MAX_KEY and not value.isprintable():
        raise DecisionError(path, "holds characters that cannot be seen")
    return value


def _truth(value: Any, path: Path) -> bool:
    if not isinstance(value, bool):
        raise DecisionError(path, f"expected true or false, found {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    return "nothing" if value is None or value == "" else type(value).__name__


def _with(classes: Mapping[str, frozenset[str]], more: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {n: classes.get(n, _NOTHING) | frozenset(more.get(n, ())) for n in sorted({*classes, *more})}


def _less(
    classes: Mapping[str, frozenset[str]], fewer: Mapping[str, Iterable[str]], *, keep: bool = False
) -> dict[str, frozenset[str]]:
    """Without these; a class that is emptied by it goes, unless it is kept."""
    left = {n: members - frozenset(fewer.get(n, ())) for n, members in classes.items()}
    return {n: members for n, members in left.items() if members or keep or not classes[n]}


def _lists(classes: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {name: sorted(members) for name, members in sorted(classes.items())}
