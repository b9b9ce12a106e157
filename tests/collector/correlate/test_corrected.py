"""A finding sent before its container was known joins where it belongs once the correction comes."""

import itertools
from dataclasses import replace

from collector.correlate import Correlator
from detection.finding import EntityKind


def _early(finding):
    """As an agent sends it before the runtime has answered: the container's id, nothing else of it."""
    known = (EntityKind.PROCESS, EntityKind.CONTAINER, EntityKind.NODE)
    return replace(finding, incomplete=True, entities=tuple(e for e in finding.entities if e.kind in known))


def _shape(incident):
    return (incident.id, {f.id for f in incident.findings}, {(j.key, j.value) for j in incident.joins}, incident.score)


def test_a_correction_joins_the_incident_of_its_pod_and_supersedes_its_own(make):
    """Two incidents become one; the later one names the one it is part of; nothing is in two places."""
    call = make.audit("exec", 0, user="alice", sub="exec", obj="pods/shop/web-1", level="high")
    shell = make.runtime("shell", 5, level="high")
    correlator = Correlator()
    correlator.add_many([call, _early(shell)])
    before = {i.id for i in correlator.incidents()}
    assert len(before) == 2
    changed = correlator.add(shell)
    (incident,) = correlator.incidents()
    assert {f.id for f in incident.findings} == {call.id, shell.id}
    assert not any(f.incomplete for f in incident.findings)
    gone = before - {incident.id}
    assert {(i.id, i.superseded_by) for i in changed if i.superseded_by} == {(g, incident.id) for g in gone}


def test_corrected_or_complete_at_once_makes_no_difference(make):
    """Whatever the order of three findings, two corrections and a repeat."""
    call = make.audit("exec", 0, user="alice", sub="exec", obj="pods/shop/web-1", level="high")
    shell, wrote = make.runtime("shell", 5, level="high"), make.runtime("wrote", 9, level="low")
    at_once = Correlator()
    at_once.add_many([call, shell, wrote])
    (expected,) = at_once.incidents()
    reports = [call, _early(shell), shell, _early(wrote), wrote]
    for order in itertools.permutations(reports):
        correlator = Correlator()
        correlator.add_many(order)
        (incident,) = correlator.incidents()
        assert _shape(incident) == _shape(expected)


def test_a_correction_keeps_count_and_place(make):
    """The count so far stays; a correction that comes twice changes nothing."""
    shell = make.runtime("shell", 5, level="high")
    correlator = Correlator()
    correlator.add(replace(_early(shell), count=7, last_ns=shell.time_ns + 9))
    correlator.add(shell)
    (incident,) = correlator.incidents()
    (member,) = incident.findings
    assert (member.count, member.last_ns, member.incomplete) == (7, shell.time_ns + 9, False)
    assert correlator.add(shell) == []
    assert correlator.add(_early(shell)) == []
