"""ATT&CK tags of Sigma rules."""

from detection.finding import Technique


def techniques_of(tags: list[str]) -> tuple[Technique, ...]:
    """ATT&CK tags as techniques; a tag list names tactics apart, so each technique serves the first of them."""
    names = [t.removeprefix("attack.") for t in tags if t.startswith("attack.")]
    tactics = [n.replace("_", "-") for n in names if not _is_technique(n)]
    ids = [n.upper() for n in names if _is_technique(n) and n[0] == "t"]
    found = [Technique(i, tactics[min(k, len(tactics) - 1)] if tactics else "") for k, i in enumerate(ids)]
    # A tactic without a technique of its own still counts; it rides on the last technique.
    extra = [Technique(ids[-1], t) for t in tactics[len(ids) :]] if ids else [Technique("", t) for t in tactics]
    return tuple(found + extra)


def _is_technique(name: str) -> bool:
    return len(name) > 1 and name[0] in "tsg" and name[1:].replace(".", "").isdigit()
