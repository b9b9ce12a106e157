"""A process's key: pid and start time in one integer, the same from the kernel and from /proc."""

import os

# /proc tells starts in ticks of this length; the kernel's nanoseconds are rounded down to them
# (fs/proc/array.c: nsec_to_clock_t), so both give the same key.
NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PID_BITS = 32
PID_MASK = (1 << PID_BITS) - 1


def key_of(pid: int, start_ns: int) -> int:
    """The key of a process that started at `start_ns` (CLOCK_BOOTTIME)."""
    return start_ns // NS_PER_TICK << PID_BITS | pid


def key_of_ticks(pid: int, start_ticks: int) -> int:
    """The key of a process that started at `start_ticks`."""
    return start_ticks << PID_BITS | pid
