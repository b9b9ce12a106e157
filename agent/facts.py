"""What the host said, kept and played back: the two sides of identify's port to the host."""

import hashlib
from collections.abc import Iterable

import orjson

from agent.identify.files import TooLargeError
from agent.identify.host import Entry, HostFiles
from agent.recording import Fact, RecordingError, State, Verb

_KNOWN = 1 << 18  # answers remembered so as not to write them twice
_PLAYED_BYTES = 512 << 20
_INODE_BYTES = 8
_Key = tuple[Verb, str]


class TappedFiles:
    """A `HostFiles` that passes on another's answers and keeps those that are new; `take` hands them out.

    Between two `take`s a path may be there and then gone. Then what it said is handed out first and its absence with
    the next: a replay, which knows only states, would else never have seen it.
    """

    def __init__(self, files: HostFiles) -> None:
        self._files = files
        self._known: dict[_Key, bytes] = {}
        self._fresh: dict[_Key, Fact] = {}
        self._later: dict[_Key, Fact] = {}

    def read(self, path: str, limit: int, regular: bool = False) -> bytes:
        try:
            data = self._files.read(path, limit, regular)
        except (OSError, ValueError) as error:
            self._failed(Verb.READ, path, error)
            raise
        self._note(Fact(Verb.READ, path, State.SAID, data))
        return data

    def link(self, path: str) -> str:
        try:
            target = self._files.link(path)
        except (OSError, ValueError) as error:
            self._failed(Verb.LINK, path, error)
            raise
        self._note(Fact(Verb.LINK, path, State.SAID, target.encode("utf-8", "replace")))
        return target

    def inode(self, path: str, follow: bool = False) -> int:
        try:
            number = self._files.inode(path, follow)
        except (OSError, ValueError) as error:
            self._failed(Verb.INODE, path, error)
            raise
        self._note(Fact(Verb.INODE, path, State.SAID, number.to_bytes(_INODE_BYTES, "little")))
        return number

    def entries(self, path: str) -> list[Entry]:
        try:
            found = self._files.entries(path)
        except (OSError, ValueError) as error:
            self._failed(Verb.ENTRIES, path, error)
            raise
        self._note(Fact(Verb.ENTRIES, path, State.SAID, orjson.dumps([list(entry) for entry in found])))
        return found

    def note(self, name: str, value: bytes) -> None:
        """Something said that is no file: kept under a name no path has."""
        self._note(Fact(Verb.READ, name, State.SAID, value))

    def take(self) -> list[Fact]:
        """What is new since the last call."""
        facts = list(self._fresh.values())
        self._fresh, self._later = self._later, {}
        return facts

    def _failed(self, verb: Verb, path: str, error: Exception) -> None:
        self._note(Fact(verb, path, State.ABSENT if isinstance(error, OSError) else State.REFUSED, b""))

    def _note(self, fact: Fact) -> None:
        key = (fact.verb, fact.path)
        digest = bytes([fact.state]) + hashlib.blake2b(fact.value, digest_size=8).digest()
        if self._known.get(key) == digest:
            return
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[key] = digest
        before = self._fresh.get(key)
        if fact.state is not State.SAID and before is not None and before.state is State.SAID:
            self._later[key] = fact
        else:
            self._fresh[key] = fact
            self._later.pop(key, None)


class RecordedFiles:
    """A `HostFiles` that says what a recording's host last said. What it was never asked is absent."""

    def __init__(self) -> None:
        self._facts: dict[_Key, Fact] = {}
        self._bytes = 0

    def apply(self, facts: Iterable[Fact]) -> None:
        """The host says this from now on. Raises: RecordingError when it is more than any host says."""
        for fact in facts:
            key = (fact.verb, fact.path)
            before = self._facts.get(key)
            self._bytes += len(fact.value) - (len(before.value) if before else -len(fact.path))
            if self._bytes > _PLAYED_BYTES:
                raise RecordingError(f"the recording's host says more than {_PLAYED_BYTES >> 20} MiB; record less")
            self._facts[key] = fact

    def read(self, path: str, limit: int, regular: bool = False) -> bytes:
        return self._said(Verb.READ, path)[:limit]

    def link(self, path: str) -> str:
        return self._said(Verb.LINK, path).decode("utf-8", "replace")

    def inode(self, path: str, follow: bool = False) -> int:
        return int.from_bytes(self._said(Verb.INODE, path)[:_INODE_BYTES], "little")

    def entries(self, path: str) -> list[Entry]:
        try:
            rows = orjson.loads(self._said(Verb.ENTRIES, path))
            return [Entry(str(name), is_dir is True, int(inode)) for name, is_dir, inode in rows]
        except (ValueError, TypeError) as error:
            raise OSError(f"{path}: the recording's answer cannot be read") from error

    def _said(self, verb: Verb, path: str) -> bytes:
        fact = self._facts.get((verb, path))
        if fact is None or fact.state is State.ABSENT:
            raise FileNotFoundError(path)
        if fact.state is State.REFUSED:
            raise TooLargeError(path)
        return fact.value
