"""`python -m bench`: what the agent costs, against the bars. Needs root, gcc and a machine nobody else uses.

Without a command everything is measured (about twenty minutes) and told as a table; figures go to build/bench/*.json.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import baseline, blocks, ceiling, dispatch, idle, kernel, latency, loads, path, principals, report, rules
from bench.bars import CEILING_RATE
from bench.blocks import Block, Options
from bench.loads import BUILD, LOADS, Load
from bench.report import Results

PARTS = ("loads", "kernel", "latency", "idle", "ceiling")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit status is 1 where `baseline` found a broken promise."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["real"]:
        from bench.real import command  # noqa: PLC0415 - needs far more than the rest

        return command.main(arguments[1:])
    options = _parser().parse_args(arguments)
    if options.command == "baseline":
        return baseline.main(options.runs, summary=options.summary)
    if options.command == "principals":
        principals.main(options.weeks, options.seeds)
        return 0
    if options.command == "show":
        print(report.markdown(report.load_results(options.file)))
        return 0
    loads.prepare()
    if options.command == "dispatch":
        print(dispatch.report())
    elif options.command == "rules":
        print(rules.report(rules.measure()))
    elif options.command == "path":
        _path(_chosen(options.loads), options.profile)
    else:
        results = _measure(options)
        print(f"\n{report.plain(results)}\n\n{results.write(BUILD)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="which of %(default)s to measure")
    parser.add_argument("--loads", default=",".join(load.name for load in LOADS), help="which of %(default)s to run")
    parser.add_argument("--blocks", type=int, default=5, help="blocks for each load")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the work of a load")
    parser.add_argument("--findings", type=int, default=200, help="findings timed for each latency figure")
    parser.add_argument("--seconds", type=float, default=30, help="length of the idle watch")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for a quiet machine, each time")
    commands = parser.add_subparsers(dest="command")
    baseline_parser = commands.add_parser("baseline", help="do the baseline's bounds and its budget hold?")
    baseline_parser.add_argument("runs", type=int, nargs="?", default=200)
    baseline_parser.add_argument("--summary", action="store_true", help="also write bench/BASELINE.md")
    people = commands.add_parser("principals", help="behaviour of principals: budget, intrusions, speed")
    people.add_argument("weeks", type=int, nargs="?", default=8)
    people.add_argument("seeds", type=int, nargs="?", default=3)
    commands.add_parser("real", help="real software in containers: convergence, budget, intrusions (real --help)")
    commands.add_parser("rules", help="what rules cost, as shipped and up to 1,000 of them")
    commands.add_parser("dispatch", help="what ways to see system calls cost every system call")
    path_parser = commands.add_parser("path", help="what a record costs in Python")
    path_parser.add_argument("--loads", default="exec,exec-dynamic,compile")
    path_parser.add_argument("--profile", action="store_true", help="also tell which functions it goes to")
    commands.add_parser("show", help="tables of an earlier run").add_argument("file", type=Path)
    return parser


def _chosen(names: str) -> list[Load]:
    known = {load.name: load for load in LOADS}
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        sys.exit(f"no load is called {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def _measure(options: argparse.Namespace) -> Results:
    results, parts = Results(), options.parts.split(",")
    chosen = _installed(_chosen(options.loads), results)
    if "loads" in parts:
        how = Options(options.blocks, options.scale, options.patience)
        results.blocks = blocks.measure(chosen, how, _tell)
    if "kernel" in parts:
        results.programs = kernel.measure(chosen, options.scale / 4)
    if "latency" in parts:
        results.latency = [latency.measure(options.findings, rate) for rate in (0, CEILING_RATE)]
    if "idle" in parts:
        results.idle = idle.measure(options.seconds, starts=3, patience_s=options.patience)
    if "ceiling" in parts:
        _ceiling(results)
    return results


def _installed(chosen: Sequence[Load], results: Results) -> list[Load]:
    for load in chosen:
        if missing := load.missing():
            results.skipped[f"load {load.name}"] = f"not installed: {', '.join(missing)}"
    return [load for load in chosen if not load.missing()]


def _ceiling(results: Results) -> None:
    if ceiling.available():
        results.ceiling = [ceiling.measure(rate) for rate in (CEILING_RATE // 2, CEILING_RATE, CEILING_RATE * 2)]
    else:
        results.skipped["ceiling"] = "this version has no `vedette record --unfiltered`"


def _tell(block: Block) -> None:
    print(
        f"{block.load:13} wall ×{block.wall_ratio:.3f} (noise {block.noise:.3f}, foreign {block.foreign:.2f})"
        f"  load's CPU ×{block.cpu_ratio:.3f}  agent {block.agent_cpu_s:.2f} s, {block.agent_memory_mb:.0f} MB,"
        f" {block.emitted:,} records, {block.lost:,} lost",
        flush=True,
    )


def _path(chosen: Sequence[Load], profiled: bool) -> None:
    for load in chosen:
        cost = path.cost(load)
        print(
            f"{cost.load:13} {cost.records:,} records, {cost.per_record_us:.1f} µs each,"
            f" {cost.per_operation_us:.1f} µs per operation"
        )
        if profiled:
            path.profile(load).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    sys.exit(main())
