"""What a profile would say of behaviours everyone can picture: its judgement made visible before an alarm."""

from ipaddress import ip_address

from detection.baseline.priors import OUTSIDE, path_touches, peer_touches, program_touches
from detection.baseline.profile import Profile
from detection.baseline.score import Novelty, ScoreConfig, score
from detection.baseline.templates import egress_member, exec_member, write_member
from detection.finding import Severity

_TCP = 6


def would_raise(profile: Profile, config: ScoreConfig | None = None) -> list[tuple[str, str, float, Severity | None]]:
    """Class, member, surprise and severity (None: not reported) of some behaviours the profile does not know.

    The actor is the program that acts most in this class, so that the examples fit the workload.
    """
    found = []
    for novelty in _examples(profile):
        known = profile.classes[novelty.behaviour]
        if known.find(novelty.member) is None:
            verdict = score(novelty, known, config or ScoreConfig())
            found.append((novelty.behaviour, novelty.member, verdict.surprise, verdict.severity))
    return found


def _examples(profile: Profile) -> list[Novelty]:
    starter, writer, caller = (_actor(profile, name) for name in ("exec", "write", "egress"))
    public, private = ip_address("1.1.1.1"), ip_address("10.255.255.254")
    return [
        Novelty("exec", exec_member(starter, "/bin/sh", ("sh", "-i")), "", program_touches("/bin/sh")),
        Novelty("exec", exec_member(OUTSIDE, "/bin/sh", ("sh",)), "", program_touches("/bin/sh")),
        Novelty("exec", exec_member(starter, "/tmp/x", ("x",)), "", program_touches("/tmp/x")),  # noqa: S108 - a name
        Novelty("exec", exec_member(starter, "/usr/bin/new", ("new",)), "", program_touches("/usr/bin/new")),
        Novelty("write", write_member(writer, "/etc/cron.d/job"), "", path_touches("/etc/cron.d/job")),
        Novelty("write", write_member(writer, "/srv/new/file"), "", path_touches("/srv/new/file")),
        Novelty("egress", egress_member(caller, _TCP, public, 443), "", peer_touches(public, 443)),
        Novelty("egress", egress_member(caller, _TCP, private, 8080), "", peer_touches(private, 8080)),
    ]


def _actor(profile: Profile, behaviour: str) -> str:
    """The left side of the class's most frequent member; of any other class's where it has none."""
    for name in (behaviour, *profile.classes):
        members = profile.classes[name].members.values()
        if members:
            return max(members, key=lambda m: (m.units, m.name)).name.partition(" → ")[0]
    return "/app"
