"""cgroup id → path in every layout, with late, foreign and lost reports."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from agent.events import EventType
from agent.identify.cgroups import CgroupTable, Mode, find_layout
from agent.identify.paths import Limits

MKDIR, RMDIR = EventType.CGROUP_MKDIR, EventType.CGROUP_RMDIR


def _table(host: Any, **limits: int) -> tuple[CgroupTable, Counter[str]]:
    counts: Counter[str] = Counter()
    table = CgroupTable(find_layout(host.paths.cgroup), host.paths.proc, Limits(**limits), counts)
    table.scan()
    return table, counts


@pytest.mark.parametrize(("layout", "mode"), [("v1", Mode.V1), ("v2", Mode.V2), ("hybrid", Mode.HYBRID)])
def test_one_scan_knows_every_cgroup_in_every_layout(make_host: Callable[[str], Any], layout: str, mode: Mode) -> None:
    """The layout is told by the files of its root; ids are the directories' inodes."""
    host = make_host(layout)
    deep = host.mkdir("/a/b/c")
    table, counts = _table(host)
    assert table.layout.mode is mode
    assert table.path(deep) == "/a/b/c"
    assert table.id_of("/a/b/c") == deep
    assert table.path(host.cgroup_root.stat().st_ino) == "/"
    assert not counts


def test_no_cgroups_at_all_is_counted_not_fatal(tmp_path: Any) -> None:
    """A host without a cgroup file system still starts."""
    counts: Counter[str] = Counter()
    table = CgroupTable(find_layout(str(tmp_path / "none")), str(tmp_path), Limits(), counts)
    table.scan()
    assert (table.layout.mode, len(table), counts["cgroup_root_unreadable"]) == (Mode.NONE, 0, 1)


def test_a_made_cgroup_is_known_at_once_and_a_removed_one_for_the_grace_period(host: Any) -> None:
    """Late events of a removed cgroup still find it; its path is free for a successor at once."""
    table, _ = _table(host, grace_ns=5)
    made = host.mkdir("/new")
    assert table.changed(host.cgroup_event(MKDIR, made, "/new")) is None
    removed = host.cgroup_event(RMDIR, made, "/new")
    assert table.changed(removed) == made
    assert (table.path(made), table.id_of("/new")) == ("/new", None)
    assert table.expire(removed.head.time_ns + 4) == []
    assert table.expire(removed.head.time_ns + 5) == [made]
    assert table.path(made) is None


def test_another_hierarchys_report_changes_nothing(host: Any) -> None:
    """v1 hierarchies number their directories independently: same number, same path, different cgroup."""
    mine = host.mkdir("/mine")
    table, counts = _table(host)
    table.changed(host.cgroup_event(MKDIR, mine + 1000, "/mine"))
    assert counts["cgroup_other_hierarchy"] == 1
    assert table.changed(host.cgroup_event(RMDIR, mine, "/other")) is None
    assert table.path(mine) == "/mine"
    assert table.path(mine + 1000) is None


def test_a_cgroup_made_and_removed_before_we_look_is_still_known(host: Any) -> None:
    """Its events may still be in the ring."""
    table, _ = _table(host)
    table.changed(host.cgroup_event(MKDIR, 424_242, "/short/lived"))
    assert table.path(424_242) == "/short/lived"


def test_an_unannounced_cgroup_is_found_through_its_process_without_a_scan(host: Any) -> None:
    """Where the report was lost, /proc/PID/cgroup names the path, the inode proves it."""
    table, counts = _table(host)
    late = host.mkdir("/late")
    host.process(50, 1, 500, ["/bin/x"], "/late")
    assert table.find(late, 50, host.now) == "/late"
    assert not counts


def test_scans_for_unknown_ids_are_limited_in_rate_and_counted(host: Any) -> None:
    """A thousand events of an unknown cgroup within the interval cost one scan."""
    table, counts = _table(host, rescan_ns=1000)
    assert [table.find(99, 1, host.now + i) for i in range(1000)] == [None] * 1000
    assert (counts["cgroup_rescans"], counts["cgroup_unknown"]) == (1, 1000)
    late = host.mkdir("/late")
    assert table.find(late, 1, host.now + 1000) == "/late"


def test_the_table_is_bounded(host: Any) -> None:
    """A storm of cgroups pushes out the oldest, counted."""
    table, counts = _table(host, cgroups=50)
    for i in range(120):
        table.changed(host.cgroup_event(MKDIR, 10_000 + i, f"/storm/{i}"))
    assert len(table) == 50
    assert counts["cgroup_table_full"] == 71
    assert table.path(10_119) == "/storm/119"


def test_hostile_paths_in_reports_reach_nothing_outside(host: Any) -> None:
    """A path with .. or NUL is never looked up on disk."""
    table, _ = _table(host)
    for path in ("/../../etc", "/a/..", "/nul\0byte", "relative", ""):
        table.changed(host.cgroup_event(MKDIR, (host.base / "proc").stat().st_ino, path))
        table.changed(host.cgroup_event(RMDIR, 7, path))
    assert table.id_of("/../../etc") in (None, (host.base / "proc").stat().st_ino)
