#!/usr/bin/env bash
# What a newcomer types, and what must be true afterwards. Runs inside the bare machine of
# scripts/fresh_machine.sh, in a clone at /checkout.
set -euo pipefail
cd /checkout
most=2.0      # seconds for a `make migrate` that finds nothing to do
rehearsal=30 # seconds for a `make rehearse`

say() {
    printf '\n##### %s (%ds)\n' "$*" "$SECONDS"
}

say 'make migrate: sets itself up, applies, verifies'
make migrate

say 'make migrate: nothing pending, under two seconds'
before=$(date +%s.%N)
make migrate
awk -v from="$before" -v to="$(date +%s.%N)" -v most="$most" \
    'BEGIN { took = to - from; printf "took %.2f s\n", took; exit took >= most }'

say 'make reset'
make reset

say 'make rehearse: the whole pipeline on an emulated cloud'
before=$(date +%s.%N)
make rehearse
awk -v from="$before" -v to="$(date +%s.%N)" -v most="$rehearsal" \
    'BEGIN { took = to - from; printf "took %.2f s\n", took; exit took >= most }'

say 'make rehearse: nothing pending'
make rehearse | tee /tmp/second
grep -q 'othing.*pending' /tmp/second

say 'make test'
make test
make test

say '.ci/run'
.ci/run

say 'everything a newcomer does works'
