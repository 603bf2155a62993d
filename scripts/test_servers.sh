#!/usr/bin/env bash
# See to it that the programs the tests need from the system are there: PostgreSQL 15 and
# pgbouncer. Called by `make test` and .ci/run; says nothing when they are. Where they are
# missing it installs them if it may (root, apt), else says what to do. Starts nothing.
set -euo pipefail

missing=()
if [[ ,${MIGRATE_TEST_VERSIONS:-15}, == *,15,* ]]; then
    [ -x /usr/lib/postgresql/15/bin/postgres ] || missing+=(postgresql-15)
fi
PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing+=(pgbouncer)
((${#missing[@]})) || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests need ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
    exit 1
fi

echo "installing for the tests: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# The tests start servers of their own. Debian's shall not run: a policy refuses every
# start while the packages unpack, and no main cluster is made.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
apt-get -qq update
install=(apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends)
"${install[@]}" postgresql-common >/dev/null
sed -i 's/^#\? *create_main_cluster *=.*/create_main_cluster = false/' \
    /etc/postgresql-common/createcluster.conf
"${install[@]}" "${missing[@]}" >/dev/null
