"""Rates: how fast each container does things, one vector a window; held against forests a collector trained."""

from agent.rates.config import RateConfig
from agent.rates.rates import Rates

__all__ = ["RateConfig", "Rates"]
