"""What lies in an image, asked of its layers: real overlays, whiteouts, links that lead out, layers that are gone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.images import ImageLayers, root_layers
from agent.workload import Container

V1, V2 = ("w", "v1"), ("w", "v2")


def table(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def mount(options: str, point: str = "/", kind: str = "overlay") -> str:
    return f"1234 1000 0:99 / {point} rw,relatime shared:1 - {kind} overlay rw,{options}"


@pytest.mark.parametrize(
    ("lines", "layers"),
    [
        ([mount("lowerdir=/a:/b,upperdir=/u,workdir=/w")], ("/a", "/b")),
        ([mount(r"lowerdir=/with\040blank:/colon\:in\:it")], ("/with blank", "/colon:in:it")),
        ([mount("lowerdir+=/a,lowerdir+=/b,upperdir=/u")], ("/a", "/b")),
        ([mount("lowerdir=/old"), mount("lowerdir=/new")], ("/new",)),
        ([mount("lowerdir=/a"), mount("rw", kind="ext4")], ()),
        ([mount("lowerdir=/a", point="/data")], ()),
        ([mount("lowerdir=relative:/b")], ()),
        (["", "garbage", "- - -"], ()),
    ],
)
def test_layers_are_those_of_the_root_mount(tmp_path: Path, lines: list[str], layers: tuple[str, ...]) -> None:
    assert root_layers(table(tmp_path / "mountinfo", *lines)) == tuple(map(Path, layers))


def test_a_file_is_in_the_image_when_its_topmost_layer_says_so(tmp_path: Path) -> None:
    upper, lower, outside = tmp_path / "upper", tmp_path / "lower", tmp_path / "outside"
    for directory in (upper / "bin", lower / "bin", outside):
        directory.mkdir(parents=True)
    (lower / "bin/app").write_text("")
    (lower / "bin/deleted").write_text("")
    (outside / "secret").write_text("")
    (lower / "out").symlink_to(outside)
    (upper / "bin/new").write_text("")
    if os.geteuid() == 0:
        os.mknod(upper / "bin/deleted", 0o20000, os.makedev(0, 0))
    table(tmp_path / "proc/7/mountinfo", mount(f"lowerdir={upper}:{lower}"))
    images = ImageLayers(tmp_path / "proc")
    images.met(V1, Container("c", init_pid=7))
    images.met(V2, Container("c", init_pid=8))  # gone already
    assert images.holds(V1, "/bin/app") is True
    assert images.holds(V1, "/bin/new") is True
    assert images.holds(V1, "/bin/other") is False
    assert images.holds(V1, "/out/secret") is False
    assert images.holds(V1, "/bin/\0") is False
    if os.geteuid() == 0:
        assert images.holds(V1, "/bin/deleted") is False
    assert images.holds(V2, "/bin/app") is None
    shutil.rmtree(upper)
    assert images.holds(V1, "/bin/app") is None


@pytest.mark.container
def test_layers_of_a_real_overlay_root_are_found(tmp_path: Path) -> None:
    for name in ("one", "two", "upper", "work", "root"):
        (tmp_path / name).mkdir()
    (tmp_path / "two/app").write_text("")
    script = """
        mount -t overlay o -o lowerdir=one:two,upperdir=upper,workdir=work root && cd root || exit 1
        mkdir proc old && mount -t proc p proc && pivot_root . old && cd / || exit 1
        while IFS= read -r line; do echo "$line"; done </proc/self/mountinfo
    """.replace("lowerdir=one:two,", f"lowerdir={tmp_path}/one:{tmp_path}/two,")
    command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if not shown.stdout:
        pytest.skip(f"no overlay root here: {shown.stderr[-200:]}")
    table(tmp_path / "proc/7/mountinfo", *shown.stdout.splitlines())
    assert root_layers(tmp_path / "proc/7/mountinfo") == (tmp_path / "one", tmp_path / "two")
