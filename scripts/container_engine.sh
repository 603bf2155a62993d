#!/usr/bin/env bash
# A container engine for the tests, beside any that is there already:
#   eval "$(scripts/container_engine.sh start)"   start it, make the base images, point at both
#   scripts/container_engine.sh run COMMAND…      the same for one command; then it stops again
#   scripts/container_engine.sh stop              stop it; its images stay for the next time
# With DOCKER_HOST set that engine is used, with the public base images. Where no engine
# can be had it says why and exits with 3. What it does stands in tests/containers/engine/.
set -euo pipefail
parts=$(cd "$(dirname "$0")/../tests/containers/engine" && pwd)
state=${MIGRATE_ENGINE_DIR:-/var/cache/cloudrun-migrate-engine}
verb=${1:-start}
shift || true
settings=(DOCKER_HOST="unix://$state/docker.sock" DOCKER_CONFIG="$state/client" PATH="$state/bin:$PATH"
    BASE_IMAGE=stand-in/python POSTGRES_IMAGE=stand-in/postgres REGISTRY_DATA="$state/registry")
if [ -n "${DOCKER_HOST:-}" ]; then if [ "$verb" = run ]; then exec "$@"; else exit 0; fi; fi
[ "$verb" = stop ] || "$parts/install.sh"
mkdir -p "$state"
exec 8>"$state/lock" 9>"$state/users" # who starts or stops it; who works with it

engine() {
    env "${settings[@]}" "$parts/$1.sh" "${@:2}" "$state" 8>&- 9>&-
}
the_last_one_stops_it() {
    flock --unlock 9
    flock 8
    if [ ! -e "$state/kept" ] && flock --exclusive --nonblock 9; then engine daemon stop; fi
}
flock 8
case $verb in
start) touch "$state/kept" ;;
run) flock --shared 9 && trap the_last_one_stops_it EXIT ;;
stop) rm -f "$state/kept" && engine daemon stop && exit ;;
esac
engine daemon start
engine images
flock --unlock 8
if [ "$verb" = run ]; then env "${settings[@]}" "$@" 8>&- 9>&-; else
    for setting in "${settings[@]}"; do printf 'export %s=%q\n' "${setting%%=*}" "${setting#*=}"; done
fi
