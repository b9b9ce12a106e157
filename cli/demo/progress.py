"""What the demo says while it works: on stderr, quiet, plain lines where nobody watches a terminal."""

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.status import Status
from rich.text import Text


class Progress(Protocol):
    """Where the demo reports to."""

    def begin(self, title: str) -> None:
        """A step starts; the one before is done."""

    def update(self, detail: str) -> None:
        """How far the step is; replaces what was said last."""

    def say(self, line: str) -> None:
        """A line that stays."""


class Silent:
    """Says nothing; remembers titles and lines (for tests)."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, title: str) -> None:
        self.lines.append(title)

    def update(self, detail: str) -> None:
        pass

    def say(self, line: str) -> None:
        self.lines.append(line)


class PlainLines:
    """One line a step, for logs."""

    def begin(self, title: str) -> None:
        print(f"· {title}", file=sys.stderr, flush=True)

    def update(self, detail: str) -> None:
        pass

    def say(self, line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)


class TerminalProgress:
    """A spinner for the step that runs, a tick and its time for each that is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._title = ""
        self._since = 0.0

    def begin(self, title: str) -> None:
        self.end()
        self._title, self._since = title, time.monotonic()
        self._status = self._console.status(Text(title))
        self._status.start()

    def update(self, detail: str) -> None:
        if self._status is not None:
            self._status.update(Text.assemble(self._title, "  ", (detail, "dim")))

    def say(self, line: str) -> None:
        self._console.print(Text(f"  {line}", "dim"), soft_wrap=True)

    def end(self, mark: str = "✓", style: str = "green") -> None:
        """The running step is over; nothing happens if there is none."""
        if self._status is None:
            return
        self._status.stop()
        self._status = None
        took = f"{time.monotonic() - self._since:.1f} s"
        self._console.print(Text.assemble((f"{mark} ", style), self._title, (f"  {took}", "dim")))
