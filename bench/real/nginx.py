"""nginx: static pages, a proxy with a cache before the web service, logs that are rotated, reloads."""

import random
from http.client import HTTPConnection
from pathlib import Path

from bench.real.container import Start
from bench.real.workload import ACCOUNTS, Deed, Workload, World, directory, write

_WWW = ACCOUNTS["www-data"]
_PAGES = ("index", "about", "help", "terms", "news", "press", "jobs", "map")
_CONF = """\
user www-data; worker_processes 2; pid /run/nginx.pid; error_log /var/log/nginx/error.log warn;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types; access_log /var/log/nginx/access.log; sendfile on;
  client_body_buffer_size 1k;
  proxy_cache_path /var/cache/nginx levels=1:2 keys_zone=shop:1m max_size=4m inactive=60s;
  resolver {gateway} valid=5s ipv6=off;
  server {
    listen 80; root /srv/www;
    location / { try_files $uri $uri.html =404; }
    location /api/ { set $up web.real; proxy_cache shop; proxy_cache_valid 200 20s; proxy_pass http://$up:8000; }
    location /upload/ { set $up web.real; proxy_pass http://$up:8000; }
  }
}
"""


def _prepare(root: Path) -> None:
    for page in _PAGES:
        write(root, f"srv/www/{page}.html", f"<h1>{page}</h1>" * 200)
    for path in ("var/log/nginx", "var/cache/nginx", "var/lib/nginx"):
        directory(root, path, _WWW)


def _start(world: World, _ordinal: int) -> Start:
    conf = world.shared / "nginx.conf"
    conf.write_text(_CONF.replace("{gateway}", world.network.gateway))
    return Start(("/usr/sbin/nginx", "-g", "daemon off;"), binds=((conf, "/etc/nginx/nginx.conf"),))


def request(address: str, port: int, path: str, body: bytes = b"", method: str = "") -> bytes:
    """One request; the answer's body. Raises: OSError, HTTPException."""
    connection = HTTPConnection(address, port, timeout=10)
    try:
        connection.request(method or ("POST" if body else "GET"), path, body or None)
        return connection.getresponse().read()
    finally:
        connection.close()


def _page(world: World, rng: random.Random) -> None:
    page = rng.choice(_PAGES) if rng.random() < 0.95 else f"no-{rng.randrange(1000)}"
    request(world.pick("nginx").address, 80, f"/{page}")


def _api(world: World, rng: random.Random) -> None:
    kind = rng.choices(("item", "search", "cart"), (6, 3, 1))[0]
    request(world.pick("nginx").address, 80, f"/api/{kind}?id={rng.randrange(200)}")


def _upload(world: World, rng: random.Random) -> None:
    request(world.pick("nginx").address, 80, "/upload/", rng.randbytes(rng.randrange(500, 40_000)))


def _reload(world: World, _rng: random.Random) -> None:
    world.pick("nginx").execute("nginx", "-s", "reload")


def _rotate(world: World, _rng: random.Random) -> None:
    world.pick("nginx").execute(
        "sh", "-c", "mv /var/log/nginx/access.log /var/log/nginx/access.log.1 && nginx -s reopen"
    )


NGINX = Workload(
    "nginx", ("nginx-light", "nginx-common", "dash", "coreutils", "libc-bin", "bash"), 3, 1, _prepare, _start,
    (
        Deed("page", 0.4, _page),
        Deed("api", 0.6, _api),
        Deed("upload", 8, _upload),
        Deed("reload", 60, _reload),
        Deed("rotate", 75, _rotate),
    ),
)  # fmt: skip
