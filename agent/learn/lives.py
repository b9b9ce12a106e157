"""The lives of container instances: which phase each is in.

Phases go by slots, not by a clock, so setting the clock neither shortens nor stretches them:

- startup: from the container's first program, where that was seen, to the end of the first whole slot after it. A
  program that replaces the first one later changes nothing; a container that is started again is another instance.
- shutdown: from a stop signal that someone outside sent to its first process, until it is gone; two whole slots
  later it was not meant to stop, or does not mean to, and is steady again.
- steady: all else. A container that ran before we watched is steady at once.

Not observable: a container killed at once (SIGKILL, cgroup.kill) has no shutdown, nor has one whose first process
ends by itself. What entered from outside (kubectl exec) is steady whenever it happens.
"""

from dataclasses import dataclass

from agent.events import Call, CallKind, Exec
from agent.learn.actor import RUNTIME, parent_marker
from agent.workload import Identified
from detection.baseline.keys import Phase

_STARTUP_SLOTS = 2  # the one it began in, and the first whole one
_SHUTDOWN_SLOTS = 3
_STOPS = frozenset({2, 3, 15, 28, 37})  # INT (postgres), QUIT (nginx), TERM, WINCH (httpd), RTMIN+3 (systemd)


@dataclass(slots=True, eq=False)
class Life:
    """One instance. `slots_left` counts down to the end of a passing phase; `acted`: it was seen in this slot.

    `silent`: it is only known to be there; a container that was made but not started yet, say.
    """

    instance: str
    phase: Phase = Phase.STEADY
    slots_left: int = 0
    init_pid: int = 0
    acted: bool = True
    silent: bool = False
    whole: bool = True  # was steady when the slot began: what is missing in it did not happen

    def slot_over(self) -> Phase | None:
        """The slot ended: the passing phase that ended with it, if one did."""
        self.acted = False
        ended = None
        if self.slots_left:
            self.slots_left -= 1
            if not self.slots_left:
                ended, self.phase = self.phase, Phase.STEADY
        self.whole = self.phase is Phase.STEADY
        return ended


def begins(identified: Identified, instance: str) -> Life:
    """The life of an instance seen for the first time, with this event."""
    life = Life(instance)
    process = identified.process
    if identified.container is None:
        return life
    if isinstance(identified.event, Exec) and not process.entry_id and parent_marker(identified) == RUNTIME:
        life.phase, life.slots_left, life.whole, life.init_pid = Phase.STARTUP, _STARTUP_SLOTS, False, process.pid
    life.init_pid = identified.container.init_pid or life.init_pid
    return life


def stopped_by(identified: Identified) -> tuple[str, int] | None:
    """Container id and pid of whom this event asks to stop; None for any other event."""
    event, target = identified.event, identified.target
    if not isinstance(event, Call) or event.call is not CallKind.KILL or target is None or not target.container_id:
        return None
    if event.args[0] not in _STOPS or identified.process.container_id:
        return None
    return target.container_id, target.pid


def stop(life: Life, pid: int) -> bool:
    """The process with that pid was asked to stop; whether the instance now shuts down."""
    if life.phase is Phase.SHUTDOWN or pid != life.init_pid:
        return False
    life.phase, life.slots_left = Phase.SHUTDOWN, _SHUTDOWN_SLOTS
    return True
