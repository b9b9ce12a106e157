"""The classes of behaviour a profile is divided into, and the phases of a container's life."""

from enum import StrEnum
from typing import NamedTuple

CLASSES = ("exec", "write", "read", "egress", "ingress", "listen", "credential", "capability", "call")


class Phase(StrEnum):
    """Part of a container's life; the host and its services are always steady."""

    STARTUP = "startup"  # from its first program to the end of the first whole slot after it
    STEADY = "steady"
    SHUTDOWN = "shutdown"  # from the stop signal to its end


class ClassKey(NamedTuple):
    """One class of behaviour in one phase. As text "exec" (steady) or "exec/startup"."""

    behaviour: str
    phase: Phase = Phase.STEADY

    def __str__(self) -> str:
        return self.behaviour if self.phase is Phase.STEADY else f"{self.behaviour}/{self.phase.value}"

    @classmethod
    def parse(cls, text: str) -> "ClassKey":
        """The key a text form stands for. Raises: ValueError for none of ours."""
        behaviour, slash, phase = text.partition("/")
        if behaviour not in CLASSES or (slash and phase == Phase.STEADY):
            raise ValueError(f"{text[:80]!r} is no class of behaviour; those are {', '.join(CLASSES)}")
        return KEYS[behaviour][Phase(phase) if slash else Phase.STEADY]


KEYS: dict[str, dict[Phase, ClassKey]] = {b: {p: ClassKey(b, p) for p in Phase} for b in CLASSES}
"""Every key, made once: behaviour → phase → key."""
