"""A Python web service: gunicorn, SQLite, a cache in redis, uploads, exports; and a hole somebody forgot to close."""

import random
import subprocess
from pathlib import Path

from bench.real.container import Start
from bench.real.nginx import request
from bench.real.workload import FILES, Deed, Workload, World, directory, write

PORT = 8000


def _prepare(root: Path) -> None:
    write(root, "srv/app/app.py", (FILES / "app.wsgi").read_text())
    # What installing the packages would have done.
    libraries = root / "usr/lib/python3/dist-packages"
    compile_ = ("/usr/bin/python3", "-m", "compileall", "-q", "-s", str(root), str(libraries))
    subprocess.run(compile_, check=True, stdout=subprocess.DEVNULL)
    write(root, "srv/app/templates/item.html", "<h1>{name}</h1>")
    write(root, "srv/app/templates/cart.html", "<ul>{rows}</ul>")
    write(root, "run/secrets/kubernetes.io/serviceaccount/token", "eyJhbGciOiJSUzI1NiJ9.e30.x\n", 0o600)
    for path in ("srv/app/data", "srv/app/uploads", "srv/app/export"):
        directory(root, path)


def _start(_world: World, _ordinal: int) -> Start:
    options = ("--bind", f"0.0.0.0:{PORT}", "--workers", "2", "--max-requests", "150", "--max-requests-jitter", "80")
    return Start(
        ("/usr/bin/python3", "/usr/bin/gunicorn", *options, "app:application"),
        cwd="/srv/app", environment=("REDIS=redis-0.real", "APP_KEY=b0a1c2"),
    )  # fmt: skip


def _item(world: World, rng: random.Random) -> None:
    request(world.pick("web").address, PORT, f"/api/item?id={rng.randrange(300)}")


def _order(world: World, rng: random.Random) -> None:
    request(world.pick("web").address, PORT, "/order", f"item={rng.randrange(300)}&amount=1".encode())


def _export(world: World, _rng: random.Random) -> None:
    request(world.pick("web").address, PORT, "/export")


def _health(world: World, _rng: random.Random) -> None:
    for container in world.running("web"):
        request(container.address, PORT, "/health")


def _reload(world: World, _rng: random.Random) -> None:
    world.pick("web").execute("kill", "-HUP", "1")


_BASE = (
    "python3", "python3-minimal", "python3.11", "libpython3.11-stdlib", "dash", "coreutils", "procps", "gzip",
    "libc-bin", "bash",
)  # fmt: skip

WEB = Workload(
    "web",
    (*_BASE, "python3-gunicorn", "gunicorn", "python3-pkg-resources", "python3-setuptools", "curl"),
    3, 4, _prepare, _start,
    (
        Deed("item", 0.7, _item),
        Deed("order", 3, _order),
        Deed("export", 30, _export),
        Deed("health", 10, _health),
        Deed("reload", 90, _reload),
    ),
)  # fmt: skip
