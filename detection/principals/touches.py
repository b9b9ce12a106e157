"""What an API touches that intruders want: weights in decades, with the ATT&CK technique it would serve.

Only where it is new for a principal does this count, and only as far as the profile is complete: an everyday call
of its own is none of these.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from detection.finding import Technique


class AccessTouch(NamedTuple):
    """`reason`: "it reads secrets"."""

    weight: float
    reason: str
    technique: Technique


def _touch(weight: float, reason: str, technique: str, tactic: str) -> AccessTouch:
    return AccessTouch(weight, reason, Technique(technique, tactic))


# Members of class api, in lower case: "verb group/resource/sub" for Kubernetes, "service:Call" for clouds.
_TABLE: tuple[tuple[AccessTouch, str], ...] = (
    (
        _touch(1.5, "it disables or hides what is logged", "T1562.008", "defense-evasion"),
        r"cloudtrail:(stoplogging|deletetrail|updatetrail|puteventselectors)|guardduty:(delete|update|disassociate)"
        r"|(config|securityhub|access-analyzer):(stop|delete|disable)|logs:delete|ec2:deleteflowlogs"
        r"|logging.*:(delete|update)(sink|exclusion|log)|diagnosticsettings/delete|delete .*/events\b",
    ),
    (
        _touch(1.5, "it makes credentials that outlast the session", "T1098.001", "persistence"),
        r"iam:(createaccesskey|createloginprofile|updateloginprofile|createservicespecificcredential|uploadsshpublickey)"
        r"|createserviceaccountkey|iam.*:create(user|serviceaccount)$|addpassword|add service principal credentials"
        r"|(create|update) certificatesigningrequests|listkeys/action",
    ),
    (
        _touch(1.5, "it takes another's token", "T1528", "credential-access"),
        r"create serviceaccounts/token|generate(access|id)token|signjwt|signblob|sts:get(federation|session)token"
        r"|impersonate | \(as another\)",
    ),
    (
        _touch(1.5, "it widens permissions", "T1098", "privilege-escalation"),
        r"iam:(put|attach)(user|role|group)policy|iam:(createpolicyversion|setdefaultpolicyversion|updateassumerolepolicy"
        r"|addusertogroup|addroletoinstanceprofile)|setiampolicy|roleassignments/write|elevateaccess"
        r"|(create|update|patch|bind|escalate) (rbac[^/]*/)?(cluster)?role(binding)?s",
    ),
    (
        _touch(1.2, "it reads secrets", "T1552", "credential-access"),
        r"(get|list|watch) secrets|secretsmanager:(getsecretvalue|batchgetsecretvalue)|ssm:getparameter"
        r"|accesssecretversion|secretmanager.*:(access|list)|vaults/secrets|getpassworddata",
    ),
    (
        _touch(1.0, "it runs commands in what is running", "T1609", "execution"),
        r"(create|get|connect) pods/(exec|attach|ephemeralcontainers)|ssm:(sendcommand|startsession)|runcommand"
        r"|ec2-instance-connect:",
    ),
    (
        _touch(1.0, "it gives data to others", "T1537", "exfiltration"),
        r"modify(snapshot|dbsnapshot|dbclustersnapshot|image)attribute|s3:put(bucketpolicy|bucketacl|objectacl)"
        r"|sharesnapshot|beginexport|grantaccess",
    ),
    (
        _touch(0.8, "it destroys", "T1485", "impact"),
        r"(^|:|\.|/)(delete|terminate|schedulekeydeletion)|^deletecollection ",
    ),
    (
        _touch(0.5, "it looks around", "T1087", "discovery"),
        r"getcalleridentity|iam:(list|get)|getaccountauthorizationdetails|create selfsubject(access|rules)reviews"
        r"|(list|get) (rbac[^/]*/)?(cluster)?role(binding)?s|describeinstances|testiampermissions",
    ),
)  # fmt: skip
_COMPILED = tuple((touch, re.compile(pattern)) for touch, pattern in _TABLE)
_REFUSED = 0.5


@lru_cache(maxsize=4096)
def touch_of(api: str) -> AccessTouch | None:
    """The heaviest touch of a member of class api; of what was refused half the weight."""
    name = api.lower()
    for touch, pattern in _COMPILED:
        if pattern.search(name):
            return touch._replace(weight=touch.weight * _REFUSED) if name.endswith(" refused") else touch
    return None
