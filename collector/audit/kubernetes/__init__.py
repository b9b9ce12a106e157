"""Kubernetes audit: the form of its events and what they are about."""

from collector.audit.kubernetes.event import KubernetesAudit

__all__ = ["KubernetesAudit"]
