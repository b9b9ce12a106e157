"""The best sensor a machine allows is taken; a worse one never silently."""

import logging

import pytest

from agent.errors import SourceError
from agent.source.bcc_source import BccSource
from agent.source.capabilities import LOADERS, Loader
from agent.source.choose import SENSORS, choose
from agent.source.core_re import CoReSource
from agent.source.polling import PollingSource
from cli.agent import command


def _machine(**usable: bool):
    """Loaders that answer as told; `polling` last, as in LOADERS."""
    return {name: lambda name=name: Loader(name, usable[name.replace("-", "_")], "as told") for name in LOADERS}


@pytest.mark.parametrize(
    ("co_re", "bcc", "polling", "expected"),
    [(True, True, True, CoReSource), (False, True, True, BccSource), (False, False, True, PollingSource)],
)
def test_auto_takes_the_first_that_can_be_used(co_re, bcc, polling, expected):
    """CO-RE before bcc before polling."""
    assert type(choose("auto", 1 << 20, _machine(CO_RE=co_re, bcc=bcc, polling=polling))) is expected


def test_a_worse_sensor_is_announced_with_the_reason(caplog):
    """Whoever gets less is told why, once."""
    with caplog.at_level(logging.WARNING):
        choose("auto", 1 << 20, _machine(CO_RE=False, bcc=False, polling=True))
    [record] = caplog.records
    assert "the polling sensor watches: CO-RE as told; bcc as told" in record.getMessage()


def test_without_any_the_reasons_are_told():
    """No sensor: an error that names each with its reason."""
    with pytest.raises(SourceError, match="CO-RE as told; bcc as told; polling as told"):
        choose("auto", 1 << 20, _machine(CO_RE=False, bcc=False, polling=False))


def test_a_named_sensor_is_taken_unasked():
    """--sensor is obeyed: what it lacks it says itself at start."""
    assert type(choose("polling", 1 << 20, {})) is PollingSource
    assert type(choose("bcc", 1 << 20, {})) is BccSource


def test_the_command_offers_the_same_names():
    """`vedette agent --sensor` knows what `choose` knows."""
    [option] = [parameter for parameter in command.params if parameter.name == "sensor"]
    assert tuple(option.type.choices) == SENSORS
