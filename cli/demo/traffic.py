"""Customers of the demo's shop: steady, ordinary requests to the web pods, from start to end."""

import secrets
import threading
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self

_PER_SECOND = 20
_ITEMS = 4
_PORT = 8080
_TIMEOUT_S = 5


class Customers:
    """Visits the pods in turn in a thread of its own while the context lasts."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._visit, name="customers", daemon=True)
        self.served = 0
        self.failed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _visit(self) -> None:
        number = 0
        while not self._stop.wait(1 / _PER_SECOND):
            pod, item = number % len(self._addresses), number // len(self._addresses) % _ITEMS + 1
            page = visit(self._addresses[pod], item)
            self.served += "left" in page
            self.failed += "left" not in page
            number += 1


def probe(address: str, page: str) -> bool:
    """A readiness probe, as a kubelet's: whether the page comes and says how many are left."""
    return "left" in get(address, f"/cgi-bin/{page}?item=1")


def visit(address: str, item: int) -> str:
    """The shop's page for an item, as a new customer sees it; "" if it does not answer."""
    return get(address, f"/cgi-bin/shop?item={item}&session={secrets.token_hex(16)}")


def get(address: str, path: str) -> str:
    """A page from a pod; "" if it does not answer."""
    connection = HTTPConnection(address, _PORT, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode(errors="replace")
    except (OSError, HTTPException):
        return ""
    finally:
        connection.close()
