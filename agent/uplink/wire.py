"""Findings and ledgers as the bytes of `vedette.v1.Payload`."""

from collections.abc import Mapping

from vedette.v1 import agent_pb2, finding_pb2

from agent.identify.sources import RuntimeState
from agent.ledger import Ledger
from agent.rulebook import RulesState
from agent.throttling import ThrottleEntry
from detection.finding import Entity, FieldValue, Finding, Technique

_INT64 = range(-(1 << 63), 1 << 63)


def finding_payload(finding: Finding) -> bytes:
    """A record's payload that carries one finding."""
    return bytes(agent_pb2.Payload(finding=_finding(finding)).SerializeToString())


def ledger_payload(ledger: Ledger) -> bytes:
    """A record's payload that carries one ledger entry."""
    return bytes(agent_pb2.Payload(ledger=_ledger(ledger)).SerializeToString())


def text(value: str) -> str:
    """The string, with whatever UTF-8 cannot carry (lone surrogates) replaced by "?"."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _finding(finding: Finding) -> finding_pb2.Finding:
    message = finding_pb2.Finding(
        id=text(finding.id),
        time_ns=finding.time_ns,
        last_ns=finding.last_ns,
        source=finding.source.value,
        kind=finding.kind.value,
        rule_id=text(finding.rule_id),
        title=text(finding.title),
        severity=f"SEVERITY_{finding.severity.name}",
        reason=text(finding.reason),
        advice=text(finding.advice),
        techniques=[_technique(technique) for technique in finding.techniques],
        entities=[_entity(entity) for entity in finding.entities],
        matched=[text(item) for item in finding.matched],
        count=finding.count,
        surprise=finding.surprise,
        profile=text(finding.profile),
        lossy=finding.lossy,
        incomplete=finding.incomplete,
    )
    for name, value in finding.fields.items():
        _set_field(message.fields[text(name)], value)
    return message


def _technique(technique: Technique) -> finding_pb2.Technique:
    return finding_pb2.Technique(id=text(technique.id), tactic=text(technique.tactic))


def _entity(entity: Entity) -> finding_pb2.Entity:
    return finding_pb2.Entity(
        kind=entity.kind.value, id=text(entity.id), role=entity.role.value, name=text(entity.name)
    )


def _set_field(message: finding_pb2.FieldValue, value: FieldValue) -> None:
    if isinstance(value, bool):
        message.truth = value
    elif isinstance(value, int) and value in _INT64:
        message.integer = value
    elif isinstance(value, float):
        message.real = value
    elif isinstance(value, tuple):
        message.list.items.extend([text(item) for item in value])
        message.list.SetInParent()  # an empty tuple is a value too
    else:
        message.text = text(str(value))


def _ledger(ledger: Ledger) -> agent_pb2.Ledger:
    return agent_pb2.Ledger(
        time_ns=ledger.time_ns,
        event=f"LEDGER_EVENT_{ledger.event.name}",
        run_id=ledger.run_id,
        watching_since_ns=ledger.watching_since_ns,
        previous_entry_ns=ledger.previous_entry_ns,
        probes=[
            agent_pb2.ProbeState(name=text(p.name), attached=p.attached, consequence=text(p.consequence))
            for p in ledger.probes
        ],
        counters=[_counters(name, counts) for name, counts in ledger.counters.items()],
        container_ids=[text(container) for container in ledger.container_ids],
        dropped={text(cause): count for cause, count in ledger.dropped.items()},
        profiles=[
            agent_pb2.ProfileState(
                workload=text(p.workload),
                behaviour=text(p.behaviour),
                state=p.state,
                completeness=p.completeness,
                members=p.members,
                phase=p.phase,
            )
            for p in ledger.profiles
        ],
        throttles=[_throttle(t) for t in ledger.throttles],
        runtimes=[_runtime(r) for r in ledger.runtimes],
        rules=_rules(ledger.rules),
    )


def _rules(state: RulesState) -> agent_pb2.RulesState:
    return agent_pb2.RulesState(
        digest=state.digest,
        source=state.source,
        rules=state.rules,
        problems=state.problems,
        refused_digest=text(state.refused_digest),
        refusal=text(state.refusal),
        replaced=state.replaced,
    )


def _runtime(state: RuntimeState) -> agent_pb2.RuntimeState:
    return agent_pb2.RuntimeState(
        kind=state.kind,
        socket=text(state.socket),
        state=state.state,
        problem=text(state.problem),
        version=text(state.version),
        answers=state.answers,
        failures=state.failures,
    )


def _throttle(entry: ThrottleEntry) -> agent_pb2.Throttle:
    return agent_pb2.Throttle(
        container_id=text(entry.container_id),
        workload=text(entry.workload),
        event_class=entry.behaviour,
        times=entry.times,
        held_back=entry.held_back,
        active_since_ns=entry.active_since_ns,
    )


def _counters(event_class: str, counts: Mapping[str, int]) -> agent_pb2.ClassCounters:
    return agent_pb2.ClassCounters(
        event_class=text(event_class), counts={text(cause): count for cause, count in counts.items()}
    )
