"""Names of addresses: from answers of trusted servers only, per network namespace, within bounds."""

import os
from ipaddress import ip_address

import pytest

from agent.events import Dns, EventType, FileId, Head, Task
from agent.identify.names import ADDRESSES, NAMESPACES, Names, configured_servers


def answer(name: str, *addresses: str, net_ns: int = 1, server: str = "10.0.0.10", code: int = 0) -> Dns:
    task = Task(1, 1, 1, 7, 7, 1, 7, 0, 0, 0, 0, 1, 1, net_ns, 0, "x")
    pairs = tuple(("alias.example", a) for a in addresses)
    return Dns(Head(EventType.DNS, 0, 1, task), FileId(1, 1, 1), ip_address(server), 53, True, name, 1, code, pairs)


@pytest.fixture
def names() -> Names:
    return Names(lambda pid: frozenset({"10.0.0.10"}))


def test_addresses_are_called_what_was_asked_for(names):
    """All of an answer, under the question; other namespaces and other addresses have no name."""
    names.learn(answer("db.shop", "www.db.shop", "10.1.0.1", "2001:db8::1"))
    called = [names.of(1, ip_address(a)) for a in ("10.1.0.1", "2001:db8::1", "10.1.0.2")]
    assert called == ["db.shop", "db.shop", ""]
    assert names.of(2, ip_address("10.1.0.1")) == ""
    assert names.of(1, None) == ""


def test_the_last_name_asked_for_counts(names):
    """An address behind two names is called by the newer."""
    names.learn(answer("old", "10.1.0.1"))
    names.learn(answer("new", "10.1.0.1"))
    assert names.of(1, ip_address("10.1.0.1")) == "new"


def test_a_server_of_the_attackers_own_names_nothing(names):
    """Only configured servers are believed; the rest is counted."""
    names.learn(answer("db.shop", "203.0.113.9", server="127.0.0.66"))
    assert (names.of(1, ip_address("203.0.113.9")), names.untrusted) == ("", 1)


def test_failures_name_nothing(names):
    """NXDOMAIN with an address in it is no name."""
    names.learn(answer("db.shop", "10.1.0.1", code=3))
    assert names.of(1, ip_address("10.1.0.1")) == ""


def test_without_a_configuration_the_first_servers_are_trusted():
    """Three of them, as resolv.conf could name."""
    names = Names(lambda pid: frozenset())
    for i in range(1, 6):
        names.learn(answer(f"n{i}", f"10.1.0.{i}", server=f"10.0.0.{i}"))
    assert [names.of(1, ip_address(f"10.1.0.{i}")) for i in range(1, 6)] == ["n1", "n2", "n3", "", ""]


def test_memory_is_bounded_per_namespace_and_in_all(names):
    """One namespace's flood costs it its own oldest names, not another's."""
    names.learn(answer("kept", "10.9.9.9", net_ns=2))
    for i in range(ADDRESSES + 10):
        names.learn(answer("many", f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"))
    assert names.of(1, ip_address("10.0.0.9")) == ""
    assert names.of(1, ip_address("10.0.0.10")) == "many"
    assert names.of(2, ip_address("10.9.9.9")) == "kept"
    for ns in range(10, 10 + NAMESPACES):
        names.learn(answer("x", "10.1.1.1", net_ns=ns))
    assert names.of(1, ip_address("10.0.0.10")) == ""


def test_resolv_conf_is_read_without_trusting_it(tmp_path):
    """Three servers at most, only addresses; a link, a pipe or nothing gives none."""
    etc = tmp_path / "7" / "root" / "etc"
    etc.mkdir(parents=True)
    file = etc / "resolv.conf"
    assert configured_servers(str(tmp_path), 7) == frozenset()
    file.write_text("# x\nnameserver 10.0.0.1\nsearch a\nnameserver ::1\nnameserver ; evil\nnameserver 10.0.0.4\n")
    assert configured_servers(str(tmp_path), 7) == {"10.0.0.1", "::1"}
    file.rename(etc / "real")
    file.symlink_to("real")
    assert configured_servers(str(tmp_path), 7) == frozenset()
    file.unlink()
    os.mkfifo(file)
    assert configured_servers(str(tmp_path), 7) == frozenset()
