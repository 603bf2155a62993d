#!/usr/bin/env bash
# See to it that the programs of a container engine are there. Called by
# scripts/container_engine.sh; says nothing when they are. Where they are missing it installs
# them if it may (root, apt). Exits with 3, and the reason, where no engine can be had.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

no() {
    echo "no container engine: $*" >&2
    exit 3
}
[ "$(uname -s)" = Linux ] || no 'an engine of our own needs Linux; name another one in DOCKER_HOST'
[ "$(id -u)" = 0 ] || no 'starting one needs root; name another one in DOCKER_HOST'
grep -q ' /sys/fs/cgroup' /proc/mounts || no 'this machine shows no cgroups (a chroot?)'

missing=()
need() {
    command -v "$1" >/dev/null || missing+=("$2")
}
need dockerd docker.io
need ip iproute2
need iptables iptables
need debootstrap debootstrap
need docker-registry docker-registry
need docker-compose docker-compose
((${#missing[@]})) || exit 0

command -v apt-get >/dev/null || no "this machine lacks ${missing[*]}, and apt to install them"
echo "installing for the container tests: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Debian's own daemon shall not run: a policy refuses every start while packages unpack.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
options=(-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
apt-get "${options[@]}" update >&2 || true # a mirror that is away may still have served before
apt-get "${options[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null ||
    no "apt-get could not install ${missing[*]}"
