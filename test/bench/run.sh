#!/bin/sh
# Starts ringfence with the configuration beside this script and lets a call
# bench drive it: run.sh PROGRAM BENCH [arguments of BENCH/drive.py]. BENCH is a
# folder with a drive.py; what it prints is the result. With the mode stir
# among the arguments ringfence verifies the calls' PASSporTs and refuses
# others, and BENCH/stirbench first tries its good and bad cases.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1") bench=$(realpath "$2")
shift 2
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || :; wait; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cp -r "$here/ringfence.yaml" "$here/scripts" "$work/"
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/bank.secret")
stir=
case " $* " in *stir*)
	stir=$work/stir
	(cd "$bench/stirbench" && go build -o "$work/stirbench" .)
	"$work/stirbench" -dir "$stir" init
	sed -i 's/^stirshaken:.*/stirshaken: { home_country: "1", roots: stir\/ca.pem, mode: reject, lab_certificate_hosts: ["127.0.0.1:28180"] }/' "$work/ringfence.yaml"
	set -- "$@" --stir-dir "$stir" --stirbench "$work/stirbench" ;;
esac
cd "$work"
: >log # looked at before the program may have begun it
"$program" serve --drain 1s 2>"$work/log" &
pid=$!
i=0
until grep -q 'listener=carrier\|msg=ready' "$work/log" || curl -fso /dev/null http://localhost:15443/; do
	i=$((i + 1))
	if [ $i -gt 150 ] || ! kill -0 "$pid"; then cat "$work/log" >&2; exit 1; fi
	sleep 0.2
done
if [ -n "$stir" ]; then "$work/stirbench" -dir "$stir" -target 127.0.0.1:15060 cases; fi
python3 "$bench/drive.py" --target "ringfence=127.0.0.1:15060,pid=$pid,setup=1001,ivr=1002,bridge=1003,ivr_bridge=1004" "$@" || { cat "$work/log" >&2; exit 1; }
if [ -s "$work/log" ]; then echo "log:" >&2; tail -5 "$work/log" >&2; fi
