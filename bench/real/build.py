"""A build loop: fetch, clone, make, test, pack. Developers push small changes, now and then a new file."""

import os
import random
import subprocess
import time
from pathlib import Path

from bench.real.container import Start
from bench.real.workload import FILES, Deed, Workload, World, directory, write

_MODULES = ("parse", "queue", "cart", "price", "stock", "mail", "auth", "report")
_MORE = ("refund", "coupon", "search", "export", "audit", "cache", "retry", "batch", "trace", "limit", "quota", "lease")
_TRIES = 5
MAKEFILE = """\
OBJECTS = $(patsubst src/%.c,out/%.o,$(wildcard src/*.c))
all: out/shop test
out/shop: $(OBJECTS)
\t$(CC) -o $@ $^
out/%.o: src/%.c
\t@mkdir -p out
\t$(CC) -O0 -c -o $@ $<
test: out/shop
\t./out/shop --check
clean:
\trm -rf out
"""


def _prepare(root: Path) -> None:
    write(root, "usr/local/bin/ci-loop", (FILES / "ci-loop").read_text(), 0o755)
    write(root, "root/.gitconfig", "[safe]\n directory = *\n[user]\n name = ci\n email = ci@shop\n")
    for path in ("work", "artifacts"):
        directory(root, path)


def _start(world: World, _ordinal: int) -> Start:
    return Start(("/bin/sh", "/usr/local/bin/ci-loop"), cwd="/work", binds=((repository(world), "/repo.git"),))


def repository(world: World) -> Path:
    """The bare repository everybody pushes to; made when there is none."""
    bare, tree = world.shared / "repo.git", world.shared / "tree"
    if not bare.exists():
        _git(world.shared, "init", "-q", "--bare", "-b", "main", str(bare))
        _git(world.shared, "clone", "-q", str(bare), str(tree))
        (tree / "src").mkdir()
        (tree / "Makefile").write_text(MAKEFILE)
        (tree / "src/main.c").write_text('#include <stdio.h>\nint main(void) { puts("ok"); return 0; }\n')
        for name in _MODULES:
            _module(tree, name, 0)
        push(world, "first")
    return bare


def push(world: World, message: str) -> None:
    """Commit what is in the tree and push it; again where two do so at once. Raises: CalledProcessError."""
    tree = world.shared / "tree"
    for left in reversed(range(_TRIES)):
        try:
            _git(tree, "checkout", "-q", "-B", "main")
            _git(tree, "add", "-A")
            _git(tree, "commit", "-q", "--allow-empty", "-m", message)
            _git(tree, "push", "-q", "origin", "main")
            return
        except subprocess.CalledProcessError:
            if not left:
                raise
            time.sleep(0.5)


def _git(cwd: Path, *arguments: str) -> None:
    identity = {"GIT_AUTHOR_NAME": "dev", "GIT_AUTHOR_EMAIL": "dev@shop"}
    committer = {"GIT_COMMITTER_NAME": "dev", "GIT_COMMITTER_EMAIL": "dev@shop", "GIT_CONFIG_COUNT": "1"}
    trust = {"GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    environment = {**os.environ, **identity, **committer, **trust}
    subprocess.run(["git", *arguments], cwd=cwd, env=environment, check=True, capture_output=True)


def _module(tree: Path, name: str, value: int) -> None:
    body = "\n".join(f"int {name}_{i}(int x) {{ return x * {value + i}; }}" for i in range(20))
    (tree / "src" / f"{name}.c").write_text(body + "\n")


def _change(world: World, rng: random.Random) -> None:
    name = rng.choice(_MODULES)
    _module(world.shared / "tree", name, rng.randrange(1000))
    push(world, f"{name}: better")


def _grow(world: World, rng: random.Random) -> None:
    name = rng.choice(_MORE)
    _module(world.shared / "tree", name, rng.randrange(1000))
    push(world, f"{name}: new")


BUILD = Workload(
    "build",
    ("git", "make", "gcc", "cpp", "libc6-dev", "binutils", "tar", "gzip", "curl", "ca-certificates", "dash",
     "coreutils", "findutils", "sed", "grep", "mawk", "diffutils", "libc-bin", "bash", "hostname"),
    2, 5, _prepare, _start,
    (Deed("change", 25, _change), Deed("grow", 300, _grow)),
)  # fmt: skip
