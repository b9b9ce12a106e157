"""`vedette baseline`: what was learned of each workload, in files a team can review, and what it decides about it."""

from cli.baseline.command import command

__all__ = ["command"]
