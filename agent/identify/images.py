"""What Docker and Podman write beside the runtime's state: the name a person gave, image and digest."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from agent.identify.host import HostFiles, read_json
from agent.identify.paths import Paths
from agent.identify.records import Record, bounded_strings

_CONFIG_LIMIT = 2 << 20
_STORAGE_LIMIT = 16 << 20
_HEX64 = re.compile(r"^[0-9a-f]{64}$")
_STORE = re.compile(r"^(?P<store>/.+)/(?P<driver>overlay|vfs|btrfs|zfs)-containers/[0-9a-f]{64}/userdata$")


class Image(NamedTuple):
    """A container's image, name and labels as its engine keeps them; "" where it keeps none."""

    name: str = ""
    reference: str = ""
    digest: str = ""
    labels: Mapping[str, str] = {}


NO_IMAGE = Image()


def image_of(record: Record, paths: Paths, counts: Counter[str]) -> Image:
    """What the engine above the runtime knows; NO_IMAGE where there is none or its files are unusable."""
    if not _HEX64.match(record.id):
        return NO_IMAGE
    if record.runtime == "docker":
        return _docker(f"{paths.docker_containers}/{record.id}/config.v2.json", counts, paths.files)
    if record.runtime in ("podman", "cri-o", "crun"):
        return _podman(record, paths, counts)
    return NO_IMAGE


def _docker(path: str, counts: Counter[str], files: HostFiles) -> Image:
    found = _dict(read_json(path, _CONFIG_LIMIT, counts, files))
    config = _dict(found.get("Config"))
    manifest = _dict(found.get("ImageManifest"))
    return Image(
        name=_string(found.get("Name")).removeprefix("/"),
        reference=_string(config.get("Image")),
        digest=_string(manifest.get("digest")) or _string(found.get("Image")),
        labels=bounded_strings(_dict(config.get("Labels"))),
    )


def _podman(record: Record, paths: Paths, counts: Counter[str]) -> Image:
    """containers/storage: <store>/<driver>-containers/containers.json and <driver>-images/images.json."""
    match = _STORE.match(record.bundle)
    if match is None or "/../" in record.bundle:
        store, driver = paths.podman_storage, "overlay"
    else:
        store, driver = paths.prefix + match["store"], match["driver"]
    entry = _entry(f"{store}/{driver}-containers/containers.json", record.id, counts, paths.files)
    try:
        known = _dict(orjson.loads(_string(entry.get("metadata")) or "{}"))
    except ValueError:
        known = {}
    image = _entry(f"{store}/{driver}-images/images.json", _string(entry.get("image")), counts, paths.files)
    return Image(
        name=_string(known.get("name")),
        reference=_string(known.get("image-name")),
        digest=_string(image.get("digest")),
    )


def _entry(path: str, wanted: str, counts: Counter[str], files: HostFiles) -> dict[str, Any]:
    """The object with this id in a JSON list of objects."""
    found = read_json(path, _STORAGE_LIMIT, counts, files) if wanted else None
    entries = found if isinstance(found, list) else []
    return next((e for e in entries if isinstance(e, dict) and e.get("id") == wanted), {})


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 4096 else ""
