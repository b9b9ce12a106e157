"""How sure it is that two findings under one key belong together: one function per kind of key."""

from collections.abc import Callable
from dataclasses import dataclass

from collector.correlate.config import HOUR, MINUTE, SECOND

Half = tuple[str, str]  # side and home of a finding under a key
Confidence = Callable[[Half, Half, int], float]  # of the earlier, of the later, nanoseconds between → 0..1


@dataclass(frozen=True, slots=True)
class JoinRule:
    """`confidence` gives 0 where the two do not belong together.

    A value seen with more than `homes` homes of the sides in `counted` names no one place any more (a NAT address, an
    account everybody uses): it then joins nothing. 0: no such limit, because the value is one place by nature.
    Where two halves may meet, the findings of one of them must be joined among themselves, here or by a surer key:
    else the order of arrival would matter. `confirms` marks kinds of key worth showing beside a surer one.
    """

    name: str
    confidence: Confidence
    homes: int = 0
    counted: frozenset[str] = frozenset()
    confirms: bool = False


# Two clocks are never quite the same.
SKEW = 5 * SECOND


def _always(confidence: float) -> Confidence:
    return lambda _earlier, _later, _gap: confidence


def _pod(earlier: Half, later: Half, gap: int) -> float:
    """in: happened in the pod; call: the API was called from it; on: somebody acted on it; made: it was created."""
    sides = {earlier[0], later[0]}
    if "on" in sides:
        return 0.6 if gap <= HOUR else 0.0
    if "made" in sides:
        in_order = earlier[0] == "made" or gap <= SKEW
        return 0.85 if in_order else 0.0
    return 0.95 if sides == {"in", "call"} else 0.9


def _token(earlier: Half, later: Half, gap: int) -> float:
    """A token was read, then the account called: from that pod, or from a place the token does not tell."""
    sides = {earlier[0]: earlier[1], later[0]: later[1]}
    in_order = earlier[0] == "token" or gap <= SKEW
    if len(sides) < 2 or not in_order or sides["call"] not in ("", sides["token"]):
        return 0.0
    return 0.9 if sides["call"] else 0.85


def _account(earlier: Half, later: Half, gap: int) -> float:
    """Only the account is shared: weaker the longer ago. Two pods of one account are not related by it."""
    sides, homes = {earlier[0], later[0]}, {earlier[1], later[1]}
    if sides == {"pod"}:
        return 0.0
    if "" not in homes:
        return 0.9 if len(homes) == 1 else 0.0
    return 0.6 if gap <= 10 * MINUTE else 0.45 if gap <= HOUR else 0.3 if gap <= 6 * HOUR else 0.0


def _address(earlier: Half, later: Half, gap: int) -> float:
    """own: the container's address; peer: the other end of a connection; call: source of an API call."""
    sides = frozenset((earlier[0], later[0]))
    if sides == {"call"}:
        return 0.65 if earlier == later and gap <= HOUR else 0.0
    if sides == {"own", "peer"}:
        return 0.75 if earlier[1] != later[1] and gap <= 10 * MINUTE else 0.0
    if sides == {"own", "call"}:
        return 0.9 if gap <= HOUR else 0.0
    return 0.0


def _user(_earlier: Half, _later: Half, gap: int) -> float:
    return 0.6 if gap <= HOUR else 0.0


_TABLE = (
    JoinRule("audit_event", _always(1.0)),
    JoinRule("process_tree", _always(0.98)),
    JoinRule("credential", _always(0.9), confirms=True),
    JoinRule("container", _always(0.9)),
    JoinRule("pod_uid", _pod),
    JoinRule("pod_name", _pod),
    JoinRule("service_account_token", _token, 12, frozenset({"token"}), confirms=True),
    JoinRule("address", _address, 2, frozenset({"own"}), confirms=True),
    JoinRule("service_account", _account, 6, frozenset({"pod", "call"}), confirms=True),
    JoinRule("user", _user, 10, frozenset({""}), confirms=True),
)
RULES = {rule.name: rule for rule in _TABLE}
RANK = {"exec_audit_event": -1} | {rule.name: rank for rank, rule in enumerate(_TABLE)}
PEER_HOMES = 24
