"""`vedette baseline export|import|diff|approve|condemn|lock|unlock` on an agent's state directory: what they write is
what an agent reads; what is wrong changes nothing."""

import json
import random
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent.baseline_files import BaselineFiles, parse_baseline, read_baseline
from agent.learn.store import write_profiles
from cli.baseline import command
from cli.baseline.yaml_text import yaml_of
from detection.baseline.decision import Decisions
from detection.baseline.profile import Profile, ProfileConfig

WEB = "k8s/shop/deployment/web/web"
CGI, EVIL = "/bin/httpd → /bin/cgi <n>", "/bin/httpd → /bin/sh -c \x1b]0;owned\x07: # [x] \u202e"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    profile = Profile(WEB, "sha256:1", ProfileConfig())
    known = profile.of("exec")
    known.learn(CGI, "c1", 1)
    known.learn(EVIL, "c1", 1)
    for _ in range(400):
        known.see(known.members[CGI], "c1", 1)
        known.close_slot({"c1"})
    known.hold("/bin/httpd → /bin/id", "c1", 5)
    known.condemn("/bin/httpd → /bin/nc")
    written = profile.of("write")
    written.learn("/bin/httpd → /srv/log", "c1", 1)
    written.close_slot({"c1"})
    for _ in range(1000):
        profile.of("listen").close_slot({"c1"})
    older = Profile(WEB, "sha256:0", ProfileConfig())
    older.of("exec").learn("/bin/httpd → /bin/cgi <n> --old", "c1", 1)
    older.of("exec").close_slot({"c1"})
    profile.last_ns, older.last_ns = 2_000_000_000, 1_000_000_000
    write_profiles(tmp_path / "profiles.json", [profile, older], 1)
    return tmp_path


def call(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--state-dir", str(state)])


def good(state: Path, *arguments: str) -> str:
    result = call(state, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def decisions(state: Path) -> list[Decisions]:
    files = BaselineFiles(state / "baselines")
    assert files.changed()[1] == []
    return files.decisions()


def test_export_gives_a_file_that_an_agent_reads_with_what_waits_as_comments(state: Path, tmp_path: Path) -> None:
    text = good(state, "export", "web")
    decided = parse_baseline(text.encode())
    assert decided.accepted["exec"] == {CGI, EVIL}
    assert decided.accepted["listen"] == frozenset(), "watched, and nothing happened: named, so that a lock holds"
    assert (decided.version, decided.lock) == ("", False)
    assert '    # - "/bin/httpd → /bin/id"  # waits for others or a person' in text
    assert '    # - "/bin/httpd → /bin/nc"  # condemned by a rule' in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert text == good(state, "export", "web"), "the same profile gives the same file"
    pinned = parse_baseline(good(state, "export", "web", "--pin", "--lock").encode())
    assert (pinned.version, pinned.lock) == ("sha256:1", True)
    good(state, "export", "web", "-o", str(tmp_path / "web.yaml"))
    assert (tmp_path / "web.yaml").read_text() == text


def test_every_name_survives_a_file_or_is_said_to_be_left_out() -> None:
    draw = random.Random(7)
    alphabet = [*map(chr, range(160)), *"→“”\u2028\u0085\ufeff\U0001f600\"'\\#:-?&*!|>%@`{}[], ", "\ud800"]
    for _ in range(300):
        names = {"".join(draw.choices(alphabet, k=draw.randint(1, 30))) for _ in range(5)}
        whole = {name for name in names if "\ud800" not in name}
        text = yaml_of(
            Decisions(WEB, "v", True, {"exec": frozenset(names)}, {"write": frozenset(whole)} if whole else {})
        )
        read = parse_baseline(text.encode())
        assert read.accepted["exec"] == whole
        assert text.count("# left out") == len(names - whole)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"workload: x\naccepted:\n  exec:\n    - a\n    - [b]\n", ":5: accepted.exec[1]"),
        (b"workload: x\nowner: me\n", ":2: owner: no such field"),
        (b"workload: x\naccepted: {exec: [a], exec: [b]}\n", ":2:"),
        (b"a: &a [*a, *a]\n", ":1:"),
        (b"workload: x\nlock: !!python/object/apply:os.system ['id']\n", ":2: lock: tags"),
        (b"\xff\xfe", "not UTF-8"),
        (b"workload: \"\\x1b[2J\"\n", "cannot be seen"),
        (b"x" * (2 << 20), "larger than"),
    ],
)  # fmt: skip
def test_import_of_a_broken_or_hostile_file_says_where_and_changes_nothing(
    state: Path, tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "good.yaml").write_text(f"workload: {WEB}\nlock: true\n")
    (tmp_path / "bad.yaml").write_bytes(content)
    result = call(state, "import", str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml"))
    assert result.exit_code == 1
    assert "bad.yaml" in result.output
    assert problem in result.output
    assert "\x1b" not in result.output
    assert not (state / "baselines").exists()


def test_import_takes_the_place_of_what_was_decided(state: Path, tmp_path: Path) -> None:
    good(state, "approve", "web", "/bin/id")
    file = tmp_path / "web.yaml"
    file.write_text(f"workload: {WEB}\ncondemned:\n  exec: [x]\n")
    assert "1 file taken, 1 of them new" in good(state, "import", str(file))
    assert decisions(state) == [Decisions(WEB, condemned={"exec": frozenset({"x"})})]
    assert "0 of them new" in good(state, "import", str(file))
    (path,) = (state / "baselines").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    twice = call(state, "import", str(file), str(Path(__file__).parent / ".." / "cli" / "none.yaml"))
    assert twice.exit_code == 1


def test_approve_takes_names_parts_of_names_or_all_that_waits(state: Path) -> None:
    assert "approved exec: /bin/httpd → /bin/id" in good(state, "approve", "web", "--waiting")
    good(state, "approve", "web", "/srv/new → x", "--class", "write/startup")
    (decided,) = decisions(state)
    assert decided.accepted == {
        "exec": frozenset({"/bin/httpd → /bin/id"}), "write/startup": frozenset({"/srv/new → x"}),
    }  # fmt: skip
    for arguments, problem in (
        (("/bin/httpd",), "several behaviours"),
        (("/no/such",), "no behaviour is named"),
        ((), "name a behaviour"),
        (("--waiting", "--class", "read"), "nothing waits there"),
        (("x", "--class", "reed"), "no class of behaviour"),
    ):
        result = call(state, "approve", "web", *arguments)
        assert result.exit_code != 0
        assert problem in result.output
        assert "\x1b" not in result.output
    assert decisions(state) == [decided]


def test_the_later_word_on_a_behaviour_holds(state: Path) -> None:
    good(state, "condemn", "web", "cgi <n>")
    assert decisions(state)[0].condemned == {"exec": frozenset({CGI})}
    good(state, "approve", "web", "cgi <n>")
    (decided,) = decisions(state)
    assert (dict(decided.condemned), decided.accepted) == ({}, {"exec": frozenset({CGI})})


def test_lock_names_what_is_stable_and_says_what_it_leaves_out(state: Path) -> None:
    result = call(state, "lock", "web")
    assert "locked: exec (2 members), listen (0 members)" in result.stdout
    assert "not locked, still learning there: write" in result.stderr
    (decided,) = decisions(state)
    assert decided.locks("exec")
    assert decided.locks("listen")
    assert not decided.locks("write")
    assert "Locked: exec, listen." in good(state, "show", "web")
    assert "  locked" in good(state, "list")
    good(state, "lock", "web", "--class", "write")
    assert decisions(state)[0].locks("write")
    good(state, "unlock", "web")
    assert not decisions(state)[0].lock
    assert call(state, "unlock", "web").exit_code == 1


def test_a_file_that_others_wrote_is_left_alone_and_named(state: Path) -> None:
    theirs = state / "baselines/team.yaml"
    theirs.parent.mkdir()
    theirs.write_text(f"# reviewed\nworkload: {WEB}\nlock: true\ncondemned: {{exec: ['/bin/httpd → /bin/id']}}\n")
    for arguments in (("unlock", "web"), ("approve", "web", "/bin/id")):
        result = call(state, *arguments)
        assert result.exit_code == 1
        assert "team.yaml is another file about this workload" in result.output
    assert theirs.read_text().startswith("# reviewed")


def test_what_the_collector_decided_is_not_copied_and_holds(state: Path) -> None:
    sent = [{"workload": WEB, "lock": True, "accepted": {"exec": ["x"]}, "condemned": {"read": ["y → /z"]}}]
    (state / "decisions.json").write_text(json.dumps(sent))
    good(state, "lock", "web", "--class", "listen")
    (own,) = decisions(state)
    assert own == Decisions(WEB, lock=True, accepted={"listen": frozenset()})
    assert "Locked: exec, listen." in good(state, "show", "web")
    for arguments in (("unlock", "web"), ("approve", "web", "y → /z", "--class", "read")):
        assert "the collector has decisions about this workload" in call(state, *arguments).output


def test_diff_tells_added_gone_and_changed_in_words(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    good(state, "export", "web", "-o", str(file))
    assert "no difference" not in good(state, "diff", str(file)), "the file says nothing of what waits"
    text = file.read_text().replace("→ /srv/log", "→ /srv/log.1").replace('    - "/bin/httpd → /bin/cgi <n>"\n', "")
    file.write_text(text + 'condemned:\n  exec:\n    - "/bin/httpd → /bin/cgi <n>"\n')
    told = good(state, "diff", str(file))
    assert "~ /bin/httpd → /bin/cgi <n>: was condemned, is normal" in told
    assert "~ /bin/httpd → /srv/log.1  is now  /bin/httpd → /srv/log" in told
    assert "+ /bin/httpd → /bin/id (waiting for others or a person)" in told
    assert "\x1b" not in told
    rows = json.loads(good(state, "diff", str(file), "--format", "json"))["differences"]
    assert {row["kind"] for row in rows} == {"added", "changed"}
    versions = good(state, "diff", "web@sha256:0", "web@sha256:1")
    assert "/bin/httpd → /bin/cgi <n> --old  is now  /bin/httpd → /bin/cgi <n>" in versions
    assert call(state, "diff", str(file), "--exit-code").exit_code == 1
    assert "no difference" in good(state, "diff", "web", "web", "--exit-code")
    assert call(state, "diff", "web").exit_code == 2


def test_versions_are_named_and_the_newest_is_meant(state: Path) -> None:
    assert "1 older version" in good(state, "show", "web")
    assert "--old" in good(state, "show", "web@sha256:0")
    assert "--old" in good(state, "show", "web", "--all")
    assert "no version matches" in call(state, "show", "web@sha256:9").output


def test_a_directory_that_cannot_be_written_is_said(state: Path) -> None:
    (state / "baselines").write_text("")
    result = call(state, "approve", "web", "--waiting")
    assert result.exit_code == 1
    assert "nothing was changed" in result.output


def test_decisions_shown_as_json_are_those_an_agent_goes_by(state: Path) -> None:
    good(state, "approve", "web", "--waiting")
    shown: Any = json.loads(good(state, "show", "web", "--format", "json"))[0]
    assert shown["decisions"]["accepted"] == {"exec": ["/bin/httpd → /bin/id"]}
    assert shown["system_calls"] is None
    assert read_baseline(next((state / "baselines").iterdir())).workload == WEB
