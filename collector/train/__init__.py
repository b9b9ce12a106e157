"""Train: from the windows of a workload's containers to a forest its agents score with."""
