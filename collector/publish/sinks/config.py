"""The sinks of a collector, from one YAML file (`--sinks`). Secrets are named by file and read when they are used."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from collector.errors import ConfigError
from collector.plain import plain
from collector.publish.sinks.delivery import Rules
from collector.publish.sinks.document import Section, sections
from detection.finding import Severity

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_FORMATS = ("ocsf", "ecs", "cef", "falco")
_JSON = ("ocsf", "ecs", "falco")
_LEVELS = {severity.label: severity for severity in Severity}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MAX_BYTES = 1 << 20
_MAX_SINKS = 64


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files; "" where there is none: the system's CAs, no client certificate."""

    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class FileEnd:
    """JSON lines; at `max_bytes` the file becomes PATH.1 and so on, `keep` old ones stay."""

    path: Path
    max_bytes: int
    keep: int


@dataclass(frozen=True, slots=True)
class SyslogEnd:
    """RFC 5424 over TCP, with TLS unless it is None."""

    host: str
    port: int
    tls: Tls | None


@dataclass(frozen=True, slots=True)
class HttpEnd:
    """Webhook or OTLP: an URL; `secret` signs, `authorization` holds that header's value."""

    url: str
    tls: Tls
    secret: Path | None = None
    authorization: Path | None = None


@dataclass(frozen=True, slots=True)
class KafkaEnd:
    """A topic; `user` and `password` mean SASL over TLS. `mechanism` is librdkafka's word."""

    servers: str
    topic: str
    tls: Tls | None
    user: str = ""
    password: Path | None = None
    mechanism: str = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """One sink: what it gets (`rules`), in which form (`format`, `ocsf_version`), and where it goes (`end`)."""

    rules: Rules
    type: str
    format: str
    ocsf_version: str
    timeout_s: float
    end: FileEnd | SyslogEnd | HttpEnd | KafkaEnd

    @property
    def name(self) -> str:
        """The name its position and metrics have."""
        return self.rules.name


def read_sinks(path: Path) -> tuple[SinkConfig, ...]:
    """Raises: ConfigError, with file and line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--sinks {path}: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"--sinks {path}: larger than {_MAX_BYTES} bytes")
    try:
        return parse_sinks(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"--sinks {path}: not UTF-8") from error


def parse_sinks(text: str, place: str) -> tuple[SinkConfig, ...]:
    """The sinks of one document. Raises: ConfigError, with file and line."""
    found = sections(text, place, "sinks")
    if len(found) > _MAX_SINKS:
        raise ConfigError(f"{place}: {len(found)} sinks; at most {_MAX_SINKS}")
    read = [_sink(section) for section in found]
    names = [sink.name for sink in read]
    for section, name in zip(found, names, strict=True):
        if names.count(name) > 1:
            raise section.wrong("name", f"two sinks are called {name}; positions are kept by name")
    return tuple(read)


def _sink(section: Section) -> SinkConfig:
    type_ = section.choice("type", None, tuple(_ENDS))
    end, formats, batch = _ENDS[type_]
    form = section.choice("format", formats[0], formats)
    found = SinkConfig(
        rules=_rules(section, 1 if form == "falco" and type_ == "webhook" else batch),
        type=type_,
        format=form,
        ocsf_version=section.choice("ocsf_version", "1.5.0", ("1.5.0", "1.8.0")),
        timeout_s=section.number("timeout", 10.0, 0.1, 600.0),
        end=end(section),
    )
    section.end()
    return found


def _rules(section: Section, batch: int) -> Rules:
    name = section.text("name")
    if not _NAME.fullmatch(name):
        raise section.wrong("name", "give lower-case letters, digits, '.', '_' or '-'")
    return Rules(
        name=name,
        kinds=section.choices("kinds", ("finding", "incident")),
        min_severity=int(_LEVELS[section.choice("min_severity", "informational", tuple(_LEVELS))]),
        batch=int(section.number("batch", batch, 1, 1000)),
        start=section.choice("start", "newest", ("newest", "beginning")),
        retry_cap_s=section.number("retry_cap", 60.0, 0.05, 3600.0),
    )


def _file(section: Section) -> FileEnd:
    path = Path(section.text("path"))
    if not path.is_absolute():
        raise section.wrong("path", "give an absolute path")
    size = section.number("max_megabytes", 100.0, 0.001, 100_000.0)
    return FileEnd(path, int(size * 1e6), int(section.number("keep", 5, 0, 1000)))


def _syslog(section: Section) -> SyslogEnd:
    host, port = _host_port(section, "address")
    tls = _tls(section)
    if section.choice("transport", "tls", ("tls", "tcp")) == "tls":
        return SyslogEnd(host, port, tls)
    if tls != Tls():
        raise section.wrong("transport", "tcp has no use for ca, certificate and key")
    return SyslogEnd(host, port, None)


def _http(section: Section) -> HttpEnd:
    url = section.text("url")
    _check_url(section, url)
    return HttpEnd(url, _tls(section), authorization=_secret(section, "authorization_file"))


def _webhook(section: Section) -> HttpEnd:
    plain_end = _http(section)
    secret = _secret(section, "secret_file")
    return HttpEnd(plain_end.url, plain_end.tls, secret, plain_end.authorization)


def _kafka(section: Section) -> KafkaEnd:
    servers = section.text("servers")
    tls = _tls(section)
    transport = section.choice("transport", "tls", ("tls", "tcp"))
    user, password = section.text("user", ""), _secret(section, "password_file")
    if bool(user) != bool(password) or (user and transport == "tcp"):
        raise section.wrong("user", "user and password_file go together, over tls only")
    mechanisms = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
    mechanism = section.choice("mechanism", mechanisms[0], mechanisms)
    return KafkaEnd(servers, section.text("topic"), tls if transport == "tls" else None, user, password, mechanism)


def _tls(section: Section) -> Tls:
    found = Tls(section.text("ca", ""), section.text("certificate", ""), section.text("key", ""))
    if bool(found.certificate) != bool(found.key):
        raise section.wrong("certificate", "certificate and key go together")
    for name in ("ca", "certificate", "key"):
        if (path := getattr(found, name)) and not Path(path).is_file():
            raise section.wrong(name, f"{plain(path)} is not a file")
    return found


def _secret(section: Section, name: str) -> Path | None:
    text = section.text(name, "")
    if not text:
        return None
    read_secret(Path(text), f"{section.place}:{section.line}: {name}")
    return Path(text)


def read_secret(path: Path, place: str) -> list[str]:
    """The lines of a secret's file; never told to anybody. Raises: ConfigError that names the file only."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line.strip() for line in file.read(65536).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}: {plain(str(path))} cannot be read: {type(error).__name__}") from None
    found = [line for line in lines if line]
    if not found:
        raise ConfigError(f"{place}: {plain(str(path))} is empty")
    return found


def _check_url(section: Section, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise section.wrong("url", "not an URL") from None
    if not host or parts.scheme not in ("https", "http") or parts.fragment or not url.isascii() or " " in url:
        raise section.wrong("url", "give https://host[:port]/path")
    if parts.username is not None or parts.password is not None:
        raise section.wrong("url", "no name or password here: use authorization_file")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise section.wrong("url", "http is for loopback only; give https")


def _host_port(section: Section, name: str) -> tuple[str, int]:
    text = section.text(name)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise section.wrong(name, "give host:port")
    return host.strip("[]"), int(port)


_End = Callable[[Section], Any]
# type: how to read where it goes, the formats it carries (the default first), events at once
_ENDS: dict[str, tuple[_End, tuple[str, ...], int]] = {
    "file": (_file, _JSON, 500),
    "syslog": (_syslog, ("cef", "ocsf", "ecs", "falco"), 100),
    "webhook": (_webhook, _JSON, 100),
    "kafka": (_kafka, _JSON, 500),
    "otlp": (_http, ("otlp",), 200),
}
