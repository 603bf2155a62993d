#!/usr/bin/env bash
# What a change would do to a database that is at BASE (default: origin/main), as Markdown:
# the plan, and a run of all of it that is rolled back. Called by `make plan-pull-request`
# inside scripts/throwaway_database.sh. Ends with the first exit code that is not 0.
set -euo pipefail
cd "$(dirname "$0")/.."
base=${BASE:-origin/main}
python=${PYTHON:-.venv/bin/python}
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT

git archive "$base" migrations | tar -x -C "$before"
"$python" -m migrate apply --dir "$before/migrations" >"$before/said" 2>&1 ||
    { cat "$before/said" >&2; exit 1; }

code=0
shown() {
    printf '\n**%s**\n\n````text\n' "$1"
    shift
    "$python" -m migrate "$@" 2>&1 || { ended=$?; ((code)) || code=$ended; }
    printf '````\n'
}
printf '### What this does to a database that is at `%s`\n' "$base"
shown 'The plan' plan
shown 'Everything, in one transaction that is rolled back' apply --dry-run
exit "$code"
