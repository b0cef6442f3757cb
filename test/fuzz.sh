#!/bin/bash
# Runs every fuzz target of the project for a while, three at a time. Each
# package is built once: to link it costs more than ten seconds of fuzzing.
# usage: test/fuzz.sh 10s
#        test/fuzz.sh build    only fills the compiler's cache
set -euo pipefail
cd "$(dirname "$0")/.."
each=${1:?say how long each target runs, such as 10s}
bins=$(mktemp -d)
trap 'rm -rf "$bins"' EXIT
cache=$(go env GOCACHE)/fuzz

fuzz() { # fuzz TIME PACKAGE TARGET
	cd "$2"
	"$bins/$2/fuzz.test" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$1" -test.parallel 1 -test.timeout 0 -test.fuzzminimizetime 10x \
		-test.fuzzcachedir "$cache/$module/$2"
}
cut_short() { # the tool sometimes takes its own end of time for a failure; a finding names its input
	grep -q 'context deadline exceeded' "$1" && ! grep -q 'Failing input' "$1"
}
build() { # build PACKAGE, once
	mkdir -p "$bins/$1"
	exec 9>"$bins/$1/lock"
	flock 9
	[ -x "$bins/$1/fuzz.test" ] || go test -c -fuzz=. -o "$bins/$1/fuzz.test" "./$1"
	exec 9>&-
}
one() { # one TIME PACKAGE TARGET
	build "$2" || return 255
	local log
	log=$(mktemp)
	if (fuzz "$@") >"$log" 2>&1 || { cut_short "$log" && (fuzz "$@") >"$log" 2>&1; } || { cut_short "$log" && (fuzz "$@") >"$log" 2>&1; }; then
		echo "fuzzed $2 $3: $(grep -o 'execs: [0-9]*' "$log" | tail -n 1)"
		rm -f "$log"
	else
		cat "$log"
		rm -f "$log"
		return 255 # xargs stops
	fi
}
module=$(go list -m)
export bins cache module
export -f one build fuzz cut_short

targets=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|^\./(.*)/[^/]*:func (.*)$|\1 \2|' | sort)
[ -n "$targets" ] || { echo "test/fuzz.sh: no fuzz target found" >&2; exit 1; }
if [ "$each" = build ]; then
	echo "$targets" | cut -d ' ' -f 1 | uniq | while read -r p; do go test -c -fuzz=. -o /dev/null "./$p"; done
	exit
fi
echo "$targets" | xargs -P 3 -L 1 bash -c 'one "$0" "$1" "$2"' "$each"
