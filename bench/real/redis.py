"""redis: a primary and its replica, keys of all kinds, snapshots, a rewritten log, probes."""

import random
import socket
from pathlib import Path

from bench.real.container import Start
from bench.real.workload import ACCOUNTS, Deed, Workload, World, directory

_REDIS = ACCOUNTS["redis"]
# As many installations have it: what Redis 7 protects is open, and everybody on the network may connect.
_OPTIONS = [
    "--protected-mode",
    "no",
    "--dir",
    "/data",
    "--appendonly",
    "yes",
    "--save",
    "30",
    "200",
    "--enable-protected-configs",
    "yes",
    "--enable-module-command",
    "yes",
    "--auto-aof-rewrite-min-size",
    "1mb",
    "--loglevel",
    "notice",
]


def _prepare(root: Path) -> None:
    directory(root, "data", _REDIS)
    directory(root, "etc/cron.d", 0, 0o755)


def _start(_world: World, ordinal: int) -> Start:
    follow = ("--replicaof", "redis-0.real", "6379") if ordinal else ()
    return Start(("/usr/bin/redis-server", *_OPTIONS, *follow), cwd="/data")


class Client:
    """A connection that speaks RESP2 (redis.io/docs/reference/protocol-spec)."""

    def __init__(self, address: str) -> None:
        self._socket = socket.create_connection((address, 6379), 10)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def call(self, *words: str | bytes) -> object:
        """The answer; an error is given back as its text."""
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self._read()

    def _read(self) -> object:
        line = self._file.readline().rstrip()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        return rest.decode("utf-8", "replace")


def _use(world: World, rng: random.Random) -> None:
    with Client(world.running("redis")[0].address) as redis:
        for _ in range(rng.randrange(1, 25)):
            key = f"{rng.choice(('user', 'cart', 'page', 'job'))}:{rng.randrange(3000)}"
            redis.call(*_command(key, rng))


def _command(key: str, rng: random.Random) -> tuple[str | bytes, ...]:
    return rng.choice(
        (
            ("GET", f"s:{key}"),
            ("SETEX", f"s:{key}", "60", rng.randbytes(rng.randrange(10, 2000))),
            ("LPUSH", f"l:{key}", "x"),
            ("LTRIM", f"l:{key}", "0", "20"),
            ("ZADD", f"z:{key}", str(rng.random()), "m"),
            ("HSET", f"h:{key}", f"f{rng.randrange(9)}", "v"),
            ("DEL", f"s:{key}"),
        )
    )


def _administer(world: World, rng: random.Random) -> None:
    command = rng.choice(("INFO", "DBSIZE", "BGSAVE", "BGREWRITEAOF", "SLOWLOG GET", "CONFIG GET maxmemory", "PING"))
    with Client(world.pick("redis").address) as redis:
        redis.call(*command.split())


def _probe(world: World, _rng: random.Random) -> None:
    world.pick("redis").execute("redis-cli", "ping")


REDIS = Workload(
    "redis", ("redis-server", "redis-tools", "dash", "coreutils", "libc-bin", "bash"), 2, 2, _prepare, _start,
    (Deed("use", 0.5, _use), Deed("administer", 12, _administer), Deed("probe", 20, _probe)), stateful=True,
)  # fmt: skip
