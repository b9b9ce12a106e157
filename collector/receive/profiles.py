"""Profiles and decisions from and to agents as the collector's own values. Hostile until it has been through here."""

from vedette.v1 import agent_pb2, baseline_pb2

from collector.errors import MessageError
from detection.baseline.decision import Decisions
from detection.baseline.packing import PackingError, Unpacker, pack
from detection.baseline.parts import Part, PartError, Update, check, split
from detection.baseline.snapshot import ClassSnapshot, Window


def part_from(message: baseline_pb2.Profile) -> Part:
    """One part of what an agent tells. Raises: MessageError."""
    unpacker = Unpacker()
    try:
        part = Part(
            workload=message.workload,
            version=message.version,
            number=message.number,
            base=message.base,
            part=message.part,
            parts=message.parts,
            run_id=message.run_id,
            closed_ns=message.closed_ns,
            classes=tuple((known.behaviour, _class_from(known, unpacker)) for known in message.classes),
        )
        check(part)
    except (PackingError, PartError) as error:
        raise MessageError(f"profile: {error}", "profile") from error
    return part


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


def profile_messages(update: Update) -> list[baseline_pb2.Profile]:
    """A merged profile, in parts."""
    return [
        baseline_pb2.Profile(
            workload=part.workload,
            version=part.version,
            number=part.number,
            part=part.part,
            parts=part.parts,
            closed_ns=part.closed_ns,
            classes=[_class_message(name, known) for name, known in part.classes],
            agents=part.agents,
            inherited_from=part.inherited_from,
        )
        for part in split(update)
    ]


def fleet_messages(update: Update) -> tuple[bytes, ...]:
    """The same as messages on an agent's stream."""
    parts = profile_messages(update)
    return tuple(bytes(agent_pb2.CollectorMessage(fleet_profile=p).SerializeToString()) for p in parts)


def _class_message(name: str, known: ClassSnapshot) -> baseline_pb2.ProfileClass:
    return baseline_pb2.ProfileClass(
        behaviour=name,
        windows=[baseline_pb2.Window(units=units, novel=novel) for units, novel in known.windows],
        instances=known.instances,
        members=pack(known.members),
        condemned=sorted(known.condemned),
        overflow=known.overflow,
        loss_left=known.loss_left,
        slots=known.slots,
    )


def decisions_message(decisions: Decisions) -> baseline_pb2.WorkloadDecisions:
    """Decisions about one workload."""
    return baseline_pb2.WorkloadDecisions(
        workload=decisions.workload,
        version=decisions.version,
        lock=decisions.lock,
        classes=[_decided(decisions, name) for name in sorted({*decisions.accepted, *decisions.condemned})],
        withdrawn=not decisions,
    )


def _decided(decisions: Decisions, name: str) -> baseline_pb2.ClassDecisions:
    return baseline_pb2.ClassDecisions(
        behaviour=name,
        accepted=sorted(decisions.accepted.get(name, ())),
        condemned=sorted(decisions.condemned.get(name, ())),
        listed=name in decisions.accepted,
    )


def ack_message(workload: str, version: str, number: int) -> bytes:
    """A profile is stored; 0: send the whole of it."""
    ack = baseline_pb2.ProfileAck(workload=workload, version=version, number=number)
    return bytes(agent_pb2.CollectorMessage(profile_ack=ack).SerializeToString())


def decided_message(decisions: Decisions) -> bytes:
    """Decisions on an agent's stream."""
    return bytes(agent_pb2.CollectorMessage(decisions=decisions_message(decisions)).SerializeToString())
