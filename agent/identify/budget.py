"""A rate limit on work an event may cause, in event time, so that it is the same in every replay."""


class Budget:
    """Allows `burst` at once and `per_s` a second after that."""

    __slots__ = ("_at_ns", "_burst", "_left", "_per_ns")

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_ns = per_s / 1e9
        self._burst = burst
        self._left = float(burst)
        self._at_ns = 0

    def take(self, now_ns: int) -> bool:
        """One unit, if there is one."""
        if now_ns > self._at_ns:
            self._left = min(self._burst, self._left + (now_ns - self._at_ns) * self._per_ns)
            self._at_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True
