"""JSON documents of any size, taken apart into the records they carry, with little more than one record in memory."""

import re
from collections.abc import Iterator

# Everything up to a bracket that stands in no text; possessive, so that each byte is looked at once.
_SKIP = rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+'
_TO_BRACKET = re.compile(_SKIP + rb"[{}\[\]]", re.DOTALL)
_SKIPPED = re.compile(_SKIP, re.DOTALL)
_NAME = re.compile(rb'"([^"\\]{1,64})"\s*:\s*$')
_BETWEEN = b" \t\r\n,"
_TAIL = 1 << 30  # behind an envelope's list: no depth is a record's
MOST_ITEM = 4 * 1024 * 1024


class Splitter:
    """Bytes in, the text of each record out, in order. Sans-I/O.

    A record is a top-level object, an item of a top-level list, or an item of the list a top-level object carries
    under one of `lists`; documents may follow one another with or without space between. Texts are not judged:
    whoever decodes them finds the bad ones. A record longer than `most` is dropped and counted in `too_long`; `stray`
    counts bytes between documents, `taken` all that came.
    """

    def __init__(self, lists: tuple[str, ...], most: int = MOST_ITEM) -> None:
        self._lists = frozenset(name.encode() for name in lists)
        self._most = most
        self._rest = bytearray()
        self._seen = 0  # bytes of the rest that were looked at
        self._start = -1  # where in the rest the present record begins; -1: outside of one
        self._depth = 0
        self._items = 0  # the depth at which records begin
        self._dropping = False
        self.taken = self.too_long = self.stray = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The records that are whole now. To be read to its end before the next call."""
        self._rest += data
        self.taken += len(data)
        while (match := _TO_BRACKET.match(self._rest, self._seen)) is not None:
            at = match.end() - 1
            if self._depth == 0:
                self._note_stray(self._seen, at)
            if self._rest[at] in b"{[":
                self._enter(at)
            else:
                record = self._leave(at + 1)
                if record is not None:
                    yield record
            self._seen = at + 1
        self._forget()

    def end(self) -> bool:
        """No more comes: was the last document whole?"""
        if self._depth == 0:
            self._note_stray(self._seen, len(self._rest))
        return self._depth == 0 and self._start < 0 and not self._dropping

    def _enter(self, at: int) -> None:
        is_list = self._rest[at : at + 1] == b"["
        if self._depth == 0 and is_list:
            self._items = 1
        elif self._depth == 1 and self._items == 0 and is_list and self._is_named(at):
            self._items, self._start, self._dropping = 2, -1, False
        elif self._depth == self._items:
            self._start, self._dropping = at, False
        self._depth += 1

    def _is_named(self, at: int) -> bool:
        """Does the list that begins here stand under one of the names?"""
        name = _NAME.search(self._rest, max(self._seen, at - 96), at)
        return name is not None and name[1] in self._lists

    def _leave(self, end: int) -> bytes | None:
        self._depth = max(0, self._depth - 1)
        record = None
        if self._start >= 0 and self._depth == self._items:
            record = None if self._dropping else bytes(self._rest[self._start : end])
            self._start, self._dropping = -1, False
        elif self._depth < self._items:
            self._items = _TAIL
        if self._depth == 0:
            self._items = 0
        return record

    def _note_stray(self, start: int, end: int) -> None:
        self.stray += len(bytes(self._rest[start:end]).strip(_BETWEEN))

    def _forget(self) -> None:
        """Let go of what is done, and of what has grown too long."""
        overlong = len(self._rest) - self._seen > self._most  # a text without end, as far as we see
        if overlong:
            self._cut_text()
        if self._start >= 0 and (overlong or len(self._rest) - self._start > self._most):
            self.too_long += not self._dropping
            self._start, self._dropping = self._seen, True
        done = self._start if self._start >= 0 else self._seen
        del self._rest[:done]
        self._seen -= done
        self._start = 0 if self._start >= 0 else -1

    def _cut_text(self) -> None:
        """Let go of what was skipped, and of the beginning of the text that goes on, if one does."""
        skipped = _SKIPPED.match(self._rest, self._seen)
        at = skipped.end() if skipped is not None else self._seen
        if at < len(self._rest):  # at the quote of a text without an end so far
            escaped = (len(self._rest) - len(self._rest.rstrip(b"\\"))) % 2
            self._rest[at:] = b'"' + b"\\" * escaped
        self._seen = at
