"""What a profile would say of behaviours everyone can picture: its judgement made visible before an alarm."""

from ipaddress import ip_address

from agent.learn.habits import habits_of
from detection.baseline.keys import CLASSES
from detection.baseline.peers import egress_member, listen_member
from detection.baseline.priors import OUTSIDE, listen_touches, path_touches, peer_touches, program_touches, read_touches
from detection.baseline.privileges import call_touches, credential_touches
from detection.baseline.profile import Profile
from detection.baseline.score import Habits, Novelty, ScoreConfig, score
from detection.baseline.templates import deed_member, exec_member, file_member, write_member
from detection.finding import Severity

_TCP = 6


def would_raise(profile: Profile, config: ScoreConfig | None = None) -> list[tuple[str, str, float, Severity | None]]:
    """Class, member, surprise and severity (None: not reported) of some behaviours the profile does not know.

    The actor is the program that acts most in this class, so that the examples fit the workload. Where the profile
    brings its record along, the budget has its say.
    """
    found, brought = [], habits_of(profile)
    for novelty in _examples(profile):
        known = profile.of(novelty.behaviour)
        if known.find(novelty.member) is None:
            habits = Habits(novelty.behaviour, *brought) if brought else None
            verdict = score(novelty, known, config or ScoreConfig(), habits)
            found.append((novelty.behaviour, novelty.member, verdict.surprise, verdict.severity))
    return found


def _examples(profile: Profile) -> list[Novelty]:
    starter, writer, reader, caller = (_actor(profile, name) for name in ("exec", "write", "read", "egress"))
    public, private, anywhere = (ip_address(text) for text in ("1.1.1.1", "10.255.255.254", "0.0.0.0"))  # noqa: S104
    return [
        Novelty("exec", exec_member(starter, "/bin/sh", ("sh", "-i")), "", program_touches("/bin/sh")),
        Novelty("exec", exec_member(OUTSIDE, "/bin/sh", ("sh",)), "", program_touches("/bin/sh")),
        Novelty("exec", exec_member(starter, "/tmp/x", ("x",)), "", program_touches("/tmp/x")),  # noqa: S108 - a name
        Novelty("exec", exec_member(starter, "/usr/bin/new", ("new",)), "", program_touches("/usr/bin/new")),
        Novelty("write", write_member(writer, "/etc/cron.d/job"), "", path_touches("/etc/cron.d/job")),
        Novelty("write", write_member(writer, "/srv/new/file"), "", path_touches("/srv/new/file")),
        Novelty("read", file_member(reader, "/etc/shadow"), "", read_touches("/etc/shadow")),
        Novelty("read", file_member(reader, "/srv/new/file"), ""),
        Novelty("egress", egress_member(caller, _TCP, public, 443), "", peer_touches(public, 443)),
        Novelty("egress", egress_member(caller, _TCP, private, 8080), "", peer_touches(private, 8080)),
        Novelty("listen", listen_member(caller, "tcp", "0.0.0.0", 4444), "", listen_touches(anywhere, 4444)),  # noqa: S104
        Novelty("credential", deed_member(starter, "uid user → root"), "", credential_touches(1000, 0)),
        Novelty("call", deed_member(starter, "ptrace attach"), "", call_touches("ptrace", "attach")),
    ]


def _actor(profile: Profile, behaviour: str) -> str:
    """The left side of the class's most frequent member; of any other class's where it has none."""
    for name in (behaviour, *CLASSES):
        members = profile.of(name).members.values()
        if members:
            return max(members, key=lambda m: (m.units, m.name)).name.partition(" → ")[0]
    return "/app"
