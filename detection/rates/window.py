"""One container during one window of time, as a vector."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateWindow:
    """`values` are in the order and on the scale of `features.FEATURES`; bit i of `missing`: feature i was not had.

    `lasting`: the mean of `values` over this and the windows before it, `features.LASTING` in all; () until there are.
    `lossy`: events were lost meanwhile, so it is no ground to learn from. `anomalous`: it was reported, likewise.
    """

    workload: str
    version: str
    container_id: str
    end_ns: int
    seconds: float
    values: tuple[float, ...]
    missing: int = 0
    lossy: bool = False
    anomalous: bool = False
    lasting: tuple[float, ...] = ()
