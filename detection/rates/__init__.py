"""Rates: how fast a workload normally does things. The collector trains an isolation forest, the agent scores it."""
