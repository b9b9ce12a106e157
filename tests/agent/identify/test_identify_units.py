"""A service's program is what its unit file and drop-ins say, in systemd's own order."""

import random
from pathlib import Path

import pytest

from agent.identify.units import Units


def _write(root: Path, path: str, *lines: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("ExecStart=/usr/sbin/nginx -g 'daemon on;'", "/usr/sbin/nginx"),
        ("ExecStart=-@/usr/bin/x y", "/usr/bin/x"),
        ("ExecStart=!!/usr/bin/x", "/usr/bin/x"),
        ("ExecStart=nginx", ""),
        ("ExecStart=/opt/%i/run", ""),
        ("ExecStartPre=/bin/true", ""),
        ('ExecStart="/usr/bin/x" y', "/usr/bin/x"),
    ],
)
def test_the_first_program_of_execstart(tmp_path: Path, line: str, program: str) -> None:
    """Prefixes are taken off; what is no absolute path names nothing."""
    _write(tmp_path, "/etc/systemd/system/x.service", "[Service]", line)
    assert Units(str(tmp_path)).executable("x.service") == program


def test_directories_templates_and_drop_ins_come_in_systemds_order(tmp_path: Path) -> None:
    """/etc before /usr/lib; x@.service for x@1.service; a drop-in may take the command back and give another."""
    _write(
        tmp_path,
        "/usr/lib/systemd/system/x@.service",
        "[Unit]",
        "ExecStart=/no",
        "[Service]",
        "ExecStart=/usr/bin/a \\",
        " -v",
    )
    assert Units(str(tmp_path)).executable("x@1.service") == "/usr/bin/a"
    _write(tmp_path, "/etc/systemd/system/x@.service", "[Service]", "ExecStart=/usr/bin/b")
    assert Units(str(tmp_path)).executable("x@1.service") == "/usr/bin/b"
    _write(tmp_path, "/etc/systemd/system/x@1.service.d/50.conf", "[Service]", "ExecStart=", "ExecStart=/usr/bin/c")
    units = Units(str(tmp_path))
    assert (units.executable("x@1.service"), units.executable("x@2.service")) == ("/usr/bin/c", "/usr/bin/b")


def test_a_linked_unit_is_followed_one_step_below_the_hosts_root(tmp_path: Path) -> None:
    """`systemctl link`; a link to a link is not."""
    _write(tmp_path, "/opt/app/app.service", "[Service]", "ExecStart=/opt/app/run")
    directory = tmp_path / "etc/systemd/system"
    directory.mkdir(parents=True)
    (directory / "app.service").symlink_to("/opt/app/app.service")
    (directory / "two.service").symlink_to("/etc/systemd/system/app.service")
    units = Units(str(tmp_path))
    assert (units.executable("app.service"), units.executable("two.service")) == ("/opt/app/run", "")


def test_garbage_in_unit_files_names_nothing_and_raises_nothing(tmp_path: Path) -> None:
    """Two hundred random files."""
    dice = random.Random(4)
    path = tmp_path / "etc/systemd/system/x.service"
    path.parent.mkdir(parents=True)
    for _ in range(200):
        path.write_bytes(b"[Service]\nExecStart=" + dice.randbytes(dice.randrange(60)))
        found = Units(str(tmp_path)).executable("x.service")
        assert found == "" or found.startswith("/")
    assert Units(str(tmp_path)).executable("absent.service") == ""
