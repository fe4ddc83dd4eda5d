#!/usr/bin/env bash
# Does a run survive what a machine does to it? Kills a small run with SIGKILL at 25 random moments, continues each, and compares
# with the unbroken run: models, curves, scores and result.json less times must have the same bits. Then flips bytes in each file of a
# run directory: each must be noticed. The tests do the same in a small form.
#
#   bench/robust.sh [KILLS [FLIPS-A-FILE]]
set -euo pipefail
cd "$(dirname "$0")/.."
DATADROPOUT_TESTING_KILLS=${1:-25} DATADROPOUT_TESTING_FLIPS=${2:-20} go test ./cmd/datadropout -count=1 -timeout 3h -v \
  -run '^(TestKilledRunsContinue|TestEveryFlippedByteIsNoticed)$'
