"""A small shop: WSGI, SQLite, a cache in redis. Deliberately careless: /debug runs what it is sent."""

import json
import os
import socket
import sqlite3
import subprocess
import tempfile
import uuid
from urllib.parse import parse_qs

DATA = "/srv/app/data/shop.db"


def database():
    connection = sqlite3.connect(DATA, timeout=10)
    connection.execute("CREATE TABLE IF NOT EXISTS orders (item INT, amount INT, at TEXT DEFAULT CURRENT_TIMESTAMP)")
    return connection


def cached(key):
    try:
        with socket.create_connection((os.environ["REDIS"], 6379), 2) as redis:
            redis.sendall(b"GET page:%s\r\n" % key.encode())
            return redis.recv(4096)
    except OSError:
        return b""


def item(query, body):
    cached(query.get("id", ["0"])[0])
    with open("/srv/app/templates/item.html") as template:
        return template.read().format(name=query.get("id"))


def cart(query, body):
    with database() as connection, open("/srv/app/templates/cart.html") as template:
        rows = connection.execute("SELECT item, sum(amount) FROM orders GROUP BY item LIMIT 20").fetchall()
        return template.read().format(rows=rows)


def order(query, body):
    fields = parse_qs(body.decode())
    with database() as connection:
        connection.execute("INSERT INTO orders (item, amount) VALUES (?, ?)", (fields["item"][0], fields["amount"][0]))
    return "ordered"


def upload(query, body):
    with tempfile.NamedTemporaryFile(dir="/srv/app/uploads", delete=False) as file:
        file.write(body)
    os.replace(file.name, f"/srv/app/uploads/{uuid.uuid4()}.bin")
    old = sorted(os.scandir("/srv/app/uploads"), key=lambda e: e.stat().st_mtime)[:-20]
    for entry in old:
        os.unlink(entry.path)
    return "kept"


def export(query, body):
    path = f"/srv/app/export/orders-{uuid.uuid4().hex}.json"
    with database() as connection, open(path, "w") as file:
        json.dump(connection.execute("SELECT * FROM orders LIMIT 500").fetchall(), file)
    subprocess.run(["gzip", "-f", path], check=True)
    for entry in sorted(os.scandir("/srv/app/export"), key=lambda e: e.stat().st_mtime)[:-5]:
        os.unlink(entry.path)
    return "exported"


def debug(query, body):
    names = {}
    exec(body.decode(), names)
    return str(names.get("answer", ""))


PAGES = {
    "/api/item": item,
    "/api/search": item,
    "/api/cart": cart,
    "/order": order,
    "/upload/": upload,
    "/export": export,
    "/debug": debug,
    "/health": lambda query, body: "ok",
}


def application(environ, start_response):
    page = PAGES.get(environ["PATH_INFO"])
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if page is None:
        start_response("404 Not Found", [])
        return [b"no such page"]
    text = page(parse_qs(environ.get("QUERY_STRING", "")), body).encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(text)))])
    return [text]
