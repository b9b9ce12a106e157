"""Real runtimes behind real sockets: what identity says of a container is what its runtime was told."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vedette.cri.v1 import runtime_pb2 as cri
from vedette.cri.v1 import runtime_pb2_grpc

from agent.core import Core
from agent.detect.detector import Detector
from agent.events import Exec
from agent.identify.identify import Identifier
from agent.identify.sources import Question, Said, Standing
from agent.learn.learner import Learner
from agent.observation import Observation
from agent.runtimes.cri import CriEngine
from agent.runtimes.desk import Desk
from agent.runtimes.docker import DockerEngine
from agent.runtimes.sockets import Socket
from agent.workload import Identified, Owner
from cli.demo import image, runtime, sweep
from cli.demo.process import Processes
from detection.rules import RuleSet

pytestmark = pytest.mark.container
DEADLINE_S = 60
TOKEN_AT = "/var/run/secrets/kubernetes.io/serviceaccount"
PODMAN = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITS = ("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000")


@dataclass(frozen=True)
class Pod:
    """A pod made through the CRI, and what was said of it then."""

    sandbox_id: str
    uid: str
    name: str
    config: cri.PodSandboxConfig


class Cri:
    """A private containerd; pods on the host's network, so that no bridge is needed."""

    def __init__(self, engine: runtime.Runtime, work: Path) -> None:
        self.socket = str(engine.socket)
        self.stub = runtime_pb2_grpc.RuntimeServiceStub(engine.channel)
        self._work = work

    def pod(self, app: str, template: str, account: str) -> Pod:
        uid, name = str(uuid.uuid4()), f"{app}-{template}-{uuid.uuid4().hex[:5]}"
        sweep.record_pod(self._work, uid)
        config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=name, uid=uid, namespace="test"),
            log_directory=str(self._work),
            labels={"app": app, "pod-template-hash": template, "io.kubernetes.pod.uid": uid},
            annotations={"kubernetes.io/config.source": "api"},
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent=f"/kubepods/burstable/pod{uid}",
                security_context=cri.LinuxSandboxSecurityContext(
                    namespace_options=cri.NamespaceOption(network=cri.NODE, pid=cri.CONTAINER, ipc=cri.POD)
                ),
            ),
        )
        self._token(uid, account)
        sandbox = self.stub.RunPodSandbox(cri.RunPodSandboxRequest(config=config), timeout=DEADLINE_S).pod_sandbox_id
        return Pod(sandbox, uid, name, config)

    def _volume(self, uid: str) -> Path:
        return self._work / "pods" / uid / "volumes/kubernetes.io~projected/kube-api-access"

    def _token(self, uid: str, account: str) -> None:
        claims = {"sub": f"system:serviceaccount:test:{account}", "kubernetes.io": {"pod": {"uid": uid}}}
        middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        dated = self._volume(uid) / "..2026"
        dated.mkdir(parents=True)
        (dated / "token").write_bytes(b"e30." + middle + b".c2ln")
        (dated.parent / "..data").symlink_to("..2026")

    def container(self, pod: Pod, name: str, *command: str) -> str:
        """Made and started; its id."""
        config = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=name),
            image=cri.ImageSpec(image=image.IMAGE),
            command=command,
            labels={"io.kubernetes.container.name": name, "io.kubernetes.pod.name": pod.name},
            mounts=[cri.Mount(container_path=TOKEN_AT, host_path=str(self._volume(pod.uid)), readonly=True)],
            linux=cri.LinuxContainerConfig(
                security_context=cri.LinuxContainerSecurityContext(
                    namespace_options=cri.NamespaceOption(network=cri.NODE, pid=cri.CONTAINER, ipc=cri.POD)
                )
            ),
        )
        request = cri.CreateContainerRequest(pod_sandbox_id=pod.sandbox_id, config=config, sandbox_config=pod.config)
        container_id = str(self.stub.CreateContainer(request, timeout=DEADLINE_S).container_id)
        self.stub.StartContainer(cri.StartContainerRequest(container_id=container_id), timeout=DEADLINE_S)
        return container_id

    def remove(self, container_id: str) -> int:
        """As soon as it has ended by itself; its exit code."""
        status = _until(lambda: self._ended(container_id), "ended")
        self.stub.RemoveContainer(cri.RemoveContainerRequest(container_id=container_id), timeout=DEADLINE_S)
        return int(status.exit_code)

    def _ended(self, container_id: str) -> Any:
        request = cri.ContainerStatusRequest(container_id=container_id)
        status = self.stub.ContainerStatus(request, timeout=DEADLINE_S).status
        return status if status.state == cri.CONTAINER_EXITED else None

    def remove_pods(self) -> None:
        for item in self.stub.ListPodSandbox(cri.ListPodSandboxRequest(), timeout=DEADLINE_S).items:
            self.stub.StopPodSandbox(cri.StopPodSandboxRequest(pod_sandbox_id=item.id), timeout=DEADLINE_S)
            self.stub.RemovePodSandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=item.id), timeout=DEADLINE_S)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Sockets have short paths."""
    path = Path(tempfile.mkdtemp(prefix="vt-id-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def containerd(short_dir: Path) -> Iterator[Cri]:
    """With the demo's image."""
    if runtime.missing():
        pytest.skip(f"needs {', '.join(runtime.missing())}")
    with ExitStack() as stack:
        stack.callback(sweep.sweep, short_dir)
        processes = Processes(short_dir / "processes", short_dir)
        engine = stack.enter_context(runtime.running(short_dir, short_dir / "cni", processes))
        image.write_archive(short_dir / "image.tar")
        engine.import_image(short_dir / "image.tar")
        made = Cri(engine, short_dir)
        stack.callback(made.remove_pods)
        yield made


class Spy(Learner):
    """Keeps what reaches learning."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Identified] = []

    def observe(self, identified: Identified) -> Observation:
        self.seen.append(identified)
        return Observation(identified)


class Agent:
    """Sensor, identity with its runtimes, and the core, in a thread as `vedette agent` runs them."""

    def __init__(self, *places: Socket) -> None:
        from agent.decode.decode import Decoder  # noqa: PLC0415  (needs the compiled sensor)
        from agent.source.core_re import CoReSource  # noqa: PLC0415

        self._source: Any = CoReSource(agent_pid=1 << 30)
        self.desk = Desk(places)
        self.identifier = Identifier("boot", engines=self.desk)
        self.spy = Spy()
        self.core = Core(
            source=self._source,
            decoder=Decoder(),
            identifier=self.identifier,
            learner=self.spy,
            detector=Detector(RuleSet.from_ir([]), "node-1"),
            sink=_Nowhere(),
        )
        self._source.start()
        self.desk.start()
        self.identifier.seed(time.time_ns())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def _loop(self) -> None:
        next_tick = time.monotonic() + 1
        while not self._stop.is_set():
            batch = self._source.read(0.02)
            if batch:
                self.core.handle(batch)
            self.core.pump(time.time_ns())
            if time.monotonic() >= next_tick:
                next_tick += 1
                self.core.tick(time.time_ns())

    def execs(self) -> list[Identified]:
        return [one for one in list(self.spy.seen) if isinstance(one.event, Exec)]

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        """With all that may explain why it does not come."""
        try:
            _until(condition, what)
        except AssertionError as error:
            lost = {k: v for k, v in self.core.dropped().items() if v}
            told = f"{self.desk.states()}; {len(self.execs())} execs; {lost}; {self._source.counters()}"
            raise AssertionError(f"{error}: {told}") from None

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.desk.stop()
        self._source.stop()


class _Nowhere:
    """A sink for findings nobody asks about."""

    def finding(self, finding: object) -> None: ...

    def ledger(self, entry: object) -> None: ...

    def dropped(self) -> dict[str, int]:
        return {}

    def close(self) -> None: ...


@pytest.fixture
def agent() -> Iterator[Callable[..., Agent]]:
    """Starts one that asks these sockets."""
    made: list[Agent] = []

    def start(*places: Socket) -> Agent:
        made.append(Agent(*places))
        return made[-1]

    yield start
    for one in made:
        one.close()


def _until(condition: Callable[[], Any], what: str) -> Any:
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        pause.wait(0.02)
    return found


def test_containerd_says_all_of_a_container_and_of_its_pod(containerd: Cri) -> None:
    """Pod, labels of the controller, image digest and account; the sandbox is told apart; a wrong id is unknown."""
    before = time.time_ns()
    pod = containerd.pod("shop", "7d4b9c5f68", "web-account")
    container_id = containerd.container(pod, "web", "/bin/sleep", "300")
    engine = CriEngine(containerd.socket)
    assert engine.greet().kind == "cri"
    said, sandbox = engine.describe(container_id), engine.describe(pod.sandbox_id)
    assert said is not None
    assert sandbox is not None
    assert (said.runtime, said.name, said.pod_name, said.pod_uid) == ("cri-containerd", "web", pod.name, pod.uid)
    assert (said.namespace, said.service_account) == ("test", "web-account")
    assert (said.labels["pod-template-hash"], said.image) == ("7d4b9c5f68", image.IMAGE)
    assert said.image_digest.startswith("sha256:") or "@sha256:" in said.image_digest
    assert before < said.created_ns < time.time_ns()
    assert (said.sandbox, sandbox.sandbox, sandbox.pod_uid) == (False, True, pod.uid)
    assert engine.describe("0" * 64) is None
    assert engine.describe(container_id[:12]) is None  # a prefix is another's name
    engine.close()


def _echoes(running: Agent) -> list[Identified]:
    return [one for one in running.execs() if one.process.argv[:1] == ("/bin/echo",)]


@pytest.mark.bpf
def test_every_event_of_two_hundred_short_containers_has_its_own_container(
    containerd: Cri, agent: Callable[..., Agent]
) -> None:
    """Within a minute on an idle machine: each exec is its container's, fully described; nothing is left."""
    running = agent(Socket("cri", containerd.socket, told=True))
    pods = [containerd.pod(f"app{n}", "7d4b9c5f68", f"account{n}") for n in range(4)]
    made: dict[int, tuple[str, Pod]] = {}

    def run(number: int) -> None:
        pod = pods[number % len(pods)]
        container_id = containerd.container(pod, f"c{number}", "/bin/echo", f"number-{number}")
        made[number] = (container_id, pod)
        assert containerd.remove(container_id) == 0

    begun = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(200)))
    took = time.monotonic() - begun
    running.wait_for(lambda: len(_echoes(running)) >= 200, "200 execs")
    assert Counter(one.process.argv[1] for one in _echoes(running)) == {f"number-{n}": 1 for n in range(200)}
    found = {one.process.argv[1]: one for one in _echoes(running)}
    described = found_upper = 0
    for number, (container_id, pod) in made.items():
        one = found[f"number-{number}"]
        container = one.container
        assert container is not None
        assert (container.id, container.pod_uid) == (container_id, pod.uid)
        if not container.complete:
            continue  # a crowded machine: it waited in vain, and says so
        described += 1
        assert (container.name, container.awaited, container.sandbox) == (f"c{number}", "", False)
        assert container.owner == Owner("deployment", f"app{number % 4}")
        assert container.service_account in (f"account{number % 4}", "")  # asked when it was gone already
        assert container.image_digest
        assert container.upper_dir == "" or container.upper_dir.endswith("/fs")
        found_upper += bool(container.upper_dir)
        assert one.workload.key == f"k8s/test/deployment/app{number % 4}/c{number}"
    ids = {container_id for container_id, _ in made.values()}
    unknown = [e for e in running.spy.seen if e.container and e.container.id in ids and not e.container.complete]
    assert described >= 190
    assert found_upper >= 100  # of one that is gone before its files are read, nobody can tell
    assert len(unknown) <= running.core.dropped()["events_incomplete"]
    residents = running.identifier._residents
    _until(lambda: not ids & {c.id for c in running.identifier.containers()}, "all gone")
    _until(lambda: not ids & residents._by_id.keys(), "all forgotten")
    assert len(residents._describer._early) == 0
    assert len(running.core._waiting) == 0
    told = f"{described} described, {found_upper} with upper directory, {len(unknown)} events of others"
    print(f"200 containers in {took:.1f} s: {told}")


@pytest.mark.bpf
def test_a_runtime_that_stops_and_comes_back_is_told_and_asked_again(
    containerd: Cri, agent: Callable[..., Agent], short_dir: Path
) -> None:
    """Stopped: containers go on under their files' names, the ledger says why. Back: what was missing is learned."""
    running = agent(Socket("cri", containerd.socket, told=True))
    pod = containerd.pod("shop", "7d4b9c5f68", "web-account")
    pid = int((short_dir / "processes").read_text().splitlines()[0].split()[0])
    os.kill(pid, 19)  # SIGSTOP: connections are accepted by the kernel, nothing is answered
    try:
        standing, _ = running.desk.ask(Question(pod.sandbox_id, "cri-containerd"))
        assert standing is Standing.UP
        state = _until(lambda: next((s for s in running.desk.states() if s.state == "silent"), None), "silent")
        assert "deadline" in state.problem
    finally:
        os.kill(pid, 18)
    running.wait_for(lambda: [s.state for s in running.desk.states()] == ["answering"], "answering again")
    container_id = containerd.container(pod, "web", "/bin/sleep", "300")
    _until(
        lambda: (c := running.identifier.container(container_id)) is not None and c.complete and c.image_digest,
        "described",
    )


@pytest.fixture
def podman(short_dir: Path) -> Iterator[tuple[Callable[..., str], str]]:
    """Podman with storage of its own, and the socket its service listens at."""
    if shutil.which("podman") is None:
        pytest.skip("needs podman")
    base = ("podman", "--root", str(short_dir / "store"), "--runroot", str(short_dir / "run"), *PODMAN)
    socket = short_dir / "p.sock"
    quiet = subprocess.DEVNULL
    service = subprocess.Popen(
        [*base, "system", "service", "--time", "0", f"unix://{socket}"], stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        _until(socket.exists, "podman's socket")
        yield lambda *command: _run(*base, *command), str(socket)
    finally:
        subprocess.run([*base, "rm", "-f", "-t", "0", "-a"], capture_output=True, check=False)
        service.terminate()
        service.wait(10)
        subprocess.run(["umount", str(short_dir / "store/overlay")], capture_output=True, check=False)


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def _loaded(engine: Callable[..., str], directory: Path) -> None:
    image.write_archive(directory / "image.tar")
    engine("load", "-i", str(directory / "image.tar"))


def test_podmans_service_says_who_its_containers_are(podman: tuple[Callable[..., str], str], short_dir: Path) -> None:
    """Name, image, digest, labels and the upper directory, as podman inspect has them."""
    command, socket = podman
    _loaded(command, short_dir)
    name = f"identity-{uuid.uuid4().hex[:12]}"
    container_id = command(
        "run", "-d", "--name", name, "--label", "team=a", "--network", "none", *LIMITS, image.IMAGE, "/bin/sleep", "300"
    )
    said = _said(DockerEngine(socket, timeout_s=20), "podman", container_id)
    inspected = json.loads(command("inspect", container_id))[0]
    assert (said.runtime, said.name, said.labels["team"]) == ("podman", name, "a")
    assert said.image == image.IMAGE
    assert said.image_digest == inspected["ImageDigest"]
    assert said.init_pid == inspected["State"]["Pid"]
    assert said.upper_dir == inspected["GraphDriver"]["Data"]["UpperDir"]
    desk = Desk([Socket("docker", socket, told=True)])
    desk.start()
    try:
        identifier = Identifier("boot", engines=desk)
        identifier.seed(time.time_ns())
        _until(lambda: identifier.hear(time.time_ns()) or _complete(identifier, container_id), "described")
        container = identifier.container(container_id)
        assert container is not None
        assert (container.name, container.image_digest, container.upper_dir) == (
            name,
            said.image_digest,
            said.upper_dir,
        )
    finally:
        desk.stop()


def _complete(identifier: Identifier, container_id: str) -> bool:
    container = identifier.container(container_id)
    return container is not None and container.complete and bool(container.image_digest)


def _said(engine: DockerEngine, kind: str, container_id: str) -> Said:
    assert engine.greet().kind == kind
    said = engine.describe(container_id)
    assert said is not None
    return said


@pytest.fixture
def docker(short_dir: Path) -> Iterator[tuple[Callable[..., str], str]]:
    """A Docker daemon of the test's own, without networks."""
    if shutil.which("dockerd") is None:
        pytest.skip("needs dockerd (the package docker.io)")
    socket = short_dir / "d.sock"
    log = (short_dir / "dockerd.log").open("wb")
    daemon = subprocess.Popen(
        [
            *("dockerd", "--host", f"unix://{socket}", "--data-root", str(short_dir / "data")),
            *(
                "--exec-root",
                str(short_dir / "exec"),
                "--pidfile",
                str(short_dir / "d.pid"),
                "--storage-driver",
                "overlay2",
            ),
            *(
                "--bridge",
                "none",
                "--iptables=false",
                "--ip6tables=false",
                "--exec-opt",
                "native.cgroupdriver=cgroupfs",
            ),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    base = ("docker", "--host", f"unix://{socket}")
    try:
        if not _serves(base, daemon):
            pytest.skip("dockerd does not run here: " + (short_dir / "dockerd.log").read_text()[-400:])
        yield lambda *command: _run(*base, *command), str(socket)
        ids = _run(*base, "ps", "-aq").split()
        if ids:
            _run(*base, "rm", "-f", *ids)
    finally:
        daemon.terminate()
        daemon.wait(30)
        log.close()


def _serves(base: tuple[str, ...], daemon: "subprocess.Popen[bytes]") -> bool:
    pause, deadline = threading.Event(), time.monotonic() + 30
    while daemon.poll() is None and time.monotonic() < deadline:
        if subprocess.run([*base, "version"], capture_output=True, check=False).returncode == 0:
            return True
        pause.wait(0.1)
    return False


def test_docker_says_who_its_containers_are(docker: tuple[Callable[..., str], str], short_dir: Path) -> None:
    """Also the compose service a container is of."""
    command, socket = docker
    archive = short_dir / "rootfs.tar"
    _rootfs(short_dir, archive)
    command("import", str(archive), "identity/test:1")
    name = f"identity-{uuid.uuid4().hex[:12]}"
    labels = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web")
    container_id = command(
        "run", "-d", "--name", name, *labels, "--network", "none", "--security-opt", "apparmor=unconfined",
        "identity/test:1", "/bin/sleep", "300",
    )  # fmt: skip
    said = _said(DockerEngine(socket), "docker", container_id)
    inspected = json.loads(command("inspect", container_id))[0]
    assert (said.name, said.image, said.image_digest) == (name, "identity/test:1", inspected["Image"])
    assert said.upper_dir == inspected["GraphDriver"]["Data"]["UpperDir"]
    desk = Desk([Socket("docker", socket, told=True)])
    desk.start()
    try:
        identifier = Identifier("boot", engines=desk)
        identifier.seed(time.time_ns())
        _until(lambda: identifier.hear(time.time_ns()) or _complete(identifier, container_id), "described")
        container = identifier.container(container_id)
        assert container is not None
        assert (container.runtime, container.name, container.owner) == ("docker", name, Owner("compose", "shop/web"))
        assert dict(identifier.living())[container_id].key == "compose/shop/web"
    finally:
        desk.stop()


def _rootfs(directory: Path, archive: Path) -> None:
    root = directory / "rootfs"
    for part in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        (root / part).mkdir(parents=True)
    shutil.copy(image.static_busybox(), root / "bin/busybox")
    (root / "bin/sleep").symlink_to("busybox")
    _run("tar", "-C", str(root), "-cf", str(archive), ".")
