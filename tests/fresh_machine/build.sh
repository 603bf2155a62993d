#!/usr/bin/env bash
# Build what a newcomer's machine is in the directory given: a bare Debian, and what this
# machine tells pip. Called by scripts/fresh_machine.sh. Writes nothing outside it.
set -euo pipefail
root=$1
home=/home/newcomer

"$(dirname "$0")/debian.sh" "$root" git,make,python3,python3-venv,ca-certificates

mkdir -p "$root$home"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
copy() {
    if [ -f "$1" ]; then mkdir -p "$(dirname "$root$2")" && cp -L "$1" "$root$2"; fi
}
copy /etc/pip.conf /etc/pip.conf
copy "$HOME/.pip/pip.conf" "$home/.pip/pip.conf"
copy "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$home/.config/pip/pip.conf"
