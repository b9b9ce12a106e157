"""What connecting somewhere touches: inside, outside, and the ports that manage things."""

from ipaddress import ip_address

import pytest

from detection.baseline.priors import ingress_touches, peer_touches


@pytest.mark.parametrize("address", ["1.1.1.1", "198.51.100.66", "203.0.113.9", "2001:db8::1", "::ffff:198.51.100.66"])
def test_public_addresses_and_those_that_stand_for_them_in_examples_weigh_more(address: str) -> None:
    outside = sum(t.weight for t in peer_touches(ip_address(address), 443))
    inside = sum(t.weight for t in peer_touches(ip_address("10.1.2.3"), 443))
    assert outside > inside > 0
    assert ingress_touches(ip_address(address), 443)
    assert not ingress_touches(ip_address("10.1.2.3"), 443)


def test_ones_own_loopback_touches_nothing() -> None:
    assert peer_touches(ip_address("127.0.0.1"), 8080) == ()
