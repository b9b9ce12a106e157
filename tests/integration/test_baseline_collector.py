"""`vedette baseline` against a collector: what the fleet knows, and decisions that reach every agent."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent.baseline_files import parse_baseline
from agent.exchange import Exchange
from cli.baseline import command
from cli.certificates import Role
from collector.fleet import FleetOptions
from detection.baseline.decision import Decisions
from detection.baseline.profile import Profile, ProfileConfig

WEB, CGI, SHELL = "k8s/shop/deployment/web/web", "/bin/httpd → /bin/cgi *", "/bin/httpd → /bin/sh -i"
SLOT = 60 * 10**9


def learned(units: int, instance: str, *members: str) -> Profile:
    profile = Profile(WEB, "sha256:1", ProfileConfig())
    profile.witnessed = 1
    start = time.time_ns() // SLOT - units + 1
    for number in range(units):
        for member in members:
            known = profile.of("exec")
            row = known.row(member)
            known.touch(row if row >= 0 else known.take(member, instance, (start + number) * SLOT), instance)
        profile.alive.add(instance)
        profile.close_slot((start + number) * SLOT)
    return profile


def call(collector: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--collector", collector.address])


def good(collector: Any, *arguments: str) -> str:
    result = call(collector, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def fleet(make_collector: Any, make_agent: Any, wait_until: Any) -> tuple[Any, Exchange]:
    """A collector that two agents have told of one workload; the second one's exchange."""
    collector = make_collector(fleet=FleetOptions(merge_every_s=0.05))
    exchange: Exchange | None = None
    for name, members in (("n1", (CGI, SHELL)), ("n2", (CGI,))):
        exchange = make_agent(collector.address, name=name).exchange
        profile = learned(600, name, *members)

        def told(exchange: Exchange = exchange, profile: Profile = profile) -> bool:
            exchange.offer([profile], time.time_ns())
            return exchange.counters().get("profiles_acked", 0) > 0

        wait_until(told)
    assert exchange is not None
    return collector, exchange


def decided(exchange: Exchange, wait_until: Callable[..., None], wanted: Callable[[Decisions], bool]) -> None:
    """Wait until an agent is told so."""
    seen: list[Decisions] = []

    def told() -> bool:
        seen.extend(exchange.take_decisions())
        return any(map(wanted, seen))

    wait_until(told, seen)


def test_what_the_fleet_knows_is_listed_shown_and_exported(fleet: tuple[Any, Exchange]) -> None:
    collector, _ = fleet
    assert "2 agents" in good(collector, "list")
    (told,) = json.loads(good(collector, "list", "--format", "json"))
    assert told["classes"]["exec"]["members"] == 1
    text = good(collector, "show", "web")
    assert "Programs started: " in text
    assert "waits, not learned" in text
    assert parse_baseline(good(collector, "export", "web").encode()).accepted["exec"] == {CGI}
    assert "no difference" in good(collector, "diff", "web", "web")
    refused = call(collector, "export", "web", "--format", "seccomp")
    assert refused.exit_code == 1
    assert "stay on the machine that made them" in refused.output


def test_decisions_reach_agents_and_add_up(fleet: tuple[Any, Exchange], wait_until: Any, tmp_path: Path) -> None:
    collector, exchange = fleet
    assert "approved exec" in good(collector, "approve", "web", "--waiting")
    decided(exchange, wait_until, lambda d: d.accepts("exec", SHELL))
    good(collector, "lock", "web", "--class", "exec")
    decided(exchange, wait_until, lambda d: d.locks("exec") and d.accepts("exec", CGI) and d.accepts("exec", SHELL))
    assert "locked" in good(collector, "list")
    good(collector, "condemn", "web", "/bin/sh -i")
    decided(exchange, wait_until, lambda d: d.condemns("exec", SHELL) and not d.accepts("exec", SHELL))
    good(collector, "unlock", "web")
    decided(exchange, wait_until, lambda d: not d.lock and d.condemns("exec", SHELL))
    file = tmp_path / "web.yaml"
    file.write_text(f"workload: {WEB}\naccepted: {{exec: ['x → y']}}\n")
    good(collector, "import", str(file))
    decided(exchange, wait_until, lambda d: d.accepted == {"exec": frozenset({"x → y"})} and not d.condemned)


def test_a_reader_may_look_and_not_decide(make_collector: Any, pki: Any, tls: Any, tmp_path: Path) -> None:
    server, reader = pki(Role.COLLECTOR, "collector"), pki(Role.READER, "viewer")
    collector = make_collector(listen=("127.0.0.1:0",), tls=tls(server))
    files = ("--cert", str(reader.certificate), "--key", str(reader.key), "--ca", str(reader.ca))
    assert call(collector, "list", *files).exit_code == 0
    (tmp_path / "web.yaml").write_text(f"workload: {WEB}\nlock: true\n")
    refused = call(collector, "import", str(tmp_path / "web.yaml"), *files)
    assert refused.exit_code == 1
    assert "admin" in refused.output
    alone = call(collector, "list", "--cert", str(reader.certificate))
    assert alone.exit_code == 2
    assert "go together" in alone.output


def test_a_collector_that_is_not_there_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["list", "--collector", f"unix:{tmp_path}/none.sock"])
    assert result.exit_code == 1
    assert "Error" in result.output
