"""What an API touches: the heavy ones of every control plane are known, everyday ones are not."""

import pytest

from detection.principals.touches import touch_of


@pytest.mark.parametrize(
    ("api", "technique"),
    [
        ("list secrets", "T1552"),
        ("create serviceaccounts/token", "T1528"),
        ("create rbac.authorization.k8s.io/clusterrolebindings", "T1098"),
        ("create pods/exec", "T1609"),
        ("get pods (as another)", "T1528"),
        ("iam:CreateAccessKey", "T1098.001"),
        ("iam:AttachUserPolicy", "T1098"),
        ("cloudtrail:StopLogging", "T1562.008"),
        ("secretsmanager:GetSecretValue", "T1552"),
        ("iam:google.iam.admin.CreateServiceAccountKey", "T1098.001"),
        ("cloudresourcemanager:SetIamPolicy", "T1098"),
        ("microsoft.authorization:roleassignments/write", "T1098"),
        ("microsoft.insights:diagnosticsettings/delete", "T1562.008"),
        ("sts:GetCallerIdentity", "T1087"),
    ],
)
def test_what_intruders_want_is_a_touch(api: str, technique: str) -> None:
    touch = touch_of(api)
    assert touch is not None
    assert touch.technique.id == technique


@pytest.mark.parametrize("api", ["get pods", "watch configmaps", "s3:GetObject", "ec2:RunInstances", "update leases"])
def test_everyday_calls_are_none(api: str) -> None:
    assert touch_of(api) is None


def test_what_was_refused_weighs_half() -> None:
    done, refused = touch_of("list secrets"), touch_of("list secrets refused")
    assert done is not None
    assert refused is not None
    assert refused.weight == done.weight / 2
