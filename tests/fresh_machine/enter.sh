#!/usr/bin/env bash
# Run a command inside a directory as if it were a machine. Called by
# scripts/fresh_machine.sh in a mount and a process namespace of its own, which is why
# nothing has to be unmounted or killed at the end.
set -euo pipefail
root=$1
home=/home/newcomer
shift

mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

# Directories of packages that pip is told to use are shown at their own place, read-only
# (of an index, the directory above its `simple`: the files it links to lie beside it).
directories() {
    cat "$root"/etc/pip.conf "$root$home/.pip/pip.conf" "$root$home/.config/pip/pip.conf" 2>/dev/null
    echo "${PIP_FIND_LINKS:-} ${PIP_EXTRA_INDEX_URL:-} ${PIP_INDEX_URL:-}"
}
for place in $(directories | grep -oE '(file://)?/[^ ]+' | sed 's,^file://,,; s,/simple/*$,,' | sort -u); do
    [ -d "$place" ] || continue
    mkdir -p "$root$place"
    mount --bind "$place" "$root$place"
    mount -o remount,bind,ro "$root$place"
done

# Of the environment only what describes the network comes along.
kept=(HOME=$home PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PIP_ROOT_USER_ACTION=ignore)
while IFS= read -r -d '' variable; do
    case $variable in
    PIP_CERT=* | SSL_CERT_FILE=*) kept+=("${variable%%=*}=/etc/ssl/certs/ca-certificates.crt") ;;
    PIP_* | *_proxy=* | *_PROXY=*) kept+=("$variable") ;;
    esac
done < <(env -0)
exec env -i "${kept[@]}" chroot "$root" "$@"
