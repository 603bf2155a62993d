#!/usr/bin/env bash
# Docker Compose for this checkout: `scripts/compose.sh ps`. Finds whichever compose there is
# (v2, or docker-compose 1.29), says what is missing, and gives the project a name of the
# checkout's own unless COMPOSE_PROJECT_NAME is set. Called by in_docker.sh and dry_run.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
    printf 'error: %s\n  → %s\n' "$1" "$2" >&2
    exit 3
}
instead='without containers: make migrate, make rehearse'
command -v docker >/dev/null ||
    missing 'there is no docker here' "install Docker Engine or Docker Desktop; $instead"
if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
    # shellcheck disable=SC2016 # a command to type, not to run
    missing "no container engine answers: ${said##*$'\n'}" \
        'start it; on Debian, as root: eval "$(scripts/container_engine.sh start)"; '"$instead"
fi
if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
else
    missing 'docker is here, Docker Compose is not' 'install docker-compose-plugin, or docker-compose 1.29'
fi

MIGRATE_CHECKOUT=$(pwd -P | cksum | cut -d' ' -f1)
export MIGRATE_CHECKOUT COMPOSE_PROJECT_NAME="${COMPOSE_PROJECT_NAME:-migrate-$MIGRATE_CHECKOUT}"
exec "${compose[@]}" --file docker-compose.yaml "$@"
