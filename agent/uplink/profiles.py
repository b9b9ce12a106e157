"""Profiles and decisions as messages, and back. What comes from the collector is checked as if anybody had sent it."""

from vedette.v1 import agent_pb2, baseline_pb2

from agent.uplink.wire import text
from detection.baseline.decision import Decisions, parse
from detection.baseline.packing import Unpacker, pack
from detection.baseline.parts import Part
from detection.baseline.snapshot import ClassSnapshot, Window


def profile_message(part: Part) -> agent_pb2.AgentMessage:
    """One part of an update, to be sent up."""
    return agent_pb2.AgentMessage(
        profile=baseline_pb2.Profile(
            workload=text(part.workload),
            version=text(part.version),
            number=part.number,
            base=part.base,
            part=part.part,
            parts=part.parts,
            run_id=part.run_id,
            closed_ns=part.closed_ns,
            classes=[_class_message(name, known) for name, known in part.classes],
        )
    )


def _class_message(name: str, known: ClassSnapshot) -> baseline_pb2.ProfileClass:
    return baseline_pb2.ProfileClass(
        behaviour=name,
        windows=[baseline_pb2.Window(units=units, novel=novel) for units, novel in known.windows],
        instances=known.instances,
        members=pack(known.members),
        condemned=[text(member) for member in sorted(known.condemned)],
        overflow=known.overflow,
        loss_left=known.loss_left,
        slots=known.slots,
    )


def part_from(message: baseline_pb2.Profile) -> Part:
    """One part of what the fleet knows. Raises: PackingError."""
    unpacker = Unpacker()
    return Part(
        workload=message.workload,
        version=message.version,
        number=message.number,
        base=message.base,
        part=message.part,
        parts=message.parts,
        run_id=message.run_id,
        closed_ns=message.closed_ns,
        classes=tuple((known.behaviour, _class_from(known, unpacker)) for known in message.classes),
        agents=message.agents,
        inherited_from=message.inherited_from,
    )


def _class_from(known: baseline_pb2.ProfileClass, unpacker: Unpacker) -> ClassSnapshot:
    return ClassSnapshot(
        windows=tuple(Window(window.units, window.novel) for window in known.windows),
        members=unpacker.members(known.members),
        condemned=frozenset(known.condemned),
        instances=known.instances,
        overflow=known.overflow,
        loss_left=known.loss_left,
        slots=known.slots,
    )


def decisions_from(message: baseline_pb2.WorkloadDecisions) -> Decisions:
    """What people decided. Raises: DecisionError."""
    if message.withdrawn:
        return Decisions(message.workload, message.version)
    return parse(
        {
            "workload": message.workload,
            "version": message.version,
            "lock": message.lock,
            "accepted": {known.behaviour: list(known.accepted) for known in message.classes if known.listed},
            "condemned": {known.behaviour: list(known.condemned) for known in message.classes if known.condemned},
        }
    )
