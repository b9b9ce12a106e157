"""Findings that belong together, and why: sans-I/O, deterministic."""

from collector.correlate.config import Config
from collector.correlate.correlator import Correlator

__all__ = ["Config", "Correlator"]
