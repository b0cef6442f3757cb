#!/bin/bash
# Runs every fuzz target of the project for a while, three at a time.
# usage: test/fuzz.sh 10s
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:?say how long each target runs, such as 10s}

fuzz() { # fuzz TIME PACKAGE TARGET
	go test -run '^$' -fuzz "^$3\$" -fuzztime "$1" -parallel 1 -timeout 0 "$2"
}
cut_short() { # the tool sometimes takes its own end of time for a failure; a finding names its input
	grep -q 'context deadline exceeded' "$1" && ! grep -q 'Failing input' "$1"
}
one() { # one TIME PACKAGE TARGET
	local log
	log=$(mktemp)
	if fuzz "$@" >"$log" 2>&1 || { cut_short "$log" && fuzz "$@" >"$log" 2>&1; } || { cut_short "$log" && fuzz "$@" >"$log" 2>&1; }; then
		echo "fuzzed $2 $3: $(grep -o 'execs: [0-9]*' "$log" | tail -n 1)"
		rm -f "$log"
	else
		cat "$log"
		rm -f "$log"
		return 255 # xargs stops
	fi
}
export -f one fuzz cut_short

targets=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|^(.*)/[^/]*:func (.*)$|\1 \2|' | sort)
[ -n "$targets" ] || { echo "test/fuzz.sh: no fuzz target found" >&2; exit 1; }
echo "$targets" | xargs -P 3 -L 1 bash -c 'one "$0" "$1" "$2"' "$each"
