#!/usr/bin/env bash
# Build a bare Debian in the directory given, with the packages given, from the mirror this
# machine itself uses; apt in there asks the same mirrors and trusts whom this machine
# trusts. Called by tests/fresh_machine/build.sh and tests/containers/engine/images.sh.
# Writes nothing outside that directory; no host is written down here, everything about the
# network is read from this machine.
set -euo pipefail
root=$1 packages=$2

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
targets=(apt-get indextargets 'Origin: Debian' 'Created-By: Packages')
sources=$("${targets[@]}" --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' | sort -u)
mirror=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' <<<"$sources")
[ -n "$mirror" ] || { echo "debian: apt knows no mirror of Debian $suite" >&2; exit 2; }

log=$root.log
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$log" ||
    { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"

rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
sed 's/^/deb /' <<<"$sources" >"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(Check|http|https|Retries)' >"$root/etc/apt/apt.conf.d/99machine" || true

mkdir -p "$root/etc/ssl/certs"
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -f "$bundle" ]; then cp -L "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"; fi
