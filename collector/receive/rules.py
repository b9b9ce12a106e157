"""Rule sets on their way to agents."""

import zlib

from vedette.v1 import agent_pb2

from collector.rulebook import Offer

_PART = 256 << 10  # acknowledgements go in between


def rule_set_messages(offer: Offer) -> list[bytes]:
    """A rule set as messages on an agent's stream, in order."""
    body = zlib.compress(offer.body) if offer.digest else b""
    pieces = [body[at : at + _PART] for at in range(0, len(body), _PART)] or [b""]
    return [
        bytes(
            agent_pb2.CollectorMessage(
                rule_set=agent_pb2.RuleSetPart(digest=offer.digest, part=number, parts=len(pieces), body=piece)
            ).SerializeToString()
        )
        for number, piece in enumerate(pieces)
    ]
