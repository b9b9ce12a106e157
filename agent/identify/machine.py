"""Which machine this is, as its cloud names it: read from files only, so that no metadata service is asked.

Sources: /sys/class/dmi/id (the hypervisor's own strings), cloud-init's /run/cloud-init/instance-data.json
(instance-data v1 keys; what it holds of the provider's documents is under `ds`) and /var/lib/cloud/data/instance-id.
"""

import re
from collections import Counter
from typing import Any, NamedTuple

from agent.identify.host import HERE, HostFiles, read_json

_LIMIT = 2 << 20
_FORM = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,252}$")
_EC2 = re.compile(r"^i-[0-9a-f]{8,17}$")
_VENDORS = (
    ("amazon", "aws"),
    ("google", "gcp"),
    ("microsoft", "azure"),
    ("digitalocean", "digitalocean"),
    ("hetzner", "hetzner"),
    ("openstack", "openstack"),
    ("alibaba", "alibaba"),
    ("oraclecloud", "oci"),
)


class Machine(NamedTuple):
    """A cloud instance; everything is "" where nothing says."""

    provider: str = ""
    account: str = ""
    instance: str = ""
    region: str = ""

    def as_fields(self) -> dict[str, str]:
        """Under the names of the Elastic Common Schema; what is not known is left out."""
        named = (
            ("cloud.provider", self.provider),
            ("cloud.account.id", self.account),
            ("cloud.instance.id", self.instance),
            ("cloud.region", self.region),
        )
        return {name: value for name, value in named if value}


NOWHERE = Machine()


def read_machine(root: str = "", files: HostFiles = HERE) -> Machine:
    """The instance this host is, below `root`. A few small reads, once at start."""
    found = read_json(f"{root}/run/cloud-init/instance-data.json", _LIMIT, Counter(), files)
    told = _dict(found)
    v1 = _dict(told.get("v1"))
    source = _dict(told.get("ds"))
    provider = _provider(root, files) or _text(v1.get("cloud_name"))
    if not provider or provider in ("none", "nocloud"):
        return NOWHERE
    return Machine(
        provider=provider,
        account=_account(source),
        instance=_instance(root, files, v1),
        region=_text(v1.get("region")),
    )


def _provider(root: str, files: HostFiles) -> str:
    """By the strings the hypervisor gives itself; the chassis tag tells Azure from other Hyper-V machines."""
    names = ("sys_vendor", "bios_vendor", "product_name", "chassis_asset_tag")
    strings = " ".join(_line(f"{root}/sys/class/dmi/id/{name}", files) for name in names).lower()
    provider = next((provider for word, provider in _VENDORS if word in strings), "")
    if provider == "azure" and "7783-7084-3265-9085-8269-3286-77" not in strings:
        return ""
    return provider


def _instance(root: str, files: HostFiles, v1: dict[str, Any]) -> str:
    """cloud-init's word, else the hypervisor's: EC2 puts the id into the board's asset tag."""
    told = _text(v1.get("instance_id")) or _checked(_line(f"{root}/var/lib/cloud/data/instance-id", files))
    tag = _line(f"{root}/sys/class/dmi/id/board_asset_tag", files)
    return told or (tag if _EC2.match(tag) else "")


def _account(source: dict[str, Any]) -> str:
    """EC2's identity document, Azure's compute document or GCP's project."""
    document = _dict(_dict(_dict(source.get("dynamic")).get("instance-identity")).get("document"))
    metadata = _dict(source.get("meta_data"))
    compute = _dict(_dict(metadata.get("imds")).get("compute")) or _dict(metadata.get("compute"))
    project = _dict(metadata.get("project"))
    candidates = (document.get("accountId"), compute.get("subscriptionId"), project.get("project-id"))
    return next((value for candidate in candidates if (value := _text(candidate))), "")


def _line(path: str, files: HostFiles) -> str:
    try:
        return files.read(path, 512).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return _checked(value) if isinstance(value, str) else ""


def _checked(value: str) -> str:
    return value if _FORM.match(value) else ""
