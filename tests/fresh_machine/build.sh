#!/usr/bin/env bash
# Build a bare Debian in the directory given, from the mirror this machine itself uses.
# Called by scripts/fresh_machine.sh. Writes nothing outside that directory; no host is
# written down here, everything about the network is read from this machine.
set -euo pipefail
root=$1
home=/home/newcomer
packages=git,make,python3,python3-venv,ca-certificates

suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
targets=(apt-get indextargets 'Origin: Debian' 'Created-By: Packages')
sources=$("${targets[@]}" --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' | sort -u)
mirror=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' <<<"$sources")
[ -n "$mirror" ] || { echo "build: apt knows no mirror of Debian $suite" >&2; exit 2; }

log=$root.log
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$log" ||
    { tail -n 20 "$log" >&2; exit 1; }
rm -f "$log"

# apt inside asks the same mirrors in the same way.
rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
sed 's/^/deb /' <<<"$sources" >"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(Check|http|https|Retries)' >"$root/etc/apt/apt.conf.d/99machine" || true

mkdir -p "$root$home"

# So does pip, and both trust whom this machine trusts.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
copy() {
    if [ -f "$1" ]; then mkdir -p "$(dirname "$root$2")" && cp -L "$1" "$root$2"; fi
}
copy /etc/pip.conf /etc/pip.conf
copy "$HOME/.pip/pip.conf" "$home/.pip/pip.conf"
copy "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$home/.config/pip/pip.conf"
copy "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" /etc/ssl/certs/ca-certificates.crt
