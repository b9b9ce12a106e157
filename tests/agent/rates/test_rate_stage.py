"""Windows, forests and findings: what is told when, and what is not."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.events import EventType
from agent.identify.paths import Paths
from agent.rates import RateConfig, Rates
from agent.rates.gauges import Gauges
from agent.rates.models import Models
from agent.rates.start import open_rates
from agent.workload import Container
from detection.finding import EntityKind, Finding, Kind, Severity
from detection.rates.codec import model_from
from detection.rates.features import INDEX, LASTING, shown
from detection.rates.judge import judge
from detection.rates.window import RateWindow

KEY = ("container/web", "sha256:1")


def value(window: RateWindow, name: str) -> str:
    return shown(INDEX[name], window.values[INDEX[name]])


def trained(bench: Any, learn: Any, windows: int = 3) -> None:
    """The bench, held against a forest of a workload that does little."""
    for _ in range(windows + 1):
        bench.host.cpu_ns += 600_000_000
        bench.host.sent += 6_000_000
        bench.close()
    assert bench.rates.adopt(*KEY, learn(bench.rates.take())) == ""


def test_a_container_has_a_window_once_it_was_there_from_its_beginning(bench: Any) -> None:
    bench.close()
    assert bench.rates.take() == []
    bench.close()
    (window,) = bench.rates.take()
    assert (window.workload, window.version, window.container_id, window.seconds) == (*KEY, "c1", 60.0)
    assert (window.end_ns, window.missing, window.lossy, window.anomalous) == (bench.now_ns, 0, False, False)


def test_records_of_all_its_cgroups_and_counters_make_the_vector(bench: Any, make: Any) -> None:
    bench.close()
    other = type(make)(102)
    for event in (make.exec("/bin/a"), other.exec("/bin/b"), type(make)(999).exec("/bin/c")):
        bench.rates.count(event)
    bench.host.cpu_ns, bench.host.sent, bench.host.failures = 30 * 10**9, 6_000_000, 120
    bench.close()
    (window,) = bench.rates.take()
    assert {name: value(window, name) for name in ("execs", "cpu", "bytes_out", "bytes_in", "connect_failures")} == {
        "execs": "2/min",
        "cpu": "0.5 cores",
        "bytes_out": "100 kB/s",
        "bytes_in": "10 kB/s",
        "connect_failures": "120/min",
    }


def test_counts_begin_anew_with_each_window(bench: Any, make: Any) -> None:
    bench.close()
    bench.rates.count(make.exec())
    bench.close()
    bench.close()
    assert [value(w, "execs") for w in bench.rates.take()] == ["1/min", "0/min"]


def test_slots_shorter_than_a_window_add_up_to_one(bench: Any, make: Any) -> None:
    bench.close()
    for _ in range(6):
        bench.rates.count(make.exec())
        bench.close(10.0)
    (window,) = bench.rates.take()
    assert (window.seconds, value(window, "execs")) == (60.0, "6/min")


def test_what_was_held_back_happened_all_the_same(bench: Any) -> None:
    bench.close()
    for count, ended in ((10, False), (25, False), (40, True), (5, True)):
        bench.rates.held_back(101, EventType.OPEN, count, ended=ended)
    bench.close()
    assert value(bench.rates.take()[0], "write_opens") == "45/min"


@pytest.mark.parametrize(("seconds", "lost"), [(60.0, True), (130.0, False)])
def test_a_window_with_losses_or_of_a_machine_that_slept_is_lossy(bench: Any, seconds: float, lost: bool) -> None:
    bench.close()
    if lost:
        bench.rates.note_loss()
    bench.close(seconds)
    bench.close()
    assert [w.lossy for w in bench.rates.take()] == [True, False]


def test_the_mean_of_the_last_windows_comes_with_the_tenth(bench: Any, make: Any) -> None:
    for _ in range(LASTING + 1):
        bench.rates.count(make.exec())
        bench.close()
    windows = bench.rates.take()
    assert [bool(w.lasting) for w in windows] == [False] * (LASTING - 1) + [True]
    assert windows[-1].lasting == pytest.approx(windows[-1].values)


def test_a_container_without_its_own_network_has_no_traffic_of_its_own(bench: Any) -> None:
    bench.rates = Rates("node-1", Gauges(bench.host.paths, bench.host.net_ns), RateConfig(), None, bench.host.clock)
    bench.close()
    bench.close()
    (window,) = bench.rates.take()
    assert window.missing == sum(1 << INDEX[n] for n in ("bytes_in", "bytes_out", "connect_failures"))


def test_without_a_forest_nothing_is_said(bench: Any) -> None:
    bench.close()
    bench.host.cpu_ns = 3600 * 10**9
    assert bench.close() == []
    assert bench.rates.counters()["unscored"] == 1


def test_usual_windows_raise_nothing(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    for _ in range(5):
        bench.host.cpu_ns += 600_000_000
        bench.host.sent += 6_000_000
        assert bench.close() == []
    assert bench.rates.counters()["scored"] == 5


def miner(bench: Any) -> list[Finding]:
    bench.host.cpu_ns += 58 * 10**9
    bench.host.sent += 6_000_000
    found: list[Finding] = bench.close()
    return found


def test_a_load_never_seen_is_a_finding_in_words_and_numbers(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    (finding,) = miner(bench)
    assert (finding.rule_id, finding.kind, finding.severity) == ("rates", Kind.ANOMALY, Severity.HIGH)
    assert "CPU time: 0.967 cores; normally 0.0108 cores (99 % of windows up to" in finding.reason
    assert "was never so high" in finding.reason
    assert "Learned from 400 windows of 60 s of 1 container" in finding.reason
    assert finding.techniques[0].id == "T1496"
    kinds = {e.kind: e.id for e in finding.entities}
    assert kinds[EntityKind.CONTAINER] == "c1"
    assert (kinds[EntityKind.WORKLOAD], kinds[EntityKind.NODE]) == (KEY[0], "node-1")
    assert finding.profile == "stable, 400 windows learned"
    assert finding.surprise > 5
    assert bench.rates.take()[-1].anomalous


def test_an_episode_is_one_finding_whose_count_grows_until_it_was_quiet(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    findings = [finding for _ in range(3) for finding in miner(bench)]
    assert len({f.id for f in findings}) == 1
    assert [f.count for f in findings] == [1, 2, 3]
    assert findings[-1].last_ns == bench.now_ns
    for _ in range(RateConfig().quiet_windows + LASTING):
        bench.host.cpu_ns += 600_000_000
        bench.host.sent += 6_000_000
        bench.close()
    (again,) = miner(bench)
    assert again.id != findings[0].id


def test_something_else_during_an_episode_is_another_finding(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    (first,) = miner(bench)
    bench.host.sent += 6 * 10**10
    (second,) = miner(bench)
    assert second.id != first.id
    assert "bytes sent" in second.title.lower()


def test_a_finding_of_a_lossy_window_says_so(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    bench.rates.note_loss()
    assert miner(bench)[0].lossy


def test_windows_of_another_length_than_learned_are_not_scored(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    bench.host.cpu_ns += 10**13
    assert bench.close(200.0) == []


def test_forests_are_kept_over_a_restart_and_the_newest_holds(bench: Any, learn: Any, tmp_path: Path) -> None:
    trained(bench, learn)
    again = Rates("n", bench.host.gauges(), RateConfig(), tmp_path / "forests", bench.host.clock)
    assert again.held() == {KEY: 1}
    bench.rates.adopt(*KEY, learn([bench.rates.history("c1")[0]], 2))
    again = Rates("n", bench.host.gauges(), RateConfig(), tmp_path / "forests", bench.host.clock)
    assert again.held() == {KEY: 2}


def test_a_torn_file_is_removed_counted_and_no_obstacle(bench: Any, learn: Any, tmp_path: Path) -> None:
    trained(bench, learn)
    (path,) = (tmp_path / "forests").glob("*.forest")
    path.write_bytes(path.read_bytes()[:-100])
    models = Models(tmp_path / "forests", 10)
    models.load()
    assert (len(models), models.counts["broken"], path.exists()) == (0, 1, False)


def test_a_forest_for_another_workload_or_no_forest_is_refused(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    body = learn([bench.rates.history("c1")[0]])
    assert "came for" in bench.rates.adopt("container/db", "sha256:1", body)
    assert "not a forest" in bench.rates.adopt(*KEY, b"{}")
    assert bench.rates.counters()["models_refused"] == 2
    assert bench.rates.held() == {KEY: 1}


def test_no_more_forests_are_kept_than_the_bound_the_longest_unused_goes(
    bench: Any, learn: Any, tmp_path: Path
) -> None:
    trained(bench, learn)
    window = bench.rates.history("c1")[0]
    models = Models(tmp_path / "few", 2)
    for name in ("a", "b", "c"):
        body = learn([window]).replace(b'"container/web"', f'"{name}"'.encode())
        assert models.adopt((name, KEY[1]), body) == ""
        models.get(("a", KEY[1]))
    assert set(models.revisions()) == {("a", KEY[1]), ("c", KEY[1])}
    assert len(list((tmp_path / "few").iterdir())) == 2


def test_a_full_disk_costs_the_file_not_the_forest(bench: Any, learn: Any, tmp_path: Path) -> None:
    trained(bench, learn)
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    models = Models(blocked / "forests", 2)
    assert models.adopt(KEY, learn([bench.rates.history("c1")[0]])) == ""
    assert (len(models), models.counts["unsaved"]) == (1, 1)


def test_windows_nobody_takes_are_bounded_and_counted(bench: Any) -> None:
    config = RateConfig(max_waiting=3, history=2)
    bench.rates = Rates("n", bench.host.gauges(), config, None, bench.host.clock)
    for _ in range(6):
        bench.close()
    assert (len(bench.rates.take()), bench.rates.counters()["dropped"], len(bench.rates.history("c1"))) == (3, 2, 2)


def test_cgroups_are_bounded_and_counted(host: Any, make: Any) -> None:
    rates = Rates("n", host.gauges(), RateConfig(max_cgroups=2), None, host.clock)
    for n in range(5):
        rates.count(type(make)(n).fork())
    assert rates.counters()["cgroups_evicted"] == 3


def test_a_container_nobody_described_or_without_a_process_and_a_sandbox_have_no_window(bench: Any) -> None:
    for change in ({"complete": False}, {"init_pid": 0}, {"sandbox": True}):
        bench.container = replace(Container("c1", init_pid=77), **change)
        bench.close()
        bench.close()
        assert bench.rates.take() == []


def test_without_a_collector_and_without_forests_it_says_that_nothing_is_scored(
    host: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert open_rates("n", tmp_path, RateConfig(), with_collector=False, paths=host.paths) is None
    assert "not scored" in caplog.text
    assert open_rates("n", tmp_path, RateConfig(), with_collector=True, paths=host.paths) is not None


def test_a_pure_v2_host_is_measured_too(host: Any) -> None:
    host.put("cgroup/c1/cpu.stat", "usage_usec 1500000\nuser_usec 1\n")
    host.put("cgroup/c1/cgroup.controllers", "cpu io memory\n")
    host.put("cgroup/c1/io.stat", "8:0 rbytes=100 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n")
    gauges = host.gauges()
    reading = gauges.read(77, gauges.places(77))
    assert (reading.cpu, reading.disk_read, reading.disk_written) == (1.5, 101, 22)


def test_files_that_hold_garbage_are_no_figures_and_no_error(host: Any) -> None:
    for name in ("dev", "snmp"):
        host.put(f"proc/77/net/{name}", "Tcp: \xff\nTcp:\nlo\n eth0: x y\n" * 3)
    host.put("cgroup/cpuacct/c1/cpuacct.usage", "many")
    gauges = host.gauges()
    reading = gauges.read(77, gauges.places(77))
    assert (reading.cpu, reading.bytes_in, reading.connect_failures) == (0.0, 0, None)
    gone = gauges.read(78, gauges.places(78))
    assert gone == (0, None, None, None, None, None, None)


def test_paths_of_a_process_outside_the_visible_hierarchy_are_not_followed(host: Any) -> None:
    host.put("proc/77/cgroup", "5:cpuacct:/../../etc\n0::/../..\nno line\n")
    assert Gauges(Paths(proc=host.paths.proc, cgroup=host.paths.cgroup), 1).places(77) == ("", "", False, False)


def test_an_episode_that_gets_worse_keeps_its_id_and_says_so(bench: Any, learn: Any) -> None:
    trained(bench, learn)
    model = model_from(learn(list(bench.rates.history("c1"))))

    def half() -> list[Finding]:
        bench.host.cpu_ns += 20 * 10**9
        bench.host.sent += 6_000_000
        found: list[Finding] = bench.close()
        return found

    bench.rates._config = RateConfig(budget=1e-15)
    assert half() == []
    p = judge(model, bench.rates.history("c1")[-1], 1.0).p
    bench.rates._config = RateConfig(budget=3 * p / model.threshold(1.0))
    (first,) = half()
    (second,) = miner(bench)
    assert (first.severity, second.severity) == (Severity.MEDIUM, Severity.HIGH)
    assert (second.id, second.count) == (first.id, 2)
    assert "0.967 cores" in second.title
    assert second.surprise > first.surprise
