#!/usr/bin/env bash
# Make the stand-ins for the public base images, where no public registry can be asked:
# stand-in/python for `python:…-slim`, stand-in/postgres for `postgres:…`, both on
# stand-in/debian. Called by scripts/container_engine.sh with DOCKER_HOST of our own engine.
# What is there, and was made by this very recipe for this machine, is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
debian=$here/../../fresh_machine/debian.sh

# What pip is told on this machine, as far as another machine can use it: no directories.
pip_configuration() {
    echo '[global]'
    python3 -m pip config list 2>/dev/null |
        sed -nE "s/^(:env:|global)\.(index-url|extra-index-url|trusted-host|proxy|default-timeout)='(.*)'$/\2 = \3/p" |
        grep -vE '= *(file:|/)' || true
    echo 'cert = /etc/ssl/certs/ca-certificates.crt'
}
hash_of() {
    cat "$@" | sha256sum | cut -c1-16
}
sources=$(apt-get indextargets 'Origin: Debian' --format '$(REPO_URI) $(RELEASE)' | sort -u)
recipe_debian=$(hash_of "$debian" - <<<"$sources")
recipe_python=$recipe_debian-$(hash_of "$here"/python/* - <<<"$(pip_configuration)")
recipe_postgres=$recipe_debian-$(hash_of "$here"/postgres/*)

current() {
    local recipe=recipe_$1
    [ "$(docker image inspect --format '{{.Config.Labels.recipe}}' "stand-in/$1" 2>/dev/null)" = "${!recipe}" ]
}
current python && current postgres && exit 0

echo 'making stand-ins for the public base images (once, a minute or two)' >&2
work=$(mktemp -d /var/tmp/stand-in-XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir -m 755 "$work/tree"
if ! current debian; then
    "$debian" "$work/tree" ca-certificates
    rm -rf "$work"/tree/var/cache/apt/*.bin "$work"/tree/var/cache/apt/archives/*.deb "$work"/tree/var/lib/apt/lists/*
    tar --one-file-system -C "$work/tree" -c . |
        docker import --change "LABEL recipe=$recipe_debian" - stand-in/debian >/dev/null
fi

build() { # build NAME: in the end it says nothing, or why not
    local recipe=recipe_$1
    DOCKER_BUILDKIT=1 docker build --progress plain --label "recipe=${!recipe}" \
        --tag "stand-in/$1" "$work/$1" >"$work/$1.log" 2>&1 || { tail -n 20 "$work/$1.log" >&2; return 1; }
}
cp -R "$here/python" "$here/postgres" "$work"
pip_configuration >"$work/python/pip.conf"
build python &
python=$!
build postgres
wait $python
