"""Baseline files: what is taken, what is refused and where it says the fault lies."""

import contextlib
import os
import random
from pathlib import Path

import pytest

from agent.baseline_files import BaselineFileError, BaselineFiles, parse_baseline, read_baseline
from detection.baseline.decision import Decisions, to_plain

GOOD = """\
# the shop's web tier
workload: k8s/shop/deployment/web/web
version: "sha256:1"
lock: true
accepted:
  exec:
    - "/bin/httpd → /bin/cgi *"
    - '/bin/httpd → /bin/sh -c "a b"'
  exec/startup: [/bin/sh → /bin/httpd]
  egress: []
condemned:
  egress:
  - /bin/httpd → 169.254.169.254:80
"""


def test_a_file_says_what_is_decided() -> None:
    decided = parse_baseline(GOOD.encode())
    assert to_plain(decided) == {
        "workload": "k8s/shop/deployment/web/web",
        "version": "sha256:1",
        "lock": True,
        "accepted": {
            "egress": [],
            "exec": ["/bin/httpd → /bin/cgi *", '/bin/httpd → /bin/sh -c "a b"'],
            "exec/startup": ["/bin/sh → /bin/httpd"],
        },
        "condemned": {"egress": ["/bin/httpd → 169.254.169.254:80"]},
    }
    assert decided.locks("egress")
    assert not decided.locks("write")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: a baseline file is a mapping"),
        ("- a", ":1: a baseline file is a mapping"),
        ("workload: w\nlocked: true", ":2: locked: no such field"),
        ("lock: true", ":1: workload: expected text, found nothing"),
        ("workload: w\nlock: maybe", ":2: lock: expected true or false, found str"),
        ("workload: w\naccepted:\n  exec:\n    - a\n    - []\n", ":5: accepted.exec[1]: expected text, found list"),
        ("workload: w\naccepted:\n  exe: []", ":3: accepted.exe: no such class of behaviour"),
        ("workload: w\naccepted:\n  exec: a", ":3: accepted.exec: expected a list of members, found str"),
        ("workload: w\naccepted: {exec: [a]}\ncondemned:\n  exec: [a]", ":4: condemned.exec: 'a' is accepted too"),
        ("workload: w\nworkload: v", ":2: workload: is there twice"),
        ("workload: &a w\nversion: *a", ":1: workload: anchors and aliases are not taken"),
        ("workload: !!python/object/apply:os.system [id]", ":1: workload: tags are not taken"),
        ("workload: w\n---\nworkload: v", "more than one document"),
        ("workload: [a", ":2: did not find expected"),
        ("workload: 'a\n", ""),
        ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
        ("workload: w\naccepted:\n  exec: ['" + "x" * 5000 + "']", ":3: accepted.exec[0]: 5000 characters"),
        ('workload: "a\\e[31m"', ":1: workload: holds characters that cannot be seen"),
        ("? [a]\n: b", "a field's name is text"),
    ],
)
def test_a_broken_file_says_which_line_and_field(text: str, message: str) -> None:
    with pytest.raises(BaselineFileError) as raised:
        parse_baseline(text.encode())
    assert message in str(raised.value)
    assert str(raised.value).isprintable()


def test_hostile_files_are_refused_whatever_is_in_them(tmp_path: Path) -> None:
    link, pipe, large, binary = (tmp_path / name for name in ("link", "pipe", "large", "binary"))
    link.symlink_to("/etc/shadow")
    os.mkfifo(pipe)
    large.write_bytes(b"workload: w\n#" + b"x" * (1 << 20))
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (link, pipe, large, binary, tmp_path / "absent", tmp_path):
        with pytest.raises(BaselineFileError, match="nothing was changed"):
            read_baseline(path)


def test_mutated_files_give_decisions_or_a_clear_error() -> None:
    rng = random.Random(5)
    good = GOOD.encode()
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(data))
            data[place : place + rng.randrange(3)] = rng.choice(
                (b"[", b"{", b"&a ", b"\n", b": ", b"- ", b"\xff", b"*a")
            )
        with contextlib.suppress(BaselineFileError):
            assert isinstance(parse_baseline(bytes(data)), Decisions)


def test_a_file_that_breaks_keeps_what_it_said_and_one_that_goes_takes_it_along(tmp_path: Path) -> None:
    files = BaselineFiles(tmp_path / "baselines")
    assert files.changed() == (False, [])
    (tmp_path / "baselines").mkdir()
    one, other = tmp_path / "baselines/one.yaml", tmp_path / "baselines/other.yml"
    one.write_text("workload: one\nlock: true")
    other.write_text("workload: other\nlock: true")
    (tmp_path / "baselines/readme.txt").write_text("not one")
    assert files.changed() == (True, [])
    assert [d.workload for d in files.decisions()] == ["one", "other"]
    assert files.changed() == (False, [])
    one.write_text("workload: [broken")
    changed, (problem,) = files.changed()
    assert changed
    assert "one.yaml:2: " in str(problem)
    assert [d.workload for d in files.decisions()] == ["one", "other"]
    assert files.changed() == (False, [])
    other.unlink()
    assert files.changed() == (True, [])
    assert [d.workload for d in files.decisions()] == ["one"]
