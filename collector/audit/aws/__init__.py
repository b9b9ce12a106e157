"""AWS CloudTrail: the form of its events, who is behind them and what they are about."""

from collector.audit.aws.cloudtrail import CloudTrail

__all__ = ["CloudTrail"]
