#!/usr/bin/env bash
# Compile requirements/*.txt from pyproject.toml: exact versions with the hash of every
# file, for every platform and Python we support. Called by `make lock`. The files carry
# no index address, so each machine installs from the index it is configured for.
# Existing pins are kept where they still fit; `--upgrade` (passed on) renews them.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    "${PYTHON:-python3}" -m venv "$scratch"
    "$scratch/bin/pip" install --quiet uv
    PATH="$scratch/bin:$PATH"
fi

compile() {
    local set=$1
    shift
    uv pip compile pyproject.toml --output-file "requirements/$set.txt" \
        --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --quiet "$@"
    echo "requirements/$set.txt: $(grep -c '==' "requirements/$set.txt") packages"
}

compile runner "$@"
compile cloud --extra cloud "$@"
compile dev --extra embedded --extra cloud --group dev "$@"
