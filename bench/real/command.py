"""`python -m bench real`: run real software in containers beside a recorder, replay the recording, judge it."""

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from agent.learn.config import LearnConfig
from bench.loads import BUILD
from bench.real import tables
from bench.real.build import BUILD as BUILD_LOOP
from bench.real.cron import CRON
from bench.real.intruder import Intrusion, Servers
from bench.real.intrusions import INTRUSIONS
from bench.real.judge import play
from bench.real.nginx import NGINX
from bench.real.postgres import POSTGRES
from bench.real.redis import REDIS
from bench.real.sieve import sieve
from bench.real.web import WEB
from bench.real.workload import Workload
from bench.real.world import USUAL, Journal, Pace, RealWorld, chosen, read_journal, started
from detection.finding import Severity

ALL: tuple[Workload, ...] = (NGINX, REDIS, POSTGRES, WEB, BUILD_LOOP, CRON)
HOME = BUILD / "real"
_BETWEEN_S = 12.0
_STOP_S = 30


def main(argv: Sequence[str]) -> int:
    """Run what is asked for."""
    options = _parser().parse_args(argv)
    return int(options.act(options) or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench real", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="containers under load and, at the end, intrusions; recorded")
    run.add_argument("--minutes", type=float, default=75)
    run.add_argument("--workloads", default=",".join(w.name for w in ALL))
    run.add_argument("--name", default="run", help="of the recording and its journal below build/bench/real")
    run.add_argument("--slot", type=float, default=5, help="seconds between readings of the kernel's counts")
    run.add_argument("--hurry", type=float, default=1, help="deeds come so many times as often")
    run.add_argument("--tag", default=USUAL.tag, help="short name of this world, where two run on one machine")
    run.add_argument("--no-record", action="store_true")
    run.add_argument("--no-intrusions", action="store_true")
    run.set_defaults(act=_run)
    judge = commands.add_parser("judge", help="replay a run's recording and tell what it came to")
    judge.add_argument("--name", default="run")
    judge.add_argument("--slot", type=float, default=5, help="seconds of a time slot")
    judge.add_argument("--list", choices=[s.label for s in Severity], help="also list anomalies from this severity on")
    judge.add_argument("--members", metavar="PART", help="also list what classes of this workload hold, latest last")
    judge.set_defaults(act=_judge)
    small = commands.add_parser("sieve", help="drop from a run's recording what the host's own processes opened")
    small.add_argument("--name", default="run")
    small.add_argument("--tag", default=USUAL.tag)
    small.set_defaults(act=_sieve)
    return parser


def _run(options: argparse.Namespace) -> int:
    HOME.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    path, journal_path = HOME / f"{options.name}.vrec", HOME / f"{options.name}.journal"
    path.unlink(missing_ok=True)
    journal_path.unlink(missing_ok=True)
    journal = Journal(journal_path)
    pace = Pace(options.tag, hurry=options.hurry)
    world = RealWorld(HOME / options.tag, chosen(options.workloads.split(","), ALL), journal, pace)
    recorder = None if options.no_record else _record(path, options.slot)
    try:
        with world.up():
            _watch(world, options.minutes * 60)
            if not options.no_intrusions:
                names = options.workloads.split(",")
                intrude(world, journal, [i for i in INTRUSIONS if i.workload in names])
    finally:
        if recorder is not None:
            recorder.terminate()
            recorder.wait(_STOP_S)
        journal.close()
    _tell(world)
    return 0


def _record(path: Path, slot_s: float) -> subprocess.Popen[bytes]:
    """The recorder, as its users start it; ready when it returns."""
    command = [str(Path(sys.executable).with_name("vedette")), "record", str(path), "--max-mb", "4096"]
    recorder = subprocess.Popen([*command, "--slot", str(slot_s), "--ring-mb", "32"])
    end = time.monotonic() + _STOP_S
    while not (path.exists() and path.stat().st_size > 10_000) and time.monotonic() < end:
        if recorder.poll() is not None:
            raise RuntimeError(f"the recorder ended with {recorder.returncode}")
        time.sleep(0.2)
    return recorder


def _watch(world: RealWorld, seconds: float) -> None:
    end, told = time.monotonic() + seconds, time.monotonic()
    while (now := time.monotonic()) < end:
        time.sleep(min(1.0, end - now))
        if now - told > 60:
            told = now
            print(f"{time.strftime('%H:%M:%S')} {world.done.total()} deeds, errors {dict(world.errors)}", flush=True)


def intrude(world: RealWorld, journal: Journal, todo: Sequence[Intrusion], between_s: float = _BETWEEN_S) -> None:
    """One after the other, with the ordinary load around them."""
    servers = Servers(world.network.world)
    servers.start()
    try:
        for intrusion in todo:
            begin = time.time_ns()
            targets: list[str] = []
            try:
                targets = [c.id for c in intrusion.act(world)]
            except (OSError, LookupError, subprocess.SubprocessError, RuntimeError) as error:
                print(f"intrusion {intrusion.name}: {type(error).__name__}: {error}", flush=True)
            journal.note(
                "intrusion", name=intrusion.name, workload=intrusion.workload, containers=targets, begin_ns=begin
            )
            threading.Event().wait(between_s)
    finally:
        servers.stop()


def _sieve(options: argparse.Namespace) -> None:
    path = HOME / f"{options.name}.vrec"
    smaller = path.with_suffix(".small")
    sieve(path, smaller, options.tag)
    smaller.replace(path)


def _tell(world: RealWorld) -> None:
    for name, count in sorted(world.done.items()):
        print(f"{count:7} {name}")
    for name, count in [*world.errors.items(), *world.said.most_common(8)]:
        print(f"{count:7} errors: {name}")


def _judge(options: argparse.Namespace) -> None:
    journal = read_journal(HOME / f"{options.name}.journal")
    done = tables.deeds(journal)
    config = LearnConfig(slot_s=options.slot)
    begun = time.process_time()
    profiles = HOME / f"{options.name}.profiles.json"
    recording = HOME / f"{options.name}.vrec"
    course, learner = play(recording, config, started(journal), profiles, tables.windows(done))
    until = min((d.begin_ns for d in done), default=course.last_ns)
    minutes = (course.last_ns - course.first_ns) / 60e9
    print(f"\n{sum(course.events.values()):,} events of containers in {minutes:.1f} min, slots of {options.slot:g} s;")
    print(
        f"lost: {course.lost or 'none'}; {course.problem or 'all played'}; {time.process_time() - begun:.0f} s of CPU\n"
    )
    print(tables.convergence(course), "\n")
    print(tables.budget(course, done, options.slot, until), "\n")
    print(tables.intrusions(tables.verdicts(course, done)))
    if options.list:
        least = next(s for s in Severity if s.label == options.list)
        print("\nbenign:", *tables.listing(tables.benign(course, done), course.first_ns, least), sep="\n")
        for deed in done:
            mine = (r for r in course.raised if tables.of_deed(r, deed))
            print(f"\n{deed.name}:", *tables.listing(mine, course.first_ns, Severity.LOW), sep="\n")
    if options.members:
        print("", *tables.members(learner.profiles(), options.members, course.first_ns), sep="\n")
    dropped = learner.dropped()
    if dropped:
        print("\ndropped:", dropped)
