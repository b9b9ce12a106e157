"""Where programs can be attached in the running kernel, and which of two ways its security hooks are reached."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal, NamedTuple

from agent.source.libbpf import KernelTypes, LibBpf
from agent.source.programs import Program, group_of
from agent.source.trials import Answer, can_attach_fentry, can_attach_lsm

Way = Literal["lsm", "fentry", ""]
_ACTIVE = Path("/sys/kernel/security/lsm")


class Security(NamedTuple):
    """How programs for security hooks are attached: as BPF LSM, at the entry of the kernel's own function for the hook
    (same place, same arguments; cannot deny), or not at all. `why` says why not a better way, "" for the best.
    """

    way: Way
    why: str = ""


def can_use_lsm(lib: LibBpf, active: Path = _ACTIVE) -> tuple[Answer, str]:
    """Whether an LSM program would be attached, and run: a kernel booted without "bpf" among its security modules
    attaches it all the same and never runs it.
    """
    answer, detail = can_attach_lsm(lib)
    if answer != "yes":
        return answer, detail
    try:
        modules = active.read_text().strip()
    except OSError as error:
        return "unknown", f"{active}: {error.strerror}"
    if "bpf" not in modules.split(","):
        return "no", f"the kernel runs without bpf among its security modules ({modules})"
    return answer, detail


def find_security(
    lib: LibBpf,
    lsm: Callable[[LibBpf], tuple[Answer, str]] = can_use_lsm,
    fentry: Callable[[LibBpf], tuple[Answer, str]] = can_attach_fentry,
) -> Security:
    """Try what this kernel allows: loads and attaches a tiny program at a hook that is hardly used, for a moment."""
    answer, why = lsm(lib)
    if answer == "yes":
        return Security("lsm")
    answer, detail = fentry(lib)
    if answer == "yes":
        return Security("fentry", why)
    both = why if why == detail else f"{why}; {detail}"
    return Security("", f"neither BPF LSM nor fentry can be used ({both})")


def way_of(program: Program, way: Way) -> str:
    """How a program is attached, where a kernel could have given it another way; "" where there is but one."""
    if program.hook.startswith("lsm:"):
        return {"lsm": "BPF LSM", "fentry": "fentry", "": ""}[way]
    if program.beside.startswith("lsm:"):
        return "tracepoint, for the outcome"
    return "tracepoint" if program.without.startswith("lsm:") else ""


class Hooks:
    """What programs ask of the kernel. `refused`: security hooks whose program the kernel did not take; with one, all
    of its group are left to the programs that stand in.
    """

    def __init__(self, types: KernelTypes, security: Security, refused: Collection[str] = ()) -> None:
        self._types, self.security = types, security
        self._refused = {group_of(hook) for hook in refused}

    def parameters(self, tracepoint: str) -> int:
        """How many arguments a tracepoint hands over; -1 where it does not exist."""
        return self._types.parameters(tracepoint)

    def lacks(self, hook: str) -> str:
        """What is in the way of a security hook; "" where nothing."""
        if not self.security.way:
            return self.security.why
        function = f"bpf_lsm_{hook}" if self.security.way == "lsm" else f"security_{hook}"
        if self._types.function(function) < 0:
            return f"the kernel has no {function}"
        return "the kernel refuses a program of its kind" if group_of(hook) in self._refused else ""
