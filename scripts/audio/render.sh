#!/bin/sh
# Renders the recordings that are missing from scripts/audio. Needs flite and
# espeak-ng (Debian packages of these names). Not run in CI: the recordings
# are kept in the repository. "render.sh -again" renders all of them anew.
set -eu
cd "$(dirname "$0")/../.."
for program in flite espeak-ng; do
	command -v "$program" >/dev/null || {
		echo "render.sh: $program is missing: apt-get install flite espeak-ng" >&2
		exit 1
	}
done
exec go run ./scripts/audio/gen "$@"
