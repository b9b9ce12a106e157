#!/usr/bin/env bash
# gen.sh PYTHON: write every generated file of the project from its source.
set -euo pipefail
py=$1
cd "$(dirname "$0")/.."

"$py" -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto --grpc_python_out=proto proto/vedette/v1/*.proto proto/vedette/cri/v1/*.proto
"$py" tools/gen_layout.py bpf/include/events.h > agent/decode/layout.py.new && mv agent/decode/layout.py.new agent/decode/layout.py
"$py" -c "from cli.main import main; main()" rules compile
"$py" tools/gen_docs_events.py > docs/events.md.new && mv docs/events.md.new docs/events.md
"$py" tools/gen_docs_rules.py > docs/rules.md.new && mv docs/rules.md.new docs/rules.md
"$py" tools/gen_docs_metrics.py > docs/metrics.md.new && mv docs/metrics.md.new docs/metrics.md
