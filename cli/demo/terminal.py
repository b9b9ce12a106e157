"""A hands-on session: a shell started in a container through `ctr task exec --tty`, typed into by a program."""

import os
import pty
import secrets
import select
import subprocess
import time
from types import TracebackType
from typing import Self

from cli.demo.errors import DemoError
from cli.demo.runtime import Runtime

_PROMPT = b"# "
_INTERRUPT = b"\x03"
_QUIET_S = 0.02
_CHUNK = 65536
_MAX_OUTPUT = 1 << 20


class Terminal:
    """An interactive shell in a container. Leaving the context ends it."""

    def __init__(self, runtime: Runtime, container_id: str, command: str = "sh") -> None:
        """Raises: DemoError if no prompt comes within ten seconds."""
        master, slave = pty.openpty()
        arguments = ("task", "exec", "--tty", "--exec-id", f"exec-{secrets.token_hex(8)}", container_id, command)
        try:
            self._process = subprocess.Popen(
                runtime.ctr_command(*arguments), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
            )
        finally:
            os.close(slave)
        self._master = master
        try:
            self._read_to_prompt(10)
        except DemoError:
            self._close()
            raise

    def run(self, command: str, deadline_s: float = 6) -> str:
        """Type a command and wait for the next prompt; what it printed.

        What hangs is interrupted and typed once more, as a person would. Raises: DemoError when it hangs again.
        """
        try:
            return self._type(command, deadline_s)
        except DemoError:
            os.write(self._master, _INTERRUPT)
            self._read_to_prompt(deadline_s)
            return self._type(command, deadline_s)

    def _type(self, command: str, deadline_s: float) -> str:
        os.write(self._master, command.encode() + b"\n")
        shown = self._read_to_prompt(deadline_s).decode(errors="replace").replace("\r", "")
        _, _, output = shown.partition("\n")  # the first line is the echo of what was typed
        return output.removesuffix(_PROMPT.decode())

    def _read_to_prompt(self, deadline_s: float) -> bytes:
        seen, end = b"", time.monotonic() + deadline_s
        while not (seen.endswith(_PROMPT) and self._is_quiet()):
            left = end - time.monotonic()
            if left <= 0 or len(seen) > _MAX_OUTPUT:
                raise DemoError(f"no prompt from the shell in the container; it printed {seen[-200:]!r}")
            if select.select([self._master], [], [], left)[0]:
                seen += self._read()
        return seen

    def _is_quiet(self) -> bool:
        """Whether what looks like a prompt is one: nothing follows it."""
        return not select.select([self._master], [], [], _QUIET_S)[0]

    def _read(self) -> bytes:
        try:
            return os.read(self._master, _CHUNK)
        except OSError as e:  # EIO: the other end is closed
            raise DemoError("the shell in the container ended by itself") from e

    def _close(self) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.write(self._master, b"exit\n")
            self._process.wait(3)
        except (OSError, subprocess.TimeoutExpired):
            pass  # closed below
        self._close()
