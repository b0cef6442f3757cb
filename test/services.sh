#!/bin/bash
# Runs a command with servers of its own: PostgreSQL and Redis on loopback, in
# a folder that goes when the command ends. Only rooms that need one get one.
# usage: test/services.sh COMMAND…
# It sets TEST_POSTGRES and TEST_REDIS for the command.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
chmod 755 "$dir"
redis_pid=
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)

as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid postgres --regid postgres --clear-groups "$@"; else "$@"; fi; }
free_port() { # a port above the ephemeral range of Linux that nobody listens on
	local p
	while p=$((61000 + RANDOM % 4500)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
	done
}
finish() {
	[ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || true
	[ ! -d "$dir/pg/data" ] || as_postgres "$bin/pg_ctl" -s -D "$dir/pg/data" -m immediate stop >/dev/null 2>&1 || true
	wait
	rm -rf "$dir"
}
trap finish EXIT

if [ -d store/postgres ] || [ -n "${WITH_POSTGRES:-}" ]; then
	port=$(free_port)
	mkdir "$dir/pg"
	[ "$(id -u)" != 0 ] || chown postgres: "$dir/pg"
	as_postgres "$bin/initdb" -D "$dir/pg/data" -U ringfence -A trust -E UTF8 --locale=C >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; exit 1; }
	as_postgres "$bin/pg_ctl" -s -w -D "$dir/pg/data" -l "$dir/pg/log" \
		-o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir/pg -c max_connections=200" start
	export TEST_POSTGRES="postgres://ringfence@127.0.0.1:$port/postgres?sslmode=disable"
fi
if [ -d store/redis ] || [ -n "${WITH_REDIS:-}" ]; then
	port=$(free_port)
	redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --maxmemory-policy noeviction --dir "$dir" >"$dir/redis.log" &
	redis_pid=$!
	for _ in $(seq 100); do # ten seconds
		! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
		kill -0 "$redis_pid" || { cat "$dir/redis.log" >&2; exit 1; }
		sleep 0.1
	done
	export TEST_REDIS="redis://127.0.0.1:$port/0"
fi
"$@"
