"""Every runtime rule fires on a real act in a real container, through the sensor and the whole path behind it."""

import pytest

from tests.live.acts import ACTS, NOT_HERE
from tests.live.conftest import rule_names

pytestmark = [pytest.mark.bpf, pytest.mark.container]


def test_every_rule_has_an_act_or_a_reason():
    """The table is whole: no rule is left untried without a word, none is named that does not exist."""
    assert set(ACTS) | set(NOT_HERE) == rule_names()
    assert not set(ACTS) & set(NOT_HERE)


@pytest.mark.parametrize("name", ACTS)
def test_the_rule_fires(name, watch, pod, bystander):
    """Done once, found at least once, in the container where it was done, with something to show for it."""
    act, where = ACTS[name], pod(ACTS[name].host_pids)
    before = len(watch.sink.findings)
    where.do(act, {"init": "1", "bystander": str(bystander)})
    finding = watch.wait_for(name, where.id, before)
    others = sorted({f.rule_id for f in watch.sink.findings[before:]})
    assert finding is not None, f"only these: {others}"
    assert finding.reason
    assert finding.fields


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_cannot_be_tried_here_is_said(name):
    """Skipped with the reason, so that it stands in every run's report."""
    pytest.skip(f"{name}: {NOT_HERE[name]}")
