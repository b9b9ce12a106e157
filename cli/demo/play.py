"""The demo from beginning to end: set up, learn, intrude, join, take down; the document that tells it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.demo import controlplane, intrusion, learning, outside, services, stage
from cli.demo.collected import Collected
from cli.demo.controlplane import AuditLog
from cli.demo.intrusion import Intrusion, Scene
from cli.demo.process import Child, Processes, stop
from cli.demo.progress import Progress
from cli.demo.services import Endpoint
from cli.demo.stage import Machine, Shop
from cli.demo.story import Quiet, Verdict, judge, quiet_before
from cli.demo.traffic import Customers
from collector.publish.client import EventClient

_LEARN_S = 60
_JOIN_S = 15
_SETTLE_S = 1.5  # no news for so long: everything has arrived
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """What the demo found."""

    incidents: tuple[Mapping[str, Any], ...]
    verdict: Verdict
    quiet: Quiet
    intrusion: Intrusion
    status: Mapping[str, Any]
    times: Mapping[str, float]

    def document(self) -> dict[str, Any]:
        """The one JSON document of `vedette demo --format json`."""
        played = self.intrusion
        return {
            "incidents": list(self.incidents),
            "before_intrusion": self.quiet.as_dict(),
            "agent": {
                "events": self.status.get("counters", {}),
                "dropped": self.status.get("dropped", {}),
                "profiles": self.status.get("profiles", []),
            },
            "times": dict(self.times),
            "intrusion": {
                "user": played.user,
                "pod": played.pod,
                "began_ns": played.began_ns,
                "ended_ns": played.ended_ns,
            },
            "complete": not self.verdict.missing,
            "missing": list(self.verdict.missing),
        }


class Performance:
    """One run in `work`, a directory that is empty and ours; whoever made it sweeps it afterwards."""

    def __init__(self, work: Path, progress: Progress) -> None:
        self._work = work
        self._progress = progress
        self._processes = Processes(work / "processes", work / "logs")
        self._audit = AuditLog(work / "audit.log")
        self._status = work / "status.json"
        self._times: dict[str, float] = {}

    def play(self) -> Told:
        """Everything, in order. Raises: DemoError."""
        began = time.monotonic()
        with ExitStack() as stack:
            with self._timed("setup_s"):
                endpoint = self._start_collector(stack)
                machine, agent = self._start_machine(endpoint, stack)
                shop = self._open_shop(machine)
            stack.enter_context(Customers([pod.address for pod in shop.web]))
            with self._timed("learning_s"):
                self._learn(agent, shop)
            collected = Collected(EventClient(stack.enter_context(endpoint.channel())))
            collected.refresh()
            raised = tuple(collected.incidents)
            with self._timed("intrusion_s"):
                done = self._intrude(machine, shop)
            with self._timed("joining_s"):
                verdict, quiet = self._await_story(collected, raised, done, agent)
            status = learning.read_status(self._status)
            self._progress.begin("taking everything down")
            removal = time.monotonic()
        self._times["removal_s"] = round(time.monotonic() - removal, 2)
        self._times["total_s"] = round(time.monotonic() - began, 2)
        standing = sorted(
            (i for i in collected.incidents.values() if not i["superseded_by"]), key=lambda i: -i["score"]
        )
        return Told(tuple(standing), verdict, quiet, done, status, self._times)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._times[part] = round(time.monotonic() - began, 2)

    def _start_collector(self, stack: ExitStack) -> Endpoint:
        self._progress.begin("certificates, and the collector")
        endpoint = services.make_endpoint(self._work / "pki")
        child = services.start_collector(self._work, endpoint, self._audit.path, self._processes)
        stack.callback(stop, child)
        return endpoint

    def _start_machine(self, endpoint: Endpoint, stack: ExitStack) -> tuple[Machine, Child]:
        self._progress.begin("containers: an image, a network and a containerd of our own")
        machine = stack.enter_context(stage.machine(self._work, self._processes))
        self._progress.begin("the agent attaches its sensor")
        agent = services.start_agent(self._work, endpoint, self._status, self._processes)
        stack.callback(stop, agent)
        return machine, agent

    def _open_shop(self, machine: Machine) -> Shop:
        self._progress.begin(f"the shop opens: {stage.REPLICAS} web pods, {stage.REPLICAS} backend pods")
        return stage.open_shop(self._work, machine.kubelet, self._progress)

    def _learn(self, agent: Child, shop: Shop) -> None:
        self._progress.begin("the agent learns what the shop does, until it knows how complete that is")
        self._audit.write(*controlplane.background(shop.pods))
        stable = learning.await_stable(self._status, agent, self._progress, _LEARN_S)
        self._progress.say(learning.summary(stable))
        self._audit.write(*controlplane.background(shop.pods))

    def _intrude(self, machine: Machine, shop: Shop) -> Intrusion:
        self._progress.begin("an intruder, with a person's kubectl")
        net = machine.network
        with outside.serving(net.outside, net.gateway, self._audit, shop.web):
            scene = Scene(machine.runtime, shop.web[0], shop.backend[0], net, self._audit)
            return intrusion.play(scene, self._progress)

    def _await_story(
        self, collected: Collected, raised: Sequence[str], done: Intrusion, agent: Child
    ) -> tuple[Verdict, Quiet]:
        """Read on until the story is complete and nothing more comes, or time is up."""
        self._progress.begin("the collector joins what the kernel and the audit log saw")
        now = last_news = time.monotonic()
        end = now + _JOIN_S
        while True:
            agent.check()
            now = time.monotonic()
            if collected.refresh():
                last_news = now
            incidents = list(collected.incidents.values())
            quiet = quiet_before(raised, incidents, collected.findings.values(), done.began_ns)
            verdict = judge(incidents, quiet)
            if (now - last_news > _SETTLE_S and not verdict.missing) or now > end:
                return verdict, quiet
            time.sleep(_POLL_S)
