#!/usr/bin/env bash
# Do what a newcomer does, on a bare Debian: make one (git, make, python3, python3-venv,
# certificates, nothing else), clone the checkout into it, run the README's commands
# and .ci/run. Typed by a person, as root; takes some minutes. Works on what is committed.
#
# Everything runs in its own mount and process namespaces: whatever ends this script takes
# the processes and the mounts with it, and only the directory is left to delete.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || { echo 'fresh_machine: needs root, for chroot' >&2; exit 2; }
command -v debootstrap >/dev/null || apt-get -qq install --yes debootstrap >/dev/null

root=$(mktemp -d /var/tmp/fresh-machine-XXXXXX)
chmod 755 "$root" # a machine's / is open to every account
job=
clean_up() {
    # unshare is deaf to TERM while it waits; its death kills all that runs inside
    if [ -n "$job" ]; then kill -KILL "$job" 2>/dev/null && wait "$job" || true; fi
    rm -rf --one-file-system "$root" "$root.log"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

echo "fresh_machine: a bare Debian in $root"
tests/fresh_machine/build.sh "$root"
git clone --quiet --no-hardlinks . "$root/checkout"
install -m 755 tests/fresh_machine/newcomer.sh "$root/newcomer.sh"

unshare --mount --pid --fork --kill-child=KILL \
    tests/fresh_machine/enter.sh "$root" /newcomer.sh &
job=$!
wait "$job"
