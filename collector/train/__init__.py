"""Train: from the windows of a workload's containers to a forest its agents score with."""

from collector.train.forest import TrainConfig
from collector.train.trainer import RateOptions, Trainer

__all__ = ["RateOptions", "TrainConfig", "Trainer"]
