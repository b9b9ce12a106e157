"""`make test-kernels`: the sensor suite on every kernel, and a table of what each lets it see.

Builds the acting program, then for each kernel fetches it, boots it, runs suite.py there and reads result.json.
Ends with 1 where a check failed, a program costs the verifier a quarter more than recorded, or a kernel could not be
had; with --if-available a kernel that cannot be had is skipped, with the reason. On Debian 6.1 all of it runs once
more with the bcc sensor, compiled there against that kernel's headers, and the conformance suite over every sensor.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.kernels.boot import boot, check_tools
from tests.kernels.fetch import SUITES, Kernel, UnavailableError, fetch, fetch_headers
from tests.kernels.report import Result, markdown, regressions, table

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_BUILD = _ROOT / "build" / "kernels"
_RECORDED = _HERE / "verifier.json"
_TABLE = _ROOT / "docs" / "kernels.md"
_LIMIT_S = 420.0
_CONSOLE_LINES = 15
_WITH_BCC, _BCC_TIMES = ("bookworm",), 3


def main() -> int:
    """See the module; prints progress on stderr, the table on stdout."""
    options = _options()
    results, failed = [], False
    try:
        check_tools()
        acts = _compile()
    except UnavailableError as error:
        return _unavailable("the kernel matrix", error, options.if_available)
    for suite in options.suites:
        for run in (_core_re, _bcc) if suite in _WITH_BCC else (_core_re,):
            try:
                result = run(suite, acts, options.limit)
            except UnavailableError as error:
                failed |= bool(_unavailable(suite, error, options.if_available))
                continue
            failed |= result is None or bool(result.failures)
            results += [result] if result else []
    if not results:
        return int(failed)
    print(table(results))
    recorded = json.loads(_RECORDED.read_text()) if _RECORDED.exists() else {}
    worse = regressions(recorded, results)
    print("\n".join(worse))
    if options.update and not failed:
        _record(recorded, results)
    return int(failed or (bool(worse) and not options.update))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-kernels", description="the sensor suite on other kernels")
    parser.add_argument("suites", nargs="*", default=list(SUITES), help=f"Debian suites, of: {', '.join(SUITES)}")
    parser.add_argument("--if-available", action="store_true", help="skip what cannot be fetched")
    parser.add_argument("--update", action="store_true", help="rewrite verifier.json and docs/kernels.md")
    parser.add_argument("--limit", type=float, default=_LIMIT_S, help="seconds a kernel may take")
    options = parser.parse_args()
    unknown = set(options.suites) - set(SUITES)
    if unknown:
        parser.error(f"unknown suite {', '.join(sorted(unknown))}; choose of {', '.join(SUITES)}")
    return options


def _unavailable(what: str, error: Exception, accepted: bool) -> int:
    _say(f"{what}: {'skipped' if accepted else 'not run'}: {error}")
    return int(not accepted)


def _say(text: str) -> None:
    print(f"\033[2m· {text}\033[0m" if sys.stderr.isatty() else f"· {text}", file=sys.stderr, flush=True)


def _compile() -> Path:
    _BUILD.mkdir(parents=True, exist_ok=True)
    acts = _BUILD / "acts"
    subprocess.run(
        ["clang", "-O2", "-Wall", "-Werror", "-static", "-o", acts, _HERE / "acts.c", _HERE / "ways.c"],
        check=True,
    )
    return acts


def _core_re(suite: str, acts: Path, limit_s: float) -> Result | None:
    return _run(fetch(suite), suite, limit_s, acts)


def _bcc(suite: str, acts: Path, limit_s: float) -> Result | None:
    """Compiling takes minutes there."""
    kernel = fetch(suite)
    return _run(kernel, f"{suite}/bcc", _BCC_TIMES * limit_s, acts, fetch_headers(kernel))


def _run(kernel: Kernel, name: str, limit_s: float, *arguments: Path) -> Result | None:
    """None where the suite did not come to its end; says why."""
    _say(f"{name}: Linux {kernel.version}")
    share = _BUILD / name.replace("/", "-")
    outcome = boot(kernel, [sys.executable, "-m", "tests.kernels.suite", *map(str, arguments)], share, limit_s)
    if outcome.status != 0 or not (share / "result.json").exists():
        console = "\n".join(outcome.console.splitlines()[-_CONSOLE_LINES:])
        how = (
            f"ended with {outcome.status}"
            if outcome.status is not None
            else f"gave no result in {outcome.seconds:.0f} s"
        )
        _say(f"{name}: the suite {how} (console and output: {share})\n{outcome.output}\n{console}")
        return None
    result = Result.read(name, json.loads((share / "result.json").read_text()))
    _say(f"{name}: {result.summary()}, {outcome.seconds:.0f} s")
    for check, failure in result.failures.items():
        _say(f"{name}: {check}: {failure}")
    return result


def _place(suite: str) -> tuple[int, str]:
    """By kernel, oldest first, and the bcc sensor behind."""
    return list(SUITES).index(suite.partition("/")[0]), suite


def _record(recorded: dict[str, dict[str, int]], results: Sequence[Result]) -> None:
    """Write down what the verifier walked, and the table; suites that did not run keep what is recorded of them."""
    merged = recorded | {result.suite: dict(sorted(result.verified.items())) for result in results}
    ordered = {suite: merged[suite] for suite in sorted(merged, key=_place)}
    _RECORDED.write_text(json.dumps(ordered, indent=1) + "\n")
    if {result.suite.partition("/")[0] for result in results} == set(SUITES):
        _TABLE.write_text(markdown(results))
    else:
        _say(f"{_TABLE.name} is rewritten by a run of all kernels only")


if __name__ == "__main__":
    sys.exit(main())
