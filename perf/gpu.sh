#!/usr/bin/env bash
# Everything that needs a GPU in one command, under 9 minutes, with nothing installed but PyTorch and triton:
# `bash perf/gpu.sh`; `bash perf/gpu.sh --dry` runs the same path on a CPU, in triton's interpreter, on tiny shapes.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH=. exec timeout --kill-after=5 535 "${PYTHON:-python3}" perf/gpu.py "$@"
