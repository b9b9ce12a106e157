"""What templates may never do, whatever the names: lose a program, a sensitive file, an extension, or their bound."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.baseline.folding import covers, place_of
from detection.baseline.peers import host_template
from detection.baseline.templates import (
    MAX_TEMPLATE,
    SHELLS,
    exec_member,
    file_member,
    file_path,
    path_template,
    program,
    read_is_exact,
    write_is_exact,
)

_NAME = st.text(string.ascii_letters + string.digits + "._-+*<>[] \u2192\u202e\x1b", min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
_PLACES = ("/bin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/app/bin", "/app", "/home/me", "/srv")
_HEX = st.text("0123456789abcdef", min_size=32, max_size=64)
_PATH = st.lists(_NAME, min_size=1, max_size=8).map(lambda parts: "/" + "/".join(parts))

bounded = settings(max_examples=300, deadline=None)


@bounded
@given(st.sampled_from(_PLACES), _NAME)
def test_a_programs_path_never_changes(place: str, name: str) -> None:
    path = f"{place}/{name}"
    assert program(path) == path
    assert exec_member("/init", path, (path,)).startswith(f"/init → {path}")


@bounded
@given(st.sampled_from(sorted(SHELLS)), _PATH, st.lists(st.text(max_size=30), max_size=4))
def test_a_shell_never_becomes_anything_else(shell: str, parent: str, arguments: list[str]) -> None:
    member = exec_member(parent[:40], f"/bin/{shell}", (shell, *arguments))
    assert member.startswith(f"{parent[:40]} → /bin/{shell}")
    others = {exec_member(parent[:40], f"/bin/{other}", (other, *arguments)) for other in SHELLS}
    assert len(others) == len(SHELLS)


@bounded
@given(st.sampled_from(["/etc/", "/usr/bin/", "/var/spool/cron/", "/root/.ssh/", "/lib/"]), _NAME, _NAME)
def test_sensitive_files_written_stay_apart(place: str, one: str, other: str) -> None:
    templates = {file_path(place + name) for name in (one, other)}
    assert len(templates) == len({one, other})
    assert write_is_exact(place + one)
    assert not list(covers(file_member("/bin/app", file_path(place + one)), write_is_exact))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow", "/root/.ssh/id_rsa", "/home/me/.aws/credentials", "/srv/tls.key",
        "/var/run/secrets/kubernetes.io/token",
    ],
)  # fmt: skip
def test_secrets_read_are_never_folded(path: str) -> None:
    assert file_path(path) == path
    assert read_is_exact(path)
    assert not list(covers(file_member("/bin/app", path), read_is_exact))


@bounded
@given(_PATH)
def test_a_template_is_bounded_and_its_own_template(path: str) -> None:
    once = path_template(path)
    assert len(once) <= MAX_TEMPLATE
    if "<" not in path and len(path) < MAX_TEMPLATE:
        assert path_template(once) == once


@bounded
@given(_PATH)
def test_no_file_can_call_itself_all_files(path: str) -> None:
    place = place_of(file_member("/bin/app", file_path(path)))
    assert place is not None
    assert not place.is_folded
    assert "/**/" not in place.directory


@bounded
@given(_HEX, _HEX, st.sampled_from(["/srv/cache/{}", "/data/objects/{}.bin", "/var/lib/docker/overlay2/{}/diff/x"]))
def test_hashes_collapse_wherever_they_are(one: str, other: str, form: str) -> None:
    if all(set(h) & set("abcdef") and set(h) & set(string.digits) for h in (one, other)):
        assert path_template(form.format(one)) == path_template(form.format(other))


@bounded
@given(st.integers(1, 4_194_304), st.integers(1, 4_194_304))
def test_pids_collapse_however_short(one: int, other: int) -> None:
    for form in (
        "/data/temp-{}.rdb",
        "/tmp/perf-{}.map",
        "/tmp/hsperfdata_app/{}",
        "/run/app.{}.sock",
        "/proc/{}/fd/3",
    ):
        assert path_template(form.format(one)) == path_template(form.format(other)), form


@bounded
@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20), _HEX)
def test_whose_name_it_is_stays(domain: str, label: str) -> None:
    host = f"{label}.cdn.{domain}.example"
    assert host_template(host).endswith(f".{domain}.example")
    assert host_template(f"{label}.{domain}") == f"{label}.{domain}", "the last two labels are whose it is"


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/data/temp-rewriteaof-bg-1.aof", "/data/temp-rewriteaof-bg-<n>.aof"),
        ("/data/appendonly.aof.7.incr.aof", "/data/appendonly.aof.<n>.incr.aof"),
        ("/d/base/5/t3_16399", "/d/base/<oid>/t<n>_<n>"),
        ("/d/base/16384/16397_fsm", "/d/base/<oid>/<n>_fsm"),
        ("/d/pg_wal/00000001000000000000000A", "/d/pg_wal/<segment>"),
        ("/d/pg_wal/archive_status/000000010000000000000001.ready", "/d/pg_wal/archive_status/<segment>.ready"),
        ("/d/pg_xact/000A", "/d/pg_xact/<n>"),
        ("/d/base/pgsql_tmp/pgsql_tmp17.0", "/d/base/pgsql_tmp/pgsql_tmp<n>.<n>"),
        ("/d/pg_logical/snapshots/0-14E8E90.snap", "/d/pg_logical/snapshots/<lsn>.snap"),
        ("/var/cache/nginx/a/3d/b7f54b2df7773722d382f4809d65029c", "/var/cache/nginx/<hex>"),
        ("/var/cache/nginx/a/3d", "/var/cache/nginx/<hex>"),
        ("/var/lib/nginx/proxy/3/13/0000000133", "/var/lib/nginx/proxy/<n>/<n>/<n>"),
        ("/srv/x.git/objects/ab/cdef0123456789abcdef0123456789abcdef01", "/srv/x.git/objects/<hex>"),
        ("/srv/x/.git/objects/pack/tmp_pack_aB3xYz", "/srv/x/.git/objects/pack/tmp_pack_<tmp>"),
        ("/srv/x/.git/tPyfmwe", "/srv/x/.git/t<tmp>"),
        ("/tmp/cczuy12K.cdtor.c", "/tmp/cc<tmp>.cdtor.c"),
        ("/tmp/ccabcdef.o", "/tmp/cc<tmp>.o"),
        ("/tmp/wgunicorn-iyon_cdw", "/tmp/wgunicorn-<tmp>"),
        ("/tmp/mjf4enis", "/tmp/<tmp>"),
        ("/tmp/backdoor", "/tmp/backdoor"),
        ("/tmp/pip-install-abcdefgh/setup.py", "/tmp/pip-install-<tmp>/setup.py"),
        ("/root/.npm/_cacache/tmp/5c1e8a5d", "/root/.npm/_cacache/tmp/<hex>"),
        ("/usr/lib/p/__pycache__/x.cpython-311.pyc.139650965449008", "/usr/lib/p/__pycache__/x.cpython-311.pyc.<n>"),
        ("/artifacts/shop-20261121-1234a57.tar.gz", "/artifacts/shop-<date>-<n>.tar.gz"),
        ("/srv/up/*.jpg", "/srv/up/[*].jpg"),
    ],
)
def test_what_real_software_makes_up_collapses(path: str, template: str) -> None:
    assert file_path(path) == template
