#!/usr/bin/env bash
# The local dry run, `make dry-run`: a throw-away PostgreSQL in a container gets everything
# applied and verified, undone, applied and verified again; the report says how each went.
# Whatever happens, Ctrl-C included, it is taken down; only the image stays, as a cache.
set -euo pipefail
cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME="migrate-dry-$$-$RANDOM"
compose=scripts/compose.sh report=() now=
end() {
    code=$?
    trap '' INT TERM # a second Ctrl-C shall not leave a container behind
    [ "$code" = 0 ] || report+=("✗ $now")
    "$compose" down --volumes --remove-orphans >/dev/null 2>&1 || true
    printf '\nDry run:\n' && printf '  %s\n' "${report[@]}"
    exit "$code"
}
"$compose" version >/dev/null # says what is missing before anything is begun
trap end EXIT && trap 'exit 130' INT && trap 'exit 143' TERM
step() { # step WHAT COMMAND…
    now=$1
    local began=$SECONDS
    echo && echo "--- $now"
    "${@:2}"
    report+=("✓ $now ($((SECONDS - began)) s)")
}
run() { "$compose" run --rm -T --entrypoint 'python -m migrate' runner "$@"; }
schema() { "$compose" exec -T postgres pg_dump -U postgres -s -T 'schema_migrations*' app | grep -v '^\\'; }
same() { diff <(echo "$1") <(echo "$(schema)"); }

step 'the image is built, with every file read' "$compose" build runner
step 'a PostgreSQL is started' "$compose" up --detach postgres
step 'it is empty' run status
empty=$(schema)
step 'everything is applied' run apply
full=$(schema)
step 'everything is verified' run verify
step 'everything is rolled back' run rollback --to 0 --yes
step 'nothing is left of it' same "$empty"
step 'everything is applied again, and verified' run apply
step 'the schema is the same as before' same "$full"
