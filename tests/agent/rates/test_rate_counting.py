"""Records and the kernel's counts of repeats become the same rates; everything distinct is bounded."""

from ipaddress import ip_address
from struct import pack
from typing import Any

import pytest

from agent.events import EventType, FileFlag, FileId, PathOp, SocketOp
from agent.learn.links import novelty_key
from agent.rates.gauges import Reading
from agent.rates.growth import Growth
from agent.rates.measure import measured
from agent.rates.tally import Tally, matters
from agent.source.port import BehaviourKey
from detection.rates.features import FEATURES, INDEX, shown, vector

EXE = FileId(9, 1, 0)
QUIET = Reading(5, 0.0, 0, 0, 0, 0, 0)


def rates_of(tally: Tally, seconds: float = 60.0, before: Reading = QUIET, after: Reading = QUIET) -> dict[str, str]:
    """What is not zero, as a person reads it."""
    values, _ = measured(tally, before, after, seconds)
    return {f.name: shown(i, values[i]) for i, f in enumerate(FEATURES) if values[i]}


def test_every_kind_of_record_counts_for_its_rate(make: Any) -> None:
    tally = Tally()
    events = [make.exec("/bin/a"), make.exec("/bin/b"), make.exec("/bin/b"), make.fork(), make.exit(0), make.exit(256)]
    events += [make.open("/d/one", 1), make.open("/d/two", 2), make.open("/d/two", 2), make.open("/d/read", 3, 0)]
    events += [
        make.open("/d/new", 4, FileFlag.CREATED),
        make.connect(),
        make.connect(port=81),
        make.connect("10.0.0.3"),
    ]
    events += [make.send("10.0.0.4"), make.ask("abcd"), make.ask("abcd", received=True), make.call(0), make.call(-1)]
    events += [make.move(op) for op in (PathOp.RENAME, PathOp.UNLINK, PathOp.LINK, PathOp.MKDIR, PathOp.CHOWN)]
    for event in events:
        tally.count(event)
    assert rates_of(tally) == {
        "execs": "3/min",
        "programs": "2",
        "forks": "1/min",
        "exit_failures": "1/min",
        "write_opens": "4/min",
        "files_written": "3",
        "name_entropy": "1.58 bits/character",
        "connects": "3/min",
        "peers": "3",
        "failed_share": "0.167",
        "dns_questions": "1/min",
        "dns_entropy": "2 bits/character",
        "moves": "3/min",
    }


def test_rates_are_per_minute_whatever_the_windows_length(make: Any) -> None:
    tally = Tally()
    for _ in range(3):
        tally.count(make.fork())
    assert rates_of(tally, 2.0) == {"forks": "90/min"}


def key(kind: EventType, thing: bytes) -> BehaviourKey:
    return BehaviourKey(101, kind, EXE, thing)


PEER = ip_address("10.0.0.9").packed.ljust(16, b"\0")


@pytest.mark.parametrize(
    ("behaviour", "found"),
    [
        (key(EventType.OPEN, pack("<QIIII", 7, 1, 0, 1, 5)), {"write_opens": "5/min", "files_written": "1"}),
        (key(EventType.OPEN, pack("<QIIII", 7, 1, 0, 4, 5)), {}),
        (key(EventType.CONNECT, PEER + pack("<HHHH", 80, 2, 6, 0)), {"connects": "5/min", "peers": "1"}),
        (key(EventType.SOCKET, PEER + pack("<HHHH", 53, 2, 17, SocketOp.SEND)), {"peers": "1"}),
        (
            key(EventType.SOCKET, PEER + pack("<HHHH", 53, 2, 17, SocketOp.CONNECT | 111 << 8)),
            {"peers": "1", "failed_share": "1"},
        ),
        (key(EventType.SOCKET, PEER + pack("<HHHH", 80, 2, 6, SocketOp.BIND)), {}),
        (key(EventType.SOCKET, PEER + pack("<HHHH", 0, 1, 0, SocketOp.CONNECT)), {}),
        (key(EventType.DNS, pack("<QQIHBB", 1, 0, 0, 0, 0, 0)), {"dns_questions": "5/min"}),
        (key(EventType.DNS, pack("<QQIHBB", 1, 2, 1, 0, 1, 0)), {}),
        (key(EventType.PATH, pack("<QQII", 1, 2, 3, PathOp.UNLINK)), {"moves": "5/min"}),
        (key(EventType.PATH, pack("<QQII", 1, 2, 3, PathOp.MKDIR)), {}),
        (key(EventType.CALL, pack("<QQII", 1, 2, 3, 1)), {"failed_share": "1"}),
        (key(EventType.CALL, pack("<QQII", 1, 2, 3, 0)), {}),
    ],
)
def test_repeats_the_kernel_counted_count_as_records_do(behaviour: BehaviourKey, found: dict[str, str]) -> None:
    tally = Tally()
    tally.grown(behaviour, 5)
    assert rates_of(tally) == found


def test_a_files_and_a_peers_first_record_and_its_repeats_are_the_same_thing(make: Any) -> None:
    tally = Tally()
    for event in (make.open("/d/one", 70), make.connect("10.0.0.9"), make.send("10.0.0.9")):
        tally.count(event)
        behaviour = novelty_key(event)
        assert behaviour is not None
        tally.grown(behaviour, 1)
    found = rates_of(tally)
    assert (found["files_written"], found["peers"]) == ("1", "1")


def test_files_opened_to_be_read_do_not_matter() -> None:
    read, written = (key(EventType.OPEN, pack("<QIIII", 7, 1, 0, access, 5)) for access in (0, 1))
    assert (matters(read), matters(written)) == (False, True)


def test_growth_is_what_came_after_the_record_and_after_the_last_look() -> None:
    one = key(EventType.CONNECT, PEER + bytes(8))
    growth = Growth()
    looks = [[(one, 1)], [(one, 4)], [(one, 4)], [(one, 9)], [(one, 3)], [(one, 1)]]
    assert [[n for _, n in growth.of(look)] for look in looks] == [[], [3], [], [5], [2], []]


def test_growth_forgets_all_rather_than_grow_beyond_its_bound() -> None:
    keys = [key(EventType.CONNECT, bytes([n]) * 24) for n in range(6)]
    growth = Growth(limit=4)
    assert sum(n for _, n in growth.of((k, 2) for k in keys)) == 6
    assert growth.forgotten == 4


def test_distinct_things_are_bounded_and_counts_are_not(make: Any) -> None:
    tally = Tally()
    for n in range(5000):
        tally.count(make.open(f"/d/{n}", n))
        tally.count(make.exec(f"/bin/{n}"))
        tally.count(make.connect(str(ip_address(167772160 + n))))
        tally.count(make.ask(str(n)))
    assert [len(s) for s in (tally.files, tally.programs, tally.peers, tally.names, tally.questions)] == [
        4096,
        4096,
        4096,
        256,
        256,
    ]
    assert (tally.write_opens, tally.execs, tally.connects, tally.dns) == (5000,) * 4


def test_cgroups_of_one_container_add_up(make: Any) -> None:
    one, two, total = Tally(), Tally(), Tally()
    for tally, path in ((one, "/bin/a"), (two, "/bin/a"), (two, "/bin/b")):
        tally.count(make.exec(path))
    total.add(one)
    total.add(two)
    assert rates_of(total) == {"execs": "3/min", "programs": "2"}


def test_counters_that_could_not_be_had_are_missing_not_zero() -> None:
    before = Reading(0, 1.0, None, None, None, None, None)
    values, missing = measured(Tally(), before, before._replace(cpu=31.0), 60.0)
    assert {f.name for i, f in enumerate(FEATURES) if missing >> i & 1} == {
        "disk_read",
        "disk_written",
        "bytes_in",
        "bytes_out",
        "connect_failures",
    }
    assert shown(INDEX["cpu"], values[INDEX["cpu"]]) == "0.5 cores"


def test_another_network_namespace_has_other_counters() -> None:
    _, missing = measured(Tally(), QUIET, QUIET._replace(net_ns=6, bytes_out=10**9), 60.0)
    assert missing == vector({}, {"bytes_in", "bytes_out", "connect_failures"})[1]


def test_connections_that_failed_count_in_the_share_even_where_no_record_came(make: Any) -> None:
    tally = Tally()
    tally.count(make.connect())
    assert rates_of(tally, after=QUIET._replace(connect_failures=3)) == {
        "connects": "1/min",
        "peers": "1",
        "connect_failures": "3/min",
        "failed_share": "1",
    }
