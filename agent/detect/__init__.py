"""The detect stage: rules and anomalies become findings, redacted and without repeats."""

from agent.detect.detector import Detector

__all__ = ["Detector"]
