"""Facts of the host: the upper directory, a pod's service account, the cloud instance."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from agent.identify.accounts import service_account
from agent.identify.machine import NOWHERE, read_machine
from agent.identify.mounts import upper_directory

UID = "0d9a3c1e-1111-4222-8333-444455556666"
TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
90 22 0:50 / /run/c/web/rootfs rw,relatime - overlay overlay rw,lowerdir=/l/1:/l/2,upperdir=/l/3/fs,workdir=/l/3/work
91 22 0:51 / /run/c/we\040b/rootfs rw - overlay overlay rw,lowerdir=/l/1,upperdir=/l/with\040blank\054s/fs,workdir=/w
92 22 0:52 / /run/c/ro/rootfs ro - overlay overlay ro,lowerdir=/l/1:/l/2
93 22 0:53 / /run/c/fake/rootfs rw - tmpfs upperdir=/evil rw,upperdir=/evil
94 90 0:54 / /run/c/web/rootfs rw - overlay overlay rw,lowerdir=/l/1,upperdir=/l/9/fs,workdir=/w
"""


@pytest.mark.parametrize(
    ("rootfs", "upper"),
    [
        ("/run/c/web/rootfs", "/l/9/fs"),  # mounted over: the last one is seen
        ("/run/c/we b/rootfs", "/l/with blank,s/fs"),
        ("/run/c/ro/rootfs", ""),
        ("/run/c/fake/rootfs", ""),
        ("/run/c", ""),
        ("relative", ""),
        ("/run/c/../c/web/rootfs", ""),
    ],
)
def test_the_upper_directory_is_that_of_the_overlay_mounted_as_the_root(
    tmp_path: Path, rootfs: str, upper: str
) -> None:
    """Only an overlay, only exactly there, escapes undone."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1/mountinfo").write_text(TABLE)
    assert upper_directory(str(tmp_path), rootfs) == upper


def _token(claims: Any) -> bytes:
    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    return b".".join((part({"alg": "RS256"}), part(claims), b"c2ln"))


def _volume(root: Path, content: bytes, uid: str = UID) -> str:
    volume = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/kube-api-access"
    dated = root / volume.lstrip("/") / "..2026_01_01"
    dated.mkdir(parents=True)
    (dated.parent / "..data").symlink_to("..2026_01_01")
    (dated / "token").write_bytes(content)
    return volume


GOOD = {"sub": "system:serviceaccount:shop:web", "kubernetes.io": {"pod": {"uid": UID}}}


@pytest.mark.parametrize(
    ("content", "account"),
    [
        (_token(GOOD), "web"),
        (_token({"sub": "system:serviceaccount:shop:web"}), "web"),  # an older token, bound to no pod
        (_token({**GOOD, "kubernetes.io": {"pod": {"uid": "another"}}}), ""),
        (_token({"sub": "system:serviceaccount:kube-system:admin"}), ""),
        (_token({"sub": 7}), ""),
        (_token([]), ""),
        (b"a.b.c", ""),
        (b"not a token", ""),
        (b"x" * 100_000, ""),
    ],
)
def test_a_service_account_is_what_the_pods_own_token_says(tmp_path: Path, content: bytes, account: str) -> None:
    """Of another pod, of another namespace, or no token: nobody."""
    assert service_account(_volume(tmp_path, content), "shop", UID, str(tmp_path)) == account


def test_a_directory_a_pod_brought_along_names_nobody(tmp_path: Path) -> None:
    """Only the kubelet's volumes of this very pod count."""
    volume = _volume(tmp_path, _token(GOOD), "another-uid")
    assert service_account(volume, "shop", UID, str(tmp_path)) == ""
    assert service_account(f"/{UID}/volumes/kubernetes.io~x/../../etc", "shop", UID, str(tmp_path)) == ""
    assert service_account(volume, "shop", "", str(tmp_path)) == ""


def _host(root: Path, dmi: dict[str, str], instance: Any = None) -> Path:
    (root / "sys/class/dmi/id").mkdir(parents=True)
    for name, text in dmi.items():
        (root / "sys/class/dmi/id" / name).write_text(text + "\n")
    if instance is not None:
        (root / "run/cloud-init").mkdir(parents=True)
        (root / "run/cloud-init/instance-data.json").write_text(json.dumps(instance))
    return root


def test_an_ec2_instance_by_its_hypervisor_alone_and_with_cloud_init(tmp_path: Path) -> None:
    """The asset tag is the instance id; the account is in the identity document."""
    dmi = {"sys_vendor": "Amazon EC2", "board_asset_tag": "i-0123456789abcdef0"}
    machine = read_machine(str(_host(tmp_path / "a", dmi)))
    assert (machine.provider, machine.instance, machine.account) == ("aws", "i-0123456789abcdef0", "")
    data = {
        "v1": {"cloud_name": "aws", "instance_id": "i-0123456789abcdef0", "region": "eu-west-1"},
        "ds": {"dynamic": {"instance-identity": {"document": {"accountId": "123456789012"}}}},
    }
    machine = read_machine(str(_host(tmp_path / "b", dmi, data)))
    assert machine.as_fields() == {
        "cloud.provider": "aws",
        "cloud.account.id": "123456789012",
        "cloud.instance.id": "i-0123456789abcdef0",
        "cloud.region": "eu-west-1",
    }


@pytest.mark.parametrize("content", ["", "[]", "{", '{"v1": 7, "ds": []}', '{"v1": {"cloud_name": "\\u001b[31m"}}'])
def test_a_machine_of_no_cloud_and_broken_data_are_nowhere(tmp_path: Path, content: str) -> None:
    """QEMU's own strings; whatever cloud-init left."""
    root = _host(tmp_path, {"sys_vendor": "QEMU"})
    (root / "run/cloud-init").mkdir(parents=True)
    (root / "run/cloud-init/instance-data.json").write_text(content)
    assert read_machine(str(root)) == NOWHERE


def test_hyper_v_is_azure_only_with_azures_tag(tmp_path: Path) -> None:
    """A Microsoft hypervisor on somebody's desk is no cloud."""
    dmi = {"sys_vendor": "Microsoft Corporation"}
    assert read_machine(str(_host(tmp_path / "a", dmi))) == NOWHERE
    tag = {**dmi, "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"}
    assert read_machine(str(_host(tmp_path / "b", tag))).provider == "azure"
