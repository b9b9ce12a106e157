"""People's decisions, applied to a profile that learned before they were made."""

from agent.learn.ports import Decided
from detection.baseline.keys import ClassKey
from detection.baseline.profile import ClassProfile, Profile


def apply(profile: Profile, decided: Decided) -> bool:
    """Learn what was held and is accepted; unlearn what is condemned or outside a lock. Whether anything was unlearned.

    What is accepted counts as seen once, in the slot that is open.
    """
    unlearned = False
    for key, known in profile.classes.items():
        _accept(key, known, decided)
        unlearned |= _unlearn(key, known, decided)
    return unlearned


def allows(decided: Decided | None, key: ClassKey, name: str) -> bool:
    """Whether decisions leave room for a behaviour."""
    if decided is None or decided.accepts(key, name):
        return True
    return not (decided.condemns(key, name) or decided.locks(key))


def _accept(key: ClassKey, known: ClassProfile, decided: Decided) -> None:
    for name in [name for name in known.condemned if decided.accepts(key, name)]:
        del known.condemned[name]
    for held in [held for held in known.quarantine.values() if decided.accepts(key, held.name)]:
        known.take(held.name, min(held.instances, default=""), held.last_ns)


def _unlearn(key: ClassKey, known: ClassProfile, decided: Decided) -> bool:
    names = [name for name in known.members if not allows(decided, key, name)]
    for name in names:
        known.unlearn(name)
    return bool(names)
