"""`vedette probe` explains; it never fails for what a machine lacks."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from agent.source.capabilities import Capability, Loader, Report, examine
from agent.source.port import ProbeState
from agent.source.programs import PROGRAMS
from cli.probe import as_json, as_text, command

# Everything is imported before the change of user: the interpreter may be closed to others.
UNPRIVILEGED = """
import os
from agent.source.capabilities import examine
from cli.probe import command
examine()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
command(["--format", "json"])
"""
POOR = Report(
    (Capability("BTF", "no", "not exported", "nothing can be watched"), Capability("tracefs", "yes", "/t")),
    (ProbeState("file_open", False, "no tracefs: opens go unseen"), ProbeState("process_exec", True)),
    (Loader("CO-RE", False, "lacks: BTF"),),
    "none",
)


def test_text_shows_each_missing_thing_with_its_consequence():
    """A no is followed by what it means; a yes is not."""
    lines = as_text(POOR).splitlines()
    at = next(i for i, line in enumerate(lines) if "BTF" in line)
    assert lines[at + 1].strip() == "→ nothing can be watched"
    assert any("file_open" in line and "opens go unseen" in line for line in lines)
    assert "Loader: none" in lines
    assert "Programs: 1 of 2 find their hook" in lines


def test_json_is_one_document_with_the_same_facts():
    """Machines read the same as people."""
    document = json.loads(as_json(POOR))
    assert document["loader"] == "none"
    assert document["capabilities"][0] == POOR.capabilities[0]._asdict()
    assert document["programs"][0]["consequence"] == "no tracefs: opens go unseen"


def test_the_command_succeeds_here_in_both_formats():
    """Exit status 0, whatever this machine is."""
    for form in ("text", "json"):
        result = CliRunner().invoke(command, ["--format", form])
        assert result.exit_code == 0, result.output
    assert json.loads(result.output)["loader"] in ("CO-RE", "bcc", "polling", "none")


def test_every_no_and_unknown_has_a_consequence():
    """Nothing is missing without a word on what that means; every program but a stand-in is listed."""
    report = examine()
    assert all(fact.consequence for fact in report.capabilities if fact.answer != "yes")
    listed = {state.name for state in report.programs}
    unlisted = [program for program in PROGRAMS if program.name not in listed]
    assert all(program.below or program.parameters or program.without or program.beside for program in unlisted)
    usable = [loader.name for loader in report.loaders if loader.usable]
    assert report.loader == (usable[0] if usable else "none")
    assert all(loader.reason for loader in report.loaders)


def test_without_built_files_it_says_how_to_build_them(tmp_path):
    """No compiled sensor: neither CO-RE nor bcc can be used, and the remedy is named."""
    report = examine(tmp_path)
    assert report.loader in ("polling", "none")
    assert any("make build" in fact.detail + fact.consequence for fact in report.capabilities)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_without_root_it_explains_instead_of_failing():
    """A user without privileges gets exit status 0, no loader, and the privileges named as missing."""
    result = subprocess.run([sys.executable, "-c", UNPRIVILEGED], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["loader"] == "none"
    [privileges] = [fact for fact in document["capabilities"] if fact["name"] == "privileges"]
    assert privileges["answer"] == "no"
