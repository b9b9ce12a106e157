"""The demo's image is reproducible, complete and loadable."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cli.demo import image
from cli.demo.errors import DemoError


def _read(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: (f.read() if (f := tar.extractfile(m)) else b"") for m in tar.getmembers()}


def _blob(content: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    return content["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]


def _layer(content: dict[str, bytes]) -> tarfile.TarFile:
    manifest = json.loads(_blob(content, json.loads(content["index.json"])["manifests"][0]))
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(_blob(content, manifest["layers"][0]))))


def test_same_input_gives_the_same_digest(tmp_path: Path) -> None:
    first, second = image.write_archive(tmp_path / "a.tar"), image.write_archive(tmp_path / "b.tar")
    assert first == second
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_every_blob_is_named_by_its_digest(tmp_path: Path) -> None:
    image.write_archive(tmp_path / "a.tar")
    blobs = {n: d for n, d in _read(tmp_path / "a.tar").items() if n.startswith("blobs/sha256/")}
    assert len(blobs) == 3  # layer, configuration, manifest
    assert all(name.endswith(hashlib.sha256(data).hexdigest()) for name, data in blobs.items())


def test_programs_run_under_their_own_names_and_scripts_are_executable(tmp_path: Path) -> None:
    image.write_archive(tmp_path / "a.tar")
    layer = _layer(_read(tmp_path / "a.tar"))
    assert layer.getmember("bin/wget").linkname == "bin/busybox"
    assert layer.getmember("bin/sh").isreg()
    scripts = ("opt/shop/web", "opt/shop/backend", "srv/web/cgi-bin/shop", "srv/admin/cgi-bin/diagnostics")
    assert all(layer.getmember(name).mode == 0o755 for name in scripts)
    assert layer.getmember("srv/stock.txt").mode == 0o644


def test_no_member_comes_twice(tmp_path: Path) -> None:
    image.write_archive(tmp_path / "a.tar")
    names = _layer(_read(tmp_path / "a.tar")).getnames()
    assert len(names) == len(set(names))


def test_a_machine_without_busybox_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DemoError, match="install the package busybox-static"):
        image.static_busybox()
