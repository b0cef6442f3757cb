#!/bin/bash
# Runs all tests with servers of their own, and names those that had to be run
# a second time.
# usage: test/unit.sh GOTESTSUM
set -euo pipefail
cd "$(dirname "$0")/.."
sum=${1:?say where gotestsum is}
again=$(mktemp)
trap 'rm -f "$again"' EXIT
result=0
test/services.sh "$sum" --format pkgname-and-test-fails --format-hide-empty-pkg --rerun-fails=1 --rerun-fails-max-failures=8 --rerun-fails-run-root-test --rerun-fails-report "$again" \
	--packages "./test/e2e ./cmd/ringfence ./web ./..." -- -p 4 -parallel 5 -vet=off -timeout 15m || result=$?
if [ -s "$again" ]; then
	echo "test/unit.sh: these were run a second time:" >&2
	cat "$again" >&2
fi
exit $result
