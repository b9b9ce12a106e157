"""What travels beside the records: profiles and rates up, the fleet's knowledge, decisions and forests down.

Records come first: between two batches of them goes at most one part of a profile, and none before the part's
predecessor was handed over. Nothing of it is in the sequence, so nothing of it can hold an acknowledgement up.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable

from vedette.v1 import agent_pb2

from agent.exchange import Exchange, Forest
from agent.rule_mail import RuleSetPart
from agent.uplink.profiles import decisions_from, part_from, profile_message
from agent.uplink.rates import window_message
from detection.baseline.parts import Assembler, Part, split
from detection.errors import DetectionError

log = logging.getLogger(__name__)

FEATURES = ("profiles", "rates")
RULES = "rules"
_WINDOWS = 256  # in one message


class Side:
    """One connection's exchange. `next` is called by the thread that sends, all others by the one that receives."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._assembler = Assembler()
        self._parts: deque[Part] = deque()
        self._lock = threading.Lock()
        self._over = False

    def features(self) -> tuple[str, ...]:
        """What this side understands."""
        return (*FEATURES, RULES) if self._exchange.rules.wanted else FEATURES

    def rules(self) -> tuple[str, str]:
        """Digests of the rules in force, and of the collector's that are kept."""
        return self._exchange.rules.running, self._exchange.rules.held

    def welcomed(self, features: Iterable[str]) -> None:
        """The collector answered; a collector of an older version names no features and gets nothing."""
        self._exchange.connected(features)

    def closed(self) -> None:
        """The connection is over. Its sender may still run for a moment, and must not take the next one's updates."""
        with self._lock:
            self._over = True
        self._exchange.disconnected()

    def next(self) -> agent_pb2.AgentMessage | None:
        """One message to send now, if there is any."""
        with self._lock:
            return None if self._over else self._take()

    def _take(self) -> agent_pb2.AgentMessage | None:
        if not self._parts and (update := self._exchange.next()) is not None:
            self._parts.extend(split(update))
        if self._parts:
            return profile_message(self._parts.popleft())
        if windows := self._exchange.next_windows(_WINDOWS):
            messages = [window_message(window) for window in windows]
            return agent_pb2.AgentMessage(rates=agent_pb2.RateWindows(windows=messages))
        return None

    def handle(self, message: agent_pb2.CollectorMessage) -> None:
        """Something that is neither welcome nor acknowledgement; what a newer collector adds is passed over."""
        try:
            self._handle(message)
        except DetectionError as error:
            log.warning("collector: what it sent of a profile is not usable: %s", "".join(
                c if c.isprintable() else "?" for c in str(error)[:300]
            ))  # fmt: skip

    def _handle(self, message: agent_pb2.CollectorMessage) -> None:
        match message.WhichOneof("body"):
            case "profile_ack":
                ack = message.profile_ack
                self._exchange.acked((ack.workload, ack.version), ack.number)
            case "fleet_profile":
                update = self._assembler.add(part_from(message.fleet_profile))
                if update is not None:
                    self._exchange.profile(update)
            case "decisions":
                self._exchange.decided(decisions_from(message.decisions))
            case "rate_forest":
                forest = message.rate_forest
                self._exchange.forest(Forest(forest.workload, forest.version, forest.revision, forest.body))
            case "rule_set":
                part = message.rule_set
                self._exchange.rules.put(RuleSetPart(part.digest, part.part, part.parts, part.body))
