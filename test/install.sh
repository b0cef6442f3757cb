#!/bin/bash
# Installs what the tests need and this machine lacks: Debian packages only,
# as root or with sudo. Quiet when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

want=()
need() { # need PROGRAM PACKAGE: PROGRAM must be there, or PACKAGE is installed
	command -v "$1" >/dev/null || [ -x "/usr/lib/postgresql/15/bin/$1" ] || want+=("$2")
}
need sipp sip-tester   # a foreign SIP caller and agent
need chromium chromium # a foreign browser
need baresip baresip-core     # foreign telephones
need linphonec linphone-cli
need kamailio kamailio        # a foreign edge
need rtpengine rtpengine-daemon
if [ -d store/postgres ]; then need initdb postgresql; fi
if [ -d store/redis ]; then need redis-server redis-server; fi

command -v go >/dev/null || [ -x /usr/local/go/bin/go ] || {
	echo "test/install.sh: Go is missing: install the version that go.mod names" >&2
	exit 1
}
[ ${#want[@]} -gt 0 ] || exit 0

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
echo "installing ${want[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ as_root apt-get update -q && as_root apt-get install -y -q --no-install-recommends "${want[@]}"; } >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	exit 1
}
