"""Members that are files: when many of one kind lie in one place, the place is the behaviour.

A folded member covers what lies below it: "app → /srv/data/*.jpg" the files of that kind in the directory,
"app → /srv/data/**/*.jpg" also those of all directories below, "app → /usr/lib/**" everything there. The kind of a
file is its extension, so that a first script among a thousand pictures is still a first.

Where a single name makes the difference nothing is folded; the class says where that is (`Exact`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Exact = Callable[[str], bool]
"""Whether a path lies where single names matter."""

FILES = 8  # of one kind in one directory
_FEW = 4  # of those deleted or made: clearing a tree away is one deed
DIRECTORIES = 12  # with files of one kind in one directory
_LEAST_DEPTH = 2  # components of a directory that may stand for all below it
_MOST_ANCESTORS = 16
_ARROW = " → "
_TREE_DEEDS = (" delete ", " mkdir ")  # of which a file's kind says nothing


class Place(NamedTuple):
    """A member that is a file: `before` is all of its name up to the path, `kind` ".jpg" or ""."""

    before: str
    directory: str
    leaf: str
    kind: str

    @property
    def path(self) -> str:
        """The file's path."""
        return f"{self.directory}/{self.leaf}"

    @property
    def is_folded(self) -> bool:
        """Whether it stands for many files: a star of a file's own name is written [*]."""
        return self.leaf.startswith("*")


def place_of(name: str) -> Place | None:
    """The parts of a member that is a file; None for any other."""
    arrow = name.find(_ARROW)
    slash = name.find("/", arrow + len(_ARROW)) if arrow >= 0 else -1
    if slash < 0 or name[slash - 1] != " ":
        return None
    directory, _, leaf = name[slash:].rpartition("/")
    before = name[:slash]
    return Place(before, directory, leaf, "" if before.endswith(_TREE_DEEDS) else _kind(leaf))


def _kind(leaf: str) -> str:
    stem, dot, extension = leaf.rpartition(".")
    usual = stem and 0 < len(extension) <= 8 and extension.isalnum() and not extension[0].isdigit()
    return f"{dot}{extension}" if usual else ""


def covers(name: str, is_exact: Exact) -> Iterator[str]:
    """Names of the folded members that would cover this one, narrowest first."""
    place = place_of(name)
    if place is None or is_exact(place.path):
        return
    yield f"{place.before}{place.directory}/*{place.kind}"
    directory = place.directory
    for _ in range(_MOST_ANCESTORS):
        if not directory:
            return
        yield f"{place.before}{directory}/**/*{place.kind}"
        yield f"{place.before}{directory}/**"
        directory = directory.rpartition("/")[0]


def files_of_a_kind(name: str, siblings: Iterable[tuple[int, str]], is_exact: Exact) -> tuple[str, list[int]] | None:
    """What the files of one directory fold into, and which rows; None while they are few.

    `siblings`: row and name of the members in that directory, the new one `name` among them.
    """
    place = place_of(name)
    if place is None or place.is_folded or is_exact(place.path):
        return None
    of_tree = place.before.endswith(_TREE_DEEDS)
    leaves = ((row, other[other.rfind("/") + 1 :]) for row, other in siblings)
    rows = [row for row, leaf in leaves if leaf[:1] != "*" and (of_tree or _kind(leaf) == place.kind)]
    enough = len(rows) >= (_FEW if of_tree else FILES)
    return (f"{place.before}{place.directory}/*{place.kind}", rows) if enough else None


def deepest_crowd(members: Iterable[tuple[int, str]], is_exact: Exact) -> tuple[str, list[int]] | None:
    """The deepest directory in which many directories hold files of one kind: what they fold into, and which rows."""
    crowds: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    rows: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row, name in members:
        place = place_of(name)
        if place is None or place.leaf == "**" or is_exact(place.path):
            continue
        directory = place.directory.removesuffix("/**")
        for _ in range(_MOST_ANCESTORS):
            parent, _, child = directory.rpartition("/")
            if parent.count("/") < _LEAST_DEPTH:
                break
            key = (place.before, parent, place.kind)
            crowds[key].add(child)
            rows[key].append(row)
            directory = parent
    crowded = [key for key, children in crowds.items() if len(children) >= DIRECTORIES]
    if not crowded:
        return None
    best = max(crowded, key=lambda key: (key[1].count("/"), key))
    before, directory, kind = best
    return f"{before}{directory}/**/*{kind}", rows[best]
