"""One use of a control plane as behaviour: who, what, with which tool, from where, when."""

from enum import StrEnum
from typing import NamedTuple

# The order of the fields of Access after `actor`, and of all lists by class.
CLASSES = ("api", "resource", "agent", "network", "region", "hours")
API, RESOURCE, AGENT, NETWORK, REGION, HOURS = range(len(CLASSES))


class PrincipalKind(StrEnum):
    """What a principal is."""

    PERSON = "person"
    WORKLOAD = "workload"  # a service account, an application
    ROLE = "role"  # its sessions may be anybody's who can assume it
    SERVICE = "service"  # the control plane itself: learned, never reported


class Actor(NamedTuple):
    """A principal. `home`: its namespace, account, project or tenant; within it principals of a kind resemble."""

    name: str
    kind: PrincipalKind
    home: str


class Access(NamedTuple):
    """One record as behaviour; "" where the record does not say. `api` of what was refused ends in " refused".

    `acting_as`: whom the actor impersonated; the record counts for both.
    """

    actor: Actor
    api: str
    resource: str = ""
    agent: str = ""
    network: str = ""
    region: str = ""
    hours: str = ""
    acting_as: Actor | None = None
