"""What collapses in a template and what must not."""

import random
from ipaddress import ip_address

import pytest

from detection.baseline.peers import egress_member
from detection.baseline.templates import (
    MAX_TEMPLATE,
    argument_shape,
    exec_member,
    path_template,
    program,
    script_form,
    write_member,
)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/var/tmp/job-20261121/tmp.Xk29aLqP", "/var/tmp/job-<date>/tmp.<tmp>"),
        ("/data/3f2504e0-4f89-41d3-9a0c-0305e82c3301/x.log", "/data/<uuid>/x.log"),
        ("/sys/fs/cgroup/pod3f2504e0_4f89_41d3_9a0c_0305e82c3301", "/sys/fs/cgroup/pod<uuid>"),
        ("/app/cache/deadbeef0123456789abcdef", "/app/cache/<hex>"),
        ("/proc/123/task/45/comm", "/proc/<pid>/task/<tid>/comm"),
        ("/proc/self/fd/3", "/proc/self/fd/<n>"),
        ("/dev/pts/3", "/dev/pts/<n>"),
        ("/tmp/tmpab12cd_x/foo", "/tmp/tmp<tmp>/foo"),
        ("/srv/2026-11-21T10:11:12Z/app.log", "/srv/<date>/app.log"),
        ("/data/upload-1234567.part", "/data/upload-<n>.part"),
    ],
)
def test_accidental_parts_of_paths_collapse(path: str, template: str) -> None:
    assert path_template(path) == template


@pytest.mark.parametrize(
    "path",
    [
        "/app/config.json", "/tmp/README.md", "/tmp/HelloWorld.txt", "/usr/lib/x86_64-linux-gnu/libssl.so.1.1",
        "/etc/passwd", "/etc/cron.d/20261121", "/root/.ssh/authorized_keys", "/usr/bin/python3.11",
        "/etc/ld.so.preload", "/app/node_modules/typescript/lib", "/usr/local/bin/aB3dE9fG",
    ],
)  # fmt: skip
def test_names_that_matter_stay_exact(path: str) -> None:
    assert path_template(path) == path


def test_a_template_is_its_own_template() -> None:
    for path in ("/var/tmp/job-<date>/tmp.<tmp>", "/data/<uuid>/<n>.log", "/proc/<pid>/comm"):
        assert path_template(path) == path


def test_multi_call_binaries_are_the_program_they_were_called_by() -> None:
    assert program("/bin/busybox", "wget") == "/bin/busybox:wget"
    assert program("/bin/busybox", "-sh") == "/bin/busybox:sh"
    assert program("/usr/bin/python3.11", "anything") == "/usr/bin/python3.11"
    assert program("/tmp/tmp.Xk29aLqP/run") == "/tmp/tmp.<tmp>/run"
    assert program("memfd:x") == "memfd:*"


def test_options_stay_and_values_collapse() -> None:
    first = argument_shape("/usr/bin/app", ("app", "--id=77", "-v", "--port", "8080", "serve"))
    second = argument_shape("/usr/bin/app", ("app", "--id=1234", "-v", "--port", "9", "serve"))
    assert first == second == "--id=* -v --port <n> serve"
    assert first != argument_shape("/usr/bin/app", ("app", "--id=77", "-d", "--port", "8080", "serve"))


def test_a_different_script_is_a_different_member() -> None:
    scripts = (
        "pg_isready -q",
        "pg_isready -q; id",
        "cat /etc/shadow",
        "cat /app/index.html",
        "$(id)",
        "nc -e /bin/sh a 1",
    )
    assert len({script_form(s) for s in scripts}) == len(scripts)


def test_the_same_script_with_other_numbers_is_the_same_member() -> None:
    assert script_form("run --id 4711 > /tmp/o.812931") == script_form("run --id 99 >   /tmp/o.771234")


def test_a_shell_never_collapses_into_another_program() -> None:
    members = {exec_member("/bin/httpd", name, (name, "-c", "id")) for name in ("/bin/sh", "/bin/dash", "/bin/bash")}
    assert len(members) == 3
    assert exec_member("/bin/httpd", "/bin/sh", ("sh",)) != exec_member("/bin/httpd", "/bin/sh", ("sh", "-i"))


def test_inline_code_is_told_apart_without_being_kept() -> None:
    one = argument_shape("/usr/bin/python3", ("python3", "-c", "print('s3cret')"))
    two = argument_shape("/usr/bin/python3", ("python3", "-c", "import os"))
    assert one != two
    assert "s3cret" not in one


@pytest.mark.parametrize(
    "argv",
    [
        ("app", "--password", "hunter"), ("app", "-p", "hunter"), ("app", "--api-key=hunter"),
        ("curl", "http://user:hunter@host/x?token=hunter"), ("sh", "-c", "API_TOKEN=hunter app --secret hunter"),
        ("sh", "-c", "curl -H 'Authorization: hunter' http://h/"),
    ],
)  # fmt: skip
def test_secrets_do_not_reach_a_profile(argv: tuple[str, ...]) -> None:
    assert "hunter" not in exec_member("/p", f"/bin/{argv[0]}", argv)


def test_egress_names_the_far_end_only() -> None:
    assert egress_member("/bin/nc", 6, ip_address("10.0.0.5"), 4444) == "/bin/nc → tcp 10.0.0.5:4444"
    assert egress_member("/bin/nc", 6, ip_address("fd00::1"), 80) == "/bin/nc → tcp [fd00::1]:80"
    assert write_member("/bin/app", "/tmp/a.123456") == "/bin/app → /tmp/a.<n>"


def test_long_input_is_bounded_and_still_told_apart() -> None:
    one = exec_member("/p", "/bin/sh", ("sh", "-c", "echo a; " * 4000 + "id"))
    two = exec_member("/p", "/bin/sh", ("sh", "-c", "echo a; " * 4000 + "reboot"))
    assert one != two
    assert max(len(one), len(two)) <= MAX_TEMPLATE


def test_hostile_arguments_never_raise_and_stay_bounded() -> None:
    chance = random.Random(5)
    alphabet = "ab/-=;|&$()`'\"\\<>{} \n\0\x1b\u202e\ufffd0123456789.…→"
    for _ in range(3000):
        argv = tuple("".join(chance.choices(alphabet, k=chance.randint(0, 80))) for _ in range(chance.randint(0, 6)))
        name = chance.choice(["/bin/sh", "/usr/bin/python3", "/bin/busybox", "/bin/cat"])
        assert len(exec_member("/p", name, argv)) <= MAX_TEMPLATE
