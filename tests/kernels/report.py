"""What the runs found, as a table for people and as differences from what was recorded. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agent.source.programs import PROGRAMS

_ALLOWED = 1.25  # of the recorded number of instructions; other compilers and kernel updates cost a few per cent
_SMALL = 500  # below this the verifier's count says nothing about growth
_ATTACHED, _STANDS_IN = "attached", "stands in"
# A program that is neither attached nor refused is not needed here: another one watches the same thing.


class Result(NamedTuple):
    """One kernel's result.json. `suite` is Debian's, with "/bcc" behind it where that sensor ran.

    `probes` maps the sensor's probes to "" where attached, else to why not and what follows. `verified` is by program:
    one program can be attached as several probes.
    """

    suite: str
    kernel: str
    object: str
    probes: Mapping[str, str]
    failures: Mapping[str, str]
    checks: int
    verified: Mapping[str, int]
    starts: Mapping[str, float]

    @classmethod
    def read(cls, suite: str, raw: Mapping[str, Any]) -> "Result":
        """From suite.py's JSON."""
        sensor = suite.partition("/")[2]
        return cls(
            suite,
            " ".join(filter(None, (raw["kernel"], sensor))),
            raw["object"],
            {probe["name"]: "" if probe["attached"] else probe["consequence"] for probe in raw["probes"]},
            {check["name"]: check["failure"] for check in raw["checks"] if check["failure"]},
            len(raw["checks"]),
            raw["verified"],
            raw.get("starts", {}),
        )

    def state(self, program: str) -> str:
        """One word for a program; the reason is in `refusals`."""
        if program not in self.probes:
            return _STANDS_IN
        return "refused" if self.probes[program] else _ATTACHED

    def refusals(self) -> dict[str, str]:
        """Why programs do not watch here, and what goes unseen."""
        return {name: why for name, why in self.probes.items() if why}

    def summary(self) -> str:
        """One line."""
        attached = sum(not why for why in self.probes.values())
        passed = self.checks - len(self.failures)
        said = f"{attached} programs attached, {len(self.refusals())} not, {passed} of {self.checks} checks hold"
        return said + "".join(f", {how} in {seconds:.0f} s" for how, seconds in self.starts.items())


def table(results: Sequence[Result]) -> str:
    """Probe by kernel, then every refusal with its reason, then the checks."""
    rows = [["probe", *(result.kernel for result in results)]]
    rows += [[name, *(result.state(name) for result in results)] for name in _programs(results)]
    rows += [["checks that hold", *(f"{r.checks - len(r.failures)} of {r.checks}" for r in results)]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{result.kernel}: {name}: {why}" for result in results for name, why in result.refusals().items()]
    return "\n".join(lines)


def _programs(results: Sequence[Result]) -> list[str]:
    """In the order of PROGRAMS; one that is on no kernel of these is left out."""
    return [p.name for p in PROGRAMS if any(p.name in result.probes for result in results)]


def regressions(recorded: Mapping[str, Mapping[str, int]], results: Sequence[Result]) -> list[str]:
    """Programs that cost the verifier too much more than recorded, one line each."""
    return [
        f"{result.kernel}: {name}: the verifier walks {count:,} instructions, {before:,} are recorded: "
        "make the program simpler, or accept it with `make test-kernels KERNEL_ARGS=--update`"
        for result in results
        for name, count in result.verified.items()
        if (before := recorded.get(result.suite, {}).get(name)) and count > max(before * _ALLOWED, _SMALL)
    ]


def markdown(results: Sequence[Result]) -> str:
    """docs/kernels.md."""
    head = ["probe", *(result.kernel for result in results)]
    lines = [_INTRODUCTION, _row(head), _row(["---"] * len(head))]
    code = {program.name: program.function for program in PROGRAMS}
    lines += [
        _row([f"`{name}`", *(_cell(result, name, code[name]) for result in results)]) for name in _programs(results)
    ]
    lines += ["", "## Why not", ""]
    why = {(name, text) for result in results for name, text in result.refusals().items()}
    lines += [
        f"- `{name}` ({', '.join(r.kernel for r in results if r.refusals().get(name) == text)}): {text}"
        for name, text in sorted(why)
    ]
    return "\n".join(lines) + "\n"


def _cell(result: Result, name: str, code: str) -> str:
    """Attached: what the verifier walked."""
    state = result.state(name)
    return f"{result.verified[code]:,}" if state == _ATTACHED else f"*{state}*"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_INTRODUCTION = """# Kernels

Generated by `make test-kernels KERNEL_ARGS=--update`; see [ADR 12](adr/0012-kernel-matrix.md). Every kernel is
booted, loads the sensor, and runs a real container whose every act must come out as the right event. A number says
that the program is attached, and how many instructions the kernel's verifier walked to accept it (its limit is
1,000,000). *stands in*: not needed on this kernel, another program watches the same thing. *refused*: not attached;
why, and what goes unseen, stands below.
"""
