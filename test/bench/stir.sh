#!/bin/sh
# Prints what a set-up costs with and without a PASSporT to verify, in turn:
# stir.sh PROGRAM BENCH [arguments of BENCH/drive.py]. BENCH is a folder as for
# run.sh; --setup-steps says how many calls a second are tried.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$1 bench=$2
shift 2
for mode in setup stir setup stir setup stir; do
	"$here/run.sh" "$program" "$bench" --modes $mode --setup-steps 150 --bisect 0 --redo 0 \
		--max-fail-pct 101 --max-setup-ms 1000000 "$@"
done | python3 -c '
import json, sys
print("%8s %8s %8s %9s %17s %9s %9s" % ("calls", "offered", "answered", "refused %", "ms of CPU a call", "p50 ms", "p99 ms"))
total = {}
for line in sys.stdin:
    r = json.loads(line)
    if r.get("final") == "stir_cases":
        print("good and bad PASSporTs judged rightly: %d of %d" % (r["right"], r["of"]))
    if "load" not in r:
        continue
    ok = max(1, r["ok"])
    sums = total.setdefault(r["mode"], [0, 0])
    sums[0] += r["cpu_s"]
    sums[1] += ok
    print("%8s %8d %8.0f %9.1f %17.2f %9s %9s" % ({"setup": "plain"}.get(r["mode"], "verified"), r["load"], r["rate_got"], r["failed_pct"],
        1000 * r["cpu_s"] / ok, r.get("setup_ms_p50", "-"), r.get("setup_ms_p99", "-")), flush=True)
for mode, (cpu, ok) in total.items():
    print("%s: %.2f ms of CPU for each call that was answered" % ({"setup": "plain"}.get(mode, "verified"), 1000 * cpu / ok))
'
