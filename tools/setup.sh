#!/usr/bin/env bash
# setup.sh VENV PYTHON: install the system packages the project builds and tests with, then the
# virtual environment. setup.sh --kernels: what only `make test-kernels` needs. Both do nothing, quickly,
# when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(clang llvm libbpf-dev bpftool python3-bpfcc runc containerd podman busybox-static
  docker.io containernetworking-plugins iproute2 procps)
[ "$1" != --kernels ] || packages=(qemu-system-x86 kmod zstd)
say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
# Ubuntu has no package "bpftool": its linux-tools carry it.
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
  for i in "${!missing[@]}"; do
    apt-cache show "${missing[$i]}" >/dev/null 2>&1 || { [ "${missing[$i]}" = bpftool ] && missing[i]=linux-tools-generic; }
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

[ "$1" != --kernels ] || exit 0
venv=$1 python=$2
command -v "$python" >/dev/null 2>&1 || python=python3
stamp=$venv/.installed
wanted=$(sha256sum pyproject.toml | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "creating $venv and installing the Python packages"
  "$python" -m venv "$venv" >/dev/null 2>&1 || { as_root apt-get -qq install -y python3-venv >/dev/null; "$python" -m venv "$venv"; }
  "$venv/bin/pip" install -qq --disable-pip-version-check -e '.[collector,aws,azure,gcp,kafka,dev]'
  echo "$wanted" > "$stamp"
fi
