"""A pod's service account, from the claims of the token the kubelet put into its volume: no API server is asked.

Only the claims that name the pod and the account are looked at; the token itself is kept nowhere.
Format: RFC 7519; claims of bound service account tokens (k8s.io/kubernetes pkg/serviceaccount/claims.go).
"""

import binascii
from base64 import urlsafe_b64decode
from typing import Any

import orjson

from agent.identify.host import HERE, HostFiles

MOUNTED_AT = "/var/run/secrets/kubernetes.io/serviceaccount"
_LIMIT = 16 << 10
_SUBJECT = "system:serviceaccount:"


def service_account(volume: str, namespace: str, pod_uid: str, prefix: str = "", files: HostFiles = HERE) -> str:
    """The account's name; "" where the volume holds no token of this pod in this namespace.

    `volume` is the host's directory the runtime says is mounted at MOUNTED_AT. Only the kubelet's own volumes of this
    very pod count: a directory a pod brought along would let it choose its name.
    """
    if not pod_uid or f"/{pod_uid}/volumes/kubernetes.io~" not in volume or "/../" in f"{volume}/":
        return ""
    try:
        token = files.read(f"{prefix}{volume}/..data/token", _LIMIT, regular=True)
    except (OSError, ValueError):
        return ""
    claims = _claims(token)
    own = claims.get("kubernetes.io")
    pod = own.get("pod") if isinstance(own, dict) else None
    if isinstance(pod, dict) and pod.get("uid") not in (None, pod_uid):
        return ""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.startswith(f"{_SUBJECT}{namespace}:"):
        return ""
    return subject.removeprefix(f"{_SUBJECT}{namespace}:")


def _claims(token: bytes) -> dict[str, Any]:
    parts = token.strip().split(b".")
    if len(parts) != 3:
        return {}
    try:
        found = orjson.loads(urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}
