"""PostgreSQL: a shop's queries, new connections, vacuum, checkpoints, an archive of its log, backups, probes."""

import os
import random
import shutil
import subprocess
from pathlib import Path

from bench.real.container import Container, Start
from bench.real.workload import ACCOUNTS, Deed, Workload, World, chown, directory, write

_POSTGRES = ACCOUNTS["postgres"]
_BIN = Path("/usr/lib/postgresql/15/bin")
_DATA = "var/lib/postgresql/data"
_CONF = """
listen_addresses = '*'
shared_buffers = 16MB
max_connections = 40
fsync = off
autovacuum_naptime = 15s
checkpoint_timeout = 30s
archive_mode = on
archive_timeout = 40s
archive_command = 'test ! -f /var/lib/postgresql/archive/%f && cp %p /var/lib/postgresql/archive/%f'
"""
_SCHEMA = """\
CREATE TABLE item (id serial PRIMARY KEY, name text, price numeric, stock int);
CREATE TABLE sale (id serial PRIMARY KEY, item int, amount int, at timestamptz DEFAULT now());
INSERT INTO item (name, price, stock) SELECT 'item ' || i, i * 1.5, 1000 FROM generate_series(1, 500) i;
CREATE INDEX sale_item ON sale (item);
"""
_STATEMENTS = (
    "SELECT * FROM item WHERE id = {n};",
    "SELECT item, sum(amount) FROM sale GROUP BY item ORDER BY 2 DESC LIMIT 10;",
    "INSERT INTO sale (item, amount) VALUES ({n}, {m});",
    "UPDATE item SET stock = stock - {m} WHERE id = {n};",
    "DELETE FROM sale WHERE id = {n};",
    "SELECT i.name, s.at FROM item i JOIN sale s ON s.item = i.id WHERE i.id = {n} ORDER BY s.at;",
    "SELECT a, b FROM generate_series(1, 20000) a, generate_series(1, 2) b ORDER BY random() LIMIT 1;",
)
_UPKEEP = (
    "VACUUM ANALYZE item;",
    "VACUUM FULL sale;",
    "REINDEX TABLE sale;",
    "CHECKPOINT;",
    "CREATE TEMP TABLE t AS SELECT * FROM sale; SELECT count(*) FROM t;",
    "DROP TABLE IF EXISTS day_{m}; CREATE TABLE day_{m} AS SELECT item, sum(amount) FROM sale GROUP BY item;",
    "SELECT pg_switch_wal();",
    "SET work_mem = '64kB'; SELECT count(*) FROM (SELECT random() r FROM generate_series(1, 30000) ORDER BY r) x;",
)


def _prepare(root: Path) -> None:
    data = root / _DATA
    directory(root, "var/lib/postgresql", _POSTGRES)
    for path in ("var/lib/postgresql/archive", "var/lib/postgresql/backup", "run/postgresql"):
        directory(root, path, _POSTGRES)
    directory(root, _DATA, _POSTGRES, 0o700)
    for name in ("psql", "pg_dump", "pg_isready"):
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to(f"../lib/postgresql/15/bin/{name}")
    _as_postgres(
        [
            str(_BIN / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
    )
    _as_postgres([str(_BIN / "postgres"), "--single", "-D", str(data), "postgres"], "CREATE DATABASE shop;\n")
    _as_postgres([str(_BIN / "postgres"), "--single", "-j", "-D", str(data), "shop"], _SCHEMA.replace(";\n", ";\n\n"))
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(_CONF)
    with (data / "pg_hba.conf").open("a") as access:
        access.write("host all all 0.0.0.0/0 trust\n")
    write(root, "usr/local/bin/backup", _BACKUP, 0o755)


_BACKUP = """\
#!/bin/sh
set -e
cd /var/lib/postgresql/backup
pg_dump -U postgres shop | gzip > "shop-$(date +%Y%m%d-%H%M%S).sql.gz"
ls -t | tail -n +4 | xargs -r rm
find ../archive -type f -mmin +3 -delete
"""


def _as_postgres(command: list[str], stdin: str = "") -> None:
    def demote() -> None:
        os.setgroups([])
        os.setgid(_POSTGRES)
        os.setuid(_POSTGRES)

    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True, preexec_fn=demote, cwd="/")


def _start(world: World, ordinal: int) -> Start:
    return Start(
        (str(_BIN / "postgres"), "-D", f"/{_DATA}", "-k", "/run/postgresql"),
        _POSTGRES,
        binds=((_run(world, ordinal), "/run"),),
    )


def _run(world: World, ordinal: int) -> Path:
    """A fresh /run, as a container has it."""
    path = world.shared / f"postgres-{ordinal}"
    shutil.rmtree(path, ignore_errors=True)
    (path / "postgresql").mkdir(parents=True)
    chown(path / "postgresql", _POSTGRES)
    return path


def psql(container: Container, script: str) -> str:
    """What the database answers. A client on the host: the database sees one more connection."""
    command = [str(_BIN / "psql"), "-XAtq", "-h", container.address, "-U", "postgres", "-d", "shop", "-f", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"psql: {done.stderr.strip()[-200:]}")
    return done.stdout + done.stderr


def _use(world: World, rng: random.Random) -> None:
    lines = [
        rng.choice(_STATEMENTS).format(n=rng.randrange(1, 500), m=rng.randrange(1, 9))
        for _ in range(rng.randrange(3, 15))
    ]
    psql(world.pick("postgres"), "\n".join(lines))


def _upkeep(world: World, rng: random.Random) -> None:
    psql(world.pick("postgres"), rng.choice(_UPKEEP).format(m=rng.randrange(1, 8)))


def _backup(world: World, _rng: random.Random) -> None:
    world.pick("postgres").execute("backup", user=_POSTGRES)


def _probe(world: World, _rng: random.Random) -> None:
    world.pick("postgres").execute("pg_isready", "-h", "127.0.0.1", user=_POSTGRES)


POSTGRES = Workload(
    "postgres",
    ("postgresql-15", "postgresql-client-15", "dash", "coreutils", "findutils", "gzip", "tar", "libc-bin", "bash"),
    2, 3, _prepare, _start,
    (
        Deed("use", 1.5, _use),
        Deed("upkeep", 8, _upkeep),
        Deed("backup", 60, _backup),
        Deed("probe", 20, _probe),
    ),
    stateful=True,
)  # fmt: skip
