#!/usr/bin/env bash
# throwaway_database.sh COMMAND…: run a command with DATABASE_URL naming an embedded
# PostgreSQL of its own, which is stopped and deleted afterwards, whatever became of it.
# PYTHON names the interpreter that has the packages (default: .venv/bin/python).
set -euo pipefail
python=${PYTHON:-$(dirname "$0")/../.venv/bin/python}
directory=$(mktemp -d)
# The library that starts it keeps a lock, and a socket with a short name, in TMPDIR.
server() { TMPDIR=$directory "$python" -m migrate.embedded "$1" "$directory/data"; }
gone() {
    server stop >/dev/null 2>&1 || true
    rm -rf "$directory"
}
trap gone EXIT
trap 'exit 130' INT TERM
# Its output goes to a file: the server inherits it, and a pipe would stay open.
server start >"$directory/said" 2>&1 ||
    { cat "$directory/said" >&2; exit 1; }
DATABASE_URL=$(tail -n 1 "$directory/said") "$@"
