#!/usr/bin/env bash
# A verb of the engine in the runner's container, against the database of docker-compose.yaml:
# `scripts/in_docker.sh status`. Also psql, stop and reset of that database, as
# `python -m migrate.embedded` has them. Called by make with ENV=docker.
set -euo pipefail
compose=$(dirname "$0")/compose.sh
verb=$1
shift
how=(run --rm)
case $verb in
psql) exec "$compose" exec postgres psql --username=postgres app "$@" ;;
stop) exec "$compose" stop ;;
reset) exec "$compose" down --volumes --remove-orphans ;;
esac
"$compose" version >/dev/null # says what is missing
# Nobody wants to read how it was built, unless it was not.
said=$("$compose" up --detach postgres 2>&1 && "$compose" build runner 2>&1) ||
    { printf '%s\n' "$said" >&2 && exit 1; }
{ [ -t 0 ] && [ -t 1 ]; } || how+=(-T)
[ "$verb" = apply ] || { how+=(--entrypoint 'python -m migrate') && set -- "$verb" "$@"; }
exec "$compose" "${how[@]}" runner "$@"
