"""Behaviour of principals in audit logs: what a service account, role or person does for the first time."""

from collector.principals.keeper import Keeper
from collector.principals.state import BehaviourConfig
from collector.principals.watch import PrincipalWatch

__all__ = ["BehaviourConfig", "Keeper", "PrincipalWatch"]
