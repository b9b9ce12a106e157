#!/bin/bash
# bcc_run.sh TREE: inside a virtual machine of that kernel, put the headers unpacked below TREE (its usr/src and
# lib/modules, as dpkg-deb -x leaves linux-headers-*) where an installed package has them, and run bcc_check.py.
set -eu
tree=$1
release=$(uname -r)
mkdir -p /lib/modules /usr/src
for headers in "$tree"/usr/src/linux-headers-*; do ln -sfn "$headers" "/usr/src/$(basename "$headers")"; done
ln -sfn "$tree/lib/modules/$release" "/lib/modules/$release"
cd "$(dirname "$0")/../.."
export PYTHONPATH=$PWD
exec .venv/bin/python tests/kernels/bcc_check.py
