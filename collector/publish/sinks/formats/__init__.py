"""Findings and incidents in the forms SIEMs and alert routers read: pure functions from a subject to bytes."""

from collector.publish.sinks.formats.cef import cef
from collector.publish.sinks.formats.ecs import ecs
from collector.publish.sinks.formats.falco import falco
from collector.publish.sinks.formats.ocsf import ocsf
from collector.publish.sinks.formats.otlp import otlp_record
from collector.publish.sinks.port import Format

__all__ = ["cef", "ecs", "falco", "format_of", "ocsf", "otlp_record"]


def format_of(name: str, ocsf_version: str = "1.5.0") -> Format:
    """The function of a format by its name. Raises: KeyError."""
    if name == "ocsf":
        return lambda subject: ocsf(subject, ocsf_version)
    return {"ecs": ecs, "cef": cef, "falco": falco, "otlp": otlp_record}[name]
