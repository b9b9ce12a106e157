"""Records as behaviour: who is behind them, and names without what varies."""

import random
from typing import Any

import orjson
import pytest

from collector.audit import FORMATS
from collector.audit.origin import agent_of, call, hours_of, network_of
from collector.audit.record import AuditRecord
from detection.principals.access import Access, PrincipalKind

STAMP = 1_763_000_000 * 10**9  # a Thursday, 02:13 UTC


def access(source: str, raw: dict[str, Any]) -> Access:
    found = FORMATS[source].access_of(AuditRecord("id", STAMP, "", raw))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        ("aws-cli/2.13.5 Python/3.11.4 Linux/5.15 exe/x86_64", "aws-cli"),
        ("Boto3/1.26.0 Python/3.9 Botocore/1.29", "boto3"),
        ("APN/1.0 HashiCorp/1.0 Terraform/1.5.7 (+https://www.terraform.io) aws-sdk-go-v2/1.2", "terraform"),
        ("kubectl/v1.28.1 (linux/amd64) kubernetes/8dc49c4", "kubectl"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "browser"),
        ("aws-sdk-go-v2/1.21 os/linux", "aws-sdk-go"),
        ("[S3Console/0.4, aws-internal/3]", "aws-console"),
        ("ec2.amazonaws.com", "aws service"),
        ("google-cloud-sdk gcloud/400.0.0", "gcloud"),
        ("kube-controller-manager/v1.28.0 (linux/amd64)", "kube-controller-manager"),
        ("\x1bevil/1", "evil"),
        (7, ""),
    ],
)
def test_versions_and_platforms_of_tools_are_dropped(agent: object, family: str) -> None:
    assert family in agent_of(agent)
    assert "\x1b" not in agent_of(agent)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.66", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("10.3.4.5", "private"),
        ("::ffff:192.168.1.1", "private"),
        ("127.0.0.1", "loopback"),
        ("cloudformation.amazonaws.com", "service"),
        ("AWS Internal", "service"),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_addresses_become_networks(address: object, network: str) -> None:
    assert network_of(address) == network


def test_hours_are_bands_of_four_and_weekend_is_its_own() -> None:
    assert hours_of(STAMP) == "00-04 weekday"
    assert hours_of(STAMP + 2 * 86_400 * 10**9) == "00-04 weekend"


def test_dates_in_names_of_calls_are_dropped() -> None:
    assert call("lambda", "ListFunctions20150331", False) == "lambda:ListFunctions"
    assert call("lambda", "GetFunction20150331v2", True) == "lambda:GetFunction refused"


def k8s(**changes: Any) -> dict[str, Any]:
    base = {
        "verb": "list",
        "user": {"username": "system:serviceaccount:shop:web"},
        "sourceIPs": ["10.0.0.3"],
        "userAgent": "kubectl/v1.30",
        "objectRef": {"resource": "secrets", "namespace": "shop"},
        "responseStatus": {"code": 200},
    }
    return base | changes


def test_kubernetes() -> None:
    found = access("kubernetes-audit", k8s())
    assert found.actor == ("system:serviceaccount:shop:web", PrincipalKind.WORKLOAD, "shop")
    assert found[1:7] == ("list secrets", "secrets in shop", "kubectl", "private", "", "00-04 weekday")


def test_kubernetes_refused_impersonated_and_behind_a_proxy() -> None:
    raw = k8s(
        responseStatus={"code": 403},
        impersonatedUser={"username": "admin"},
        sourceIPs=["9.9.9.9", "8.8.4.4", "10.1.1.1"],
    )
    found = access("kubernetes-audit", raw)
    assert found.api == "list secrets refused"
    assert found.acting_as is not None
    assert found.acting_as.name == "admin"
    assert found.network == "8.8.4.0/24", "what stands before the proxy's own word the client may have made up"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("system:serviceaccount:kube-system:job-controller", PrincipalKind.SERVICE),
        ("system:serviceaccount:shop:job-controller", PrincipalKind.WORKLOAD),
        ("system:kube-scheduler", PrincipalKind.SERVICE),
        ("system:node:n1", PrincipalKind.WORKLOAD),
        ("system:anonymous", PrincipalKind.PERSON),
        ("alice@example.com", PrincipalKind.PERSON),
    ],
)
def test_kubernetes_kinds(name: str, kind: PrincipalKind) -> None:
    assert access("kubernetes-audit", k8s(user={"username": name})).actor.kind is kind


ROLE = "arn:aws:iam::111122223333:role/"
SESSION = "arn:aws:sts::111122223333:assumed-role/"


def aws(identity: dict[str, Any]) -> Access:
    return access(
        "aws-cloudtrail", {"eventName": "ListBuckets", "eventSource": "s3.amazonaws.com", "userIdentity": identity}
    )


def assumed(role: str, session: str, **context: Any) -> dict[str, Any]:
    issuer = {"sessionIssuer": {"arn": ROLE + role}} | context
    return {"type": "AssumedRole", "arn": f"{SESSION}{role}/{session}", "accountId": "1", "sessionContext": issuer}


@pytest.mark.parametrize(
    ("identity", "name", "kind"),
    [
        (assumed("ci", "run-1"), ROLE + "ci", PrincipalKind.ROLE),
        (assumed("ci", "run-2"), ROLE + "ci", PrincipalKind.ROLE),
        (assumed("ci", "x", sourceIdentity="alice"), "alice", PrincipalKind.PERSON),
        (assumed("aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1", "bob@x.org"), "bob@x.org",
         PrincipalKind.PERSON),
        (assumed("aws-service-role/eks.amazonaws.com/AWSServiceRoleForEKS", "s"),
         ROLE + "aws-service-role/eks.amazonaws.com/AWSServiceRoleForEKS", PrincipalKind.SERVICE),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com", PrincipalKind.SERVICE),
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/eve"}, "arn:aws:iam::1:user/eve", PrincipalKind.PERSON),
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/eve", "invokedBy": "cloudformation.amazonaws.com"},
         "arn:aws:iam::1:user/eve", PrincipalKind.PERSON),
        ({"type": "AWSAccount", "accountId": "9"}, "9", PrincipalKind.ROLE),
        ({"type": "WebIdentityUser", "userName": "system:serviceaccount:shop:web"}, "system:serviceaccount:shop:web",
         PrincipalKind.WORKLOAD),
    ],
)  # fmt: skip
def test_aws_sessions_resolve_to_who_is_behind_them(identity: dict[str, Any], name: str, kind: PrincipalKind) -> None:
    assert aws(identity).actor[:2] == (name, kind)


def test_gcp_delegation_counts_for_both_and_versions_go() -> None:
    info = {
        "principalEmail": "deploy@p.iam.gserviceaccount.com",
        "serviceAccountDelegationInfo": [{"firstPartyPrincipal": {"principalEmail": "alice@example.com"}}],
    }
    payload = {
        "serviceName": "iam.googleapis.com", "methodName": "google.iam.admin.v1.CreateServiceAccountKey",
        "authenticationInfo": info, "requestMetadata": {"callerIp": "203.0.113.9"},
    }  # fmt: skip
    found = access(
        "gcp-audit", {"protoPayload": payload, "resource": {"type": "service_account", "labels": {"project_id": "p"}}}
    )
    assert found.actor == ("alice@example.com", PrincipalKind.PERSON, "p")
    assert found.acting_as == ("deploy@p.iam.gserviceaccount.com", PrincipalKind.WORKLOAD, "p")
    assert found.api == "iam:google.iam.admin.CreateServiceAccountKey"


def test_gcp_service_agents_are_the_control_plane() -> None:
    info = {"principalEmail": "service-12@gcp-sa-logging.iam.gserviceaccount.com"}
    found = access(
        "gcp-audit",
        {"protoPayload": {"serviceName": "x", "methodName": "v1.compute.disks.list", "authenticationInfo": info}},
    )
    assert found.actor.kind is PrincipalKind.SERVICE
    assert found.api == "x:compute.disks.list"


def test_azure() -> None:
    raw = {
        "operationName": "Microsoft.Compute/virtualMachines/write", "resultSignature": "Forbidden", "caller": "a@x.org",
        "resourceId": "/subscriptions/S1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v",
        "callerIpAddress": "203.0.113.9:4711",
    }  # fmt: skip
    found = access("azure-activity", raw)
    assert found.actor == ("a@x.org", PrincipalKind.PERSON, "s1")
    assert found.api == "microsoft.compute:virtualmachines/write refused"
    assert (found.resource, found.network) == ("microsoft.compute/virtualmachines", "203.0.113.0/24")


def test_requests_to_a_firewall_have_no_principal() -> None:
    assert FORMATS["waf-aws"].access_of(AuditRecord("id", STAMP, "", {})) is None


@pytest.mark.parametrize("source", list(FORMATS))
def test_fuzz_whatever_stands_in_a_record_gives_short_texts(source: str) -> None:
    chance, values = random.Random(3), (None, 7, [], {}, [{}], "x" * 5000, "\x1b[2J\n", True, {"a": []}, ["\u202e", 1])
    names = [
        "verb",
        "user",
        "username",
        "sourceIPs",
        "userAgent",
        "objectRef",
        "responseStatus",
        "code",
        "impersonatedUser",
        "resource",
        "namespace",
        "type",
        "arn",
        "userIdentity",
        "sessionContext",
        "sessionIssuer",
        "awsRegion",
        "resources",
        "protoPayload",
        "authenticationInfo",
        "principalEmail",
        "requestMetadata",
        "callerIp",
        "labels",
        "operationName",
        "caller",
        "properties",
        "resourceId",
        "location",
        "status",
        "errorCode",
    ]

    def value(depth: int) -> Any:
        if depth and chance.random() < 0.5:
            return {name: value(depth - 1) for name in chance.sample(names, 8)}
        return chance.choice(values)

    for _ in range(500):
        raw = {name: value(3) for name in names} | {"eventName": "A", "eventSource": "b"}
        found = FORMATS[source].access_of(AuditRecord("id", STAMP, "", raw))
        if found is not None:
            orjson.dumps(list(found[1:7]))
            assert all(len(text) <= 320 and text.isprintable() for text in found[1:7])
