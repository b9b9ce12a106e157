"""The program a systemd service is made to run, from its unit file: the same on every host of a group.

Formats: systemd.unit(5) (search path, drop-ins), systemd.service(5) (ExecStart= and its prefixes).
"""

from collections import OrderedDict

from agent.identify.host import HERE, HostFiles

_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_LIMIT = 256 << 10
_KNOWN = 1024
_PREFIXES = "@-:+!|"


class Units:
    """Looks unit files up once each, below `prefix`; bounded."""

    def __init__(self, prefix: str = "", files: HostFiles = HERE) -> None:
        self._prefix = prefix
        self._files = files
        self._known: OrderedDict[str, str] = OrderedDict()

    def executable(self, unit: str) -> str:
        """The absolute path of the first program ExecStart= names; "" where no unit file says."""
        found = self._known.get(unit)
        if found is None:
            found = self._known[unit] = self._look(unit)
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        return found

    def _look(self, unit: str) -> str:
        """The unit's own file, then its drop-ins, which come later and may replace the command."""
        template = _template(unit)
        command = ""
        for name in dict.fromkeys((unit, template)):
            content = next((text for d in _DIRECTORIES if (text := self._read(f"{d}/{name}")) is not None), None)
            if content is not None:
                command = _command(content, "")
                break
        for name in dict.fromkeys((template, unit)):
            for path in self._drop_ins(name):
                command = _command(self._read(path) or "", command)
        return command

    def _drop_ins(self, name: str) -> list[str]:
        """Drop-ins in the order of their file names; of one name, the first directory's."""
        found: dict[str, str] = {}
        for directory in _DIRECTORIES:
            try:
                entries = self._files.entries(f"{self._prefix}{directory}/{name}.d")
            except OSError:
                continue
            for entry in entries:
                if entry.name.endswith(".conf"):
                    found.setdefault(entry.name, f"{directory}/{name}.d/{entry.name}")
        return [found[name] for name in sorted(found)]

    def _read(self, path: str) -> str | None:
        try:
            return self._files.read(self._prefix + path, _LIMIT, regular=True).decode("utf-8", "replace")
        except (OSError, ValueError):
            return self._linked(path)

    def _linked(self, path: str) -> str | None:
        """A unit that is a link to a file elsewhere (`systemctl link`); one step, never further."""
        try:
            target = self._files.link(self._prefix + path)
            if not target.startswith("/") or "/../" in target:
                return None
            return self._files.read(self._prefix + target, _LIMIT, regular=True).decode("utf-8", "replace")
        except (OSError, ValueError):
            return None


def _template(unit: str) -> str:
    """ "x@y.service" → "x@.service"; other names as they are."""
    stem, at, rest = unit.partition("@")
    return f"{stem}@.{rest.rpartition('.')[2]}" if at else unit


def _command(content: str, before: str) -> str:
    """The first program of the [Service] section; an empty ExecStart= takes back what was there `before`."""
    section, command = "", before
    for line in content.replace("\\\n", " ").splitlines():
        line = line.strip()  # noqa: PLW2901
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line.startswith("ExecStart="):
            value = line.removeprefix("ExecStart=").lstrip(_PREFIXES).strip()
            if not value:
                command = ""
            elif not command:
                command = value.split()[0].strip("\"'")
    return command if command.startswith("/") and "%" not in command and len(command) <= 512 else ""
