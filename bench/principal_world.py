"""A simulated cluster and cloud account: who asks what of their control planes, week after week.

Each principal has a repertoire whose calls come with very different rates (a few every hour, many once in weeks), so
harmless novelty never ends. On top: releases that give a principal new calls, new principals, people who travel,
change tools and work late. Within an hour every distinct access comes once: repeats cost time and teach nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from collector.audit import FORMATS, Format
from collector.audit.record import AuditRecord

HOUR_NS = 3600 * 10**9
BEGIN = 489_096  # hours since 1970: Monday, 2025-10-20, 00:00 UTC
_RESOURCES = (
    "pods", "services", "endpoints", "configmaps", "events", "deployments", "replicasets", "jobs", "leases", "nodes",
    "ingresses", "persistentvolumeclaims", "namespaces", "statefulsets", "daemonsets", "cronjobs", "secrets",
)  # fmt: skip
_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
_AWS = tuple(
    (f"{service}.amazonaws.com", verb + noun)
    for service, nouns in (
        ("s3", ("Object", "BucketLocation", "BucketPolicy")), ("ec2", ("Instances", "Images", "Volumes", "Subnets")),
        ("ecr", ("AuthorizationToken", "Repositories", "Image")), ("sqs", ("Queue", "Message")),
        ("logs", ("LogStream", "LogGroup")),
        ("lambda", ("Function20150331", "Alias")), ("dynamodb", ("Table", "Item")), ("rds", ("DBInstances",)),
        ("eks", ("Cluster",)),
    )
    for noun in nouns
    for verb in ("Get", "Describe", "Put", "Create", "Update")
)  # fmt: skip


@dataclass(slots=True)
class Person:
    """Or a machine: `office` None works all hours. `calls`: (what, chance an hour)."""

    name: str
    calls: list[tuple[Any, float]]
    networks: list[str]
    agents: list[str]
    office: tuple[int, int] | None = None
    active: float = 1.0
    born: int = 0
    travels: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


def kubernetes(seed: int, weeks: int) -> Iterator[tuple[Format, AuditRecord]]:
    """200 service accounts, controllers, nodes and ten people."""
    random = Random(seed)
    actors = [_account(random, n, 0) for n in range(200)]
    actors += [_account(random, 200 + n, random.randrange(168, max(169, weeks * 168))) for n in range(3 * weeks)]
    actors += [_controller(name) for name in ("deployment-controller", "job-controller", "generic-garbage-collector")]
    actors += [_node(random, n) for n in range(12)]
    actors += [_admin(random, n) for n in range(10)]
    form = FORMATS["kubernetes-audit"]
    for hour, actor, call, network, agent, number in _hours(random, actors, weeks, _k8s_release):
        verb, resource, namespace = call
        yield form, k8s_record(hour, number, actor.name, verb, resource, namespace, network, agent)


def aws(seed: int, weeks: int) -> Iterator[tuple[Format, AuditRecord]]:
    """Busy CI roles, instance roles, people with keys and with SSO, in one account."""
    random = Random(seed)
    actors = [_role(random, f"ci-{n}", busy=40, active=0.95) for n in range(3)]
    actors += [_role(random, f"node-{n}", busy=12) for n in range(20)]
    actors += [_role(random, f"lambda-{n}", busy=6, active=0.5) for n in range(30)]
    actors += [_human(random, n) for n in range(15)]
    form = FORMATS["aws-cloudtrail"]
    for hour, actor, call, network, agent, number in _hours(random, actors, weeks, _aws_release):
        yield form, aws_record(hour, number, actor.extra, call, network, agent)


def k8s_record(
    hour: int, number: int, user: str, verb: str, resource: str, namespace: str, network: str, agent: str
) -> AuditRecord:
    """As the API server's policy at level Metadata writes it."""
    raw: dict[str, Any] = {
        "auditID": f"k{hour}-{number}", "stage": "ResponseComplete", "verb": verb, "user": {"username": user},
        "sourceIPs": [network], "userAgent": agent, "objectRef": {"resource": resource, "namespace": namespace},
        "responseStatus": {"code": 200}, "requestURI": f"/api/v1/namespaces/{namespace}/{resource}",
    }  # fmt: skip
    return AuditRecord(raw["auditID"], hour * HOUR_NS + number * 10**6, "kubernetes/audit", raw)


def aws_record(
    hour: int, number: int, identity: dict[str, Any], call: tuple[str, str], network: str, agent: str
) -> AuditRecord:
    """As CloudTrail writes it."""
    raw: dict[str, Any] = {
        "eventID": f"a{hour}-{number}", "eventSource": call[0], "eventName": call[1], "awsRegion": "eu-central-1",
        "sourceIPAddress": network, "userAgent": agent, "userIdentity": identity, "recipientAccountId": "111122223333",
    }  # fmt: skip
    return AuditRecord(raw["eventID"], hour * HOUR_NS + number * 10**6, "aws/cloudtrail", raw)


def key_of(person: int) -> dict[str, Any]:
    """The identity of a person's key."""
    arn = f"arn:aws:iam::111122223333:user/person-{person}"
    return {
        "type": "IAMUser",
        "arn": arn,
        "accountId": "111122223333",
        "accessKeyId": f"AKIA{person:016}",
        "userName": f"person-{person}",
    }


def role_of(name: str) -> dict[str, Any]:
    """The identity of a role's session."""
    issuer = {"type": "Role", "arn": f"arn:aws:iam::111122223333:role/{name}", "userName": name}
    arn = f"arn:aws:sts::111122223333:assumed-role/{name}/i-0123456789abcdef0"
    return {"type": "AssumedRole", "arn": arn, "accountId": "111122223333", "sessionContext": {"sessionIssuer": issuer}}


def _hours(random: Random, actors: list[Person], weeks: int, release: Any) -> Iterator[tuple[Any, ...]]:
    for hour in range(BEGIN, BEGIN + weeks * 168):
        number, since = 0, hour - BEGIN
        for actor in actors:
            if since < actor.born or not _works(random, actor, hour):
                continue
            if random.random() < 0.05 / 168:  # a release in twenty weeks
                release(random, actor)
            if random.random() < actor.travels:
                actor.networks.append(f"203.0.{random.randrange(256)}.7")
            away = len(actor.networks) > 3 and random.random() < 0.3
            network = actor.networks[-1] if away else random.choice(actor.networks[:3])
            for call, chance in actor.calls:
                if random.random() < chance:
                    number += 1
                    yield hour, actor, call, network, random.choice(actor.agents), number


def _works(random: Random, actor: Person, hour: int) -> bool:
    if actor.office is None:
        return random.random() < actor.active
    day, clock = (hour // 24 + 3) % 7, hour % 24
    if day >= 5 or not actor.office[0] <= clock < actor.office[1]:
        return random.random() < 0.004  # late, early, weekends
    return random.random() < actor.active


def _repertoire(random: Random, calls: list[Any], busy: int) -> list[tuple[Any, float]]:
    """The first come every hour or two, the others ever more rarely: 1/rank², down to once in 2,000 hours."""
    random.shuffle(calls)
    return [(call, min(0.9, max(0.0005, (busy / (rank + 1)) ** 2 / 4))) for rank, call in enumerate(calls)]


def _account(random: Random, number: int, born: int) -> Person:
    namespace = f"team-{number % 20}"
    calls = [(v, r, namespace) for v in _VERBS[:6] for r in random.sample(_RESOURCES[:-1], 4)]
    agent = random.choice(("operator/v0.0.0 (linux/amd64) kubernetes/$Format", "okhttp/4.9", "Go-http-client/2.0"))
    repertoire = _repertoire(random, calls, 4)[: random.randrange(6, 20)]
    name = f"system:serviceaccount:{namespace}:sa-{number}"
    return Person(name, repertoire, [f"10.0.{number}.5"], [agent], active=random.choice((1.0, 1.0, 0.2)), born=born)


def _controller(name: str) -> Person:
    calls = [((v, r, f"team-{n}"), 0.2) for v in _VERBS for r in _RESOURCES[:6] for n in range(5)]
    agent = "kube-controller-manager/v1.31.0 (linux/amd64)"
    return Person(f"system:serviceaccount:kube-system:{name}", calls, ["10.0.0.2"], [agent])


def _node(random: Random, number: int) -> Person:
    calls = [
        (v, r, f"team-{n}")
        for v in ("get", "watch", "patch")
        for r in ("pods", "secrets", "configmaps")
        for n in range(20)
    ]
    return Person(
        f"system:node:node-{number}", _repertoire(random, calls, 10), [f"10.0.1.{number}"], ["kubelet/v1.31.0"]
    )


def _admin(random: Random, number: int) -> Person:
    calls = [
        (v, r, f"team-{n}")
        for v in _VERBS[:6]
        for r in random.sample(_RESOURCES, 8)
        for n in random.sample(range(20), 3)
    ]
    networks = ["198.51.100.10", f"192.0.2.{number}", f"203.0.113.{number}"]
    start = random.randrange(6, 9)
    agents = ["kubectl/v1.31.0 (linux/amd64) kubernetes/abc", random.choice(("k9s/v0.32", "Mozilla/5.0", "Helm/3.15"))]
    return Person(
        f"admin-{number}@example.com",
        _repertoire(random, calls, 4),
        networks,
        agents,
        (start, start + 9),
        0.7,
        travels=0.003,
    )


def _role(random: Random, name: str, busy: int, active: float = 1.0) -> Person:
    calls = random.sample(list(_AWS), min(len(_AWS), busy + 15))
    agent = random.choice(("Boto3/1.34 Botocore/1.34", "aws-sdk-go-v2/1.2", "aws-cli/2.15", "APN/1.0 Terraform/1.7"))
    repertoire = _repertoire(random, calls, max(4, busy // 3))
    return Person(name, repertoire, [f"10.8.{random.randrange(9)}.4"], [agent], active=active, extra=role_of(name))


def _human(random: Random, number: int) -> Person:
    calls = random.sample(list(_AWS), 40)
    start = random.randrange(6, 10)
    networks = ["198.51.100.10", f"192.0.2.{number}", f"203.0.113.{number}"]
    agents = ["aws-cli/2.15.0 Python/3.11", random.choice(("Mozilla/5.0", "Boto3/1.34", "APN/1.0 Terraform/1.7"))]
    return Person(
        f"person-{number}",
        _repertoire(random, calls, 4),
        networks,
        agents,
        (start, start + 9),
        0.6,
        travels=0.003,
        extra=key_of(number),
    )


def _k8s_release(random: Random, actor: Person) -> None:
    namespace = actor.calls[0][0][2]
    for _ in range(random.randrange(1, 4)):
        actor.calls.append(((random.choice(_VERBS), random.choice(_RESOURCES[:-1]), namespace), 0.5))


def _aws_release(random: Random, actor: Person) -> None:
    for _ in range(random.randrange(1, 4)):
        actor.calls.append((random.choice(_AWS), 0.5))
