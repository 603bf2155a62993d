#!/bin/bash
# What the public image does with its variables, as far as we use it: initialise the data
# directory with POSTGRES_USER, POSTGRES_PASSWORD,
# POSTGRES_DB and POSTGRES_HOST_AUTH_METHOD, then become the server.
set -eu
[ "${1:-}" = postgres ] || exec "$@"
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
    [ "$POSTGRES_HOST_AUTH_METHOD" = trust ] ||
        : "${POSTGRES_PASSWORD:?Database is uninitialized and superuser password is not specified}"
    initdb --username="$POSTGRES_USER" --pwfile=<(echo "${POSTGRES_PASSWORD:-none}") \
        --auth-local=trust --auth-host=scram-sha-256
    echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
    # Until it is initialised nobody reaches it over the network, as in the public image.
    pg_ctl --wait --options="-c listen_addresses=''" start
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait --mode=fast stop
fi
exec "$@" -c listen_addresses='*'
