"""JSON documents of any size, taken apart into the records they carry, with little more than one record in memory."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
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
        self._lists = frozenset(f'"{name}"'.encode() for name in lists)
        self._most = most
        self._rest = bytearray()
        self._seen = 0  # bytes of the rest that were looked at
        self._start = -1  # where in the rest the present record begins; -1: outside of one
        self._depth = 0
        self._items = 0  # the depth at which records begin
        self._word = b""  # the last text directly in a top-level object
        self._dropping = False
        self.taken = self.too_long = self.stray = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The records that are whole now. To be read to its end before the next call."""
        self._rest += data
        self.taken += len(data)
        for match in _TOKEN.finditer(self._rest, self._seen):
            token = match[0]
            if token == b'"':
                break  # a text that goes on in the next piece
            if self._depth == 0:
                self._note_stray(self._seen, match.start())
            self._seen = match.end()
            if token in b"{[":
                self._enter(token, match.start())
            elif token in b"}]":
                record = self._leave(match.end())
                if record is not None:
                    yield record
            elif self._depth == 1:
                self._word = token
        self._forget()

    def end(self) -> bool:
        """No more comes: was the last document whole?"""
        if self._depth == 0:
            self._note_stray(self._seen, len(self._rest))
        return self._depth == 0 and self._start < 0 and not self._dropping

    def _enter(self, bracket: bytes, at: int) -> None:
        if self._depth == 0 and bracket == b"[":
            self._items = 1
        elif self._depth == 1 and self._items == 0 and bracket == b"[" and self._word in self._lists:
            self._items, self._start, self._dropping = 2, -1, False
        elif self._depth == self._items:
            self._start, self._dropping = at, False
        self._depth += 1

    def _leave(self, end: int) -> bytes | None:
        self._depth = max(0, self._depth - 1)
        record = None
        if self._start >= 0 and self._depth == self._items:
            record = None if self._dropping else bytes(self._rest[self._start : end])
            self._start, self._dropping = -1, False
        elif self._depth < self._items:
            self._items = _TAIL
        if self._depth == 0:
            self._items, self._word = 0, b""
        return record

    def _note_stray(self, start: int, end: int) -> None:
        self.stray += len(bytes(self._rest[start:end]).strip(_BETWEEN))

    def _forget(self) -> None:
        """Let go of what is done, and of what has grown too long."""
        overlong = len(self._rest) - self._seen > self._most  # a text without end, as far as we see
        if self._start >= 0 and (overlong or len(self._rest) - self._start > self._most):
            self.too_long += not self._dropping
            self._start, self._dropping = self._seen, True
        if overlong:  # it goes on as the same text, without its beginning
            escaped = (len(self._rest) - len(self._rest.rstrip(b"\\"))) % 2
            self._rest[self._seen :] = b'"' + b"\\" * escaped
        done = self._start if self._start >= 0 else self._seen
        del self._rest[:done]
        self._seen -= done
        self._start = 0 if self._start >= 0 else -1
