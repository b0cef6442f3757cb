#!/bin/sh
# Prints what bridged calls cost as they become more: linear.sh PROGRAM BENCH
# [arguments of BENCH/drive.py]. CPU and memory of a call should not grow with
# their number. BENCH is a folder as for run.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$1 bench=$2
shift 2
"$here/run.sh" "$program" "$bench" --modes bridge --steps 100,200,400,800 --bisect 0 --redo 0 \
	--max-fail-pct 101 --max-loss-pct 101 "$@" | python3 -c '
import json, sys
print("%6s %18s %18s %12s %9s %9s" % ("calls", "ms of CPU a second", "of one call", "KiB of one", "lost %", "late %"))
for line in sys.stdin:
    r = json.loads(line)
    if "load" not in r:
        continue
    cores, media = r.get("cpu_cores_steady", 0), r.get("media") or {}
    print("%6d %18.0f %18.2f %12.0f %9.3f %9.3f" % (r["load"], 1000 * cores, 1000 * cores / r["load"],
        r.get("rss_kib_per_call", 0), media.get("loss_pct", -1), media.get("late_pct", -1)), flush=True)
'
