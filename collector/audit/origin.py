"""What many records have in common, as behaviour: families of tools, networks, hours, and names without what varies.

All take texts that anybody may have written; results are short, and remembered for the texts that come often.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from collector.plain import plain
from detection.baseline.templates import component

MOST = 160  # characters of a member
_HOUR_NS = 3600 * 10**9
_BAND = 4  # hours
_AGENTS: tuple[tuple[str, str], ...] = (
    (r"terraform|opentofu", "terraform"), (r"pulumi", "pulumi"), (r"ansible", "ansible"), (r"crossplane", "crossplane"),
    (r"^aws-cli", "aws-cli"), (r"boto3|botocore", "boto3"), (r"^kubectl", "kubectl"), (r"^helm", "helm"),
    (r"gcloud", "gcloud"), (r"gsutil", "gsutil"), (r"azurecli|azure-cli|^az/", "azure-cli"),
    (r"azurepowershell", "azure-powershell"),
    (r"(console|signin)\.amazonaws\.com|aws-internal|aws internal", "aws-console"),
    (r"^[a-z0-9.-]+\.amazonaws\.com$", "aws service"), (r"aws-sdk-([a-z0-9]+)", r"aws-sdk-\1"),
    (r"aws\.?tools|awspowershell", "aws-powershell"), (r"google-api-go-client", "google-go"),
    (r"google-api-python", "google-python"),
    (r"azsdk-([a-z]+)", r"azsdk-\1"), (r"^curl", "curl"), (r"^wget", "wget"),
    (r"python-requests|python-urllib|aiohttp|httpx", "python-http"),
    (r"^go-http-client", "go-http"), (r"^okhttp|^apache-httpclient|^java/", "java-http"), (r"^mozilla/", "browser"),
)  # fmt: skip
_FAMILIES = tuple((re.compile(pattern), name) for pattern, name in _AGENTS)
_NETWORKS = tuple(
    (ip_network(text), name)
    for text, name in (
        ("127.0.0.0/8", "loopback"), ("::1/128", "loopback"), ("169.254.0.0/16", "link-local"),
        ("fe80::/10", "link-local"),
        ("10.0.0.0/8", "private"), ("172.16.0.0/12", "private"), ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "private"), ("fc00::/7", "private"),
    )
)  # fmt: skip
PRIVATE = frozenset({"loopback", "link-local", "private"})
_VERSION = re.compile(r"(?<=[a-z])(20\d{6}|20\d\d_\d\d_\d\d)(v\d+)?$", re.IGNORECASE)


def agent_of(value: Any) -> str:
    """The family of a tool: aws-cli, boto3, kubectl, terraform, browser …, else the agent's first word."""
    return _agent(value[:512]) if isinstance(value, str) and value else ""


@lru_cache(maxsize=8192)
def _agent(text: str) -> str:
    lowered = text.lower().strip("[] ")
    for pattern, name in _FAMILIES:
        if match := pattern.search(lowered):
            return match.expand(name)
    first = re.split(r"[/ (\[;]", lowered, maxsplit=1)[0]
    return plain(component(first), 64)


def network_of(value: Any) -> str:
    """private, loopback, link-local; the /24 or /48 of a public address; "service" for a cloud's own names."""
    return _network(value[:64]) if isinstance(value, str) and value else ""


@lru_cache(maxsize=16_384)
def _network(text: str) -> str:
    try:
        given = ip_address(text)
    except ValueError:
        return "service" if "." in text or text in {"AWS Internal", "private"} else ""
    mapped = given.ipv4_mapped if isinstance(given, IPv6Address) else None
    address = mapped or given
    for network, name in _NETWORKS:
        if address.version == network.version and address in network:
            return name
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))


def hours_of(time_ns: int) -> str:
    """ "08-12 weekday": four hours of the day in UTC, and whether it is a weekend."""
    return _hours(time_ns // _HOUR_NS)


@lru_cache(maxsize=1024)
def _hours(hour: int) -> str:
    band = hour % 24 // _BAND * _BAND
    weekend = (hour // 24 + 4) % 7 in (0, 6)  # 1970-01-01 was a Thursday; 0 is Sunday
    return f"{band:02}-{band + _BAND:02} {'weekend' if weekend else 'weekday'}"


@lru_cache(maxsize=8192)
def template(text: str) -> str:
    """A name without ids, hashes and dates."""
    return plain(component(text[:MOST]), MOST)


@lru_cache(maxsize=16_384)
def call(service: str, name: str, refused: bool) -> str:
    """A cloud's API: "s3:GetObject". The version in the name goes (ListFunctions20150331)."""
    text = f"{service}:{_VERSION.sub('', name)}"
    return plain(text[:MOST], MOST) + (" refused" if refused else "")
