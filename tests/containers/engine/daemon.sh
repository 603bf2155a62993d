#!/usr/bin/env bash
# Start or stop a dockerd of our own below the directory given. Called by
# scripts/container_engine.sh, which holds a lock meanwhile.
#
# Nothing of it meets an engine that is there already: socket, data, process state, bridge,
# addresses and containerd's namespaces are its own, and it is told to leave the firewall
# alone, since two daemons share docker's chains and the younger one empties them. The
# three rules its containers need to reach out are made here, and taken away again.
set -euo pipefail
verb=$1 state=$2
PATH=$PATH:/usr/sbin:/sbin
bridge=cm-engine0 pool=10.213.0.0/16 address=10.213.0.1/24

rules() { # rules -A: make them; rules -D: take them away
    local rule
    for rule in \
        "nat POSTROUTING -s $pool ! -d $pool -j MASQUERADE" \
        "filter FORWARD -s $pool -j ACCEPT" \
        "filter FORWARD -d $pool -j ACCEPT"; do
        read -r table chain rest <<<"$rule"
        # shellcheck disable=SC2086 # a rule is words
        if iptables -w -t "$table" -C "$chain" $rest 2>/dev/null; then
            [ "$1" = -A ] || iptables -w -t "$table" "$1" "$chain" $rest
        else
            [ "$1" = -D ] || iptables -w -t "$table" -I "$chain" $rest
        fi
    done
}

alive() {
    [ -f "$state/docker.pid" ] && kill -0 "$(cat "$state/docker.pid")" 2>/dev/null
}

start() {
    docker version >/dev/null 2>&1 && return
    mkdir -p "$state/bin" "$state/client"
    # Debian's client knows the builder inside its own daemon; others want a plug-in for it.
    ln -sf /usr/bin/docker /usr/bin/docker-compose "$state/bin/"
    hash -r
    echo '{}' >"$state/daemon.json"
    ip link show $bridge >/dev/null 2>&1 || ip link add name $bridge type bridge
    ip address replace $address dev $bridge
    ip link set $bridge up
    rules -A
    # The way out may carry less than a bridge: on a tunnel, larger packets vanish.
    local way mtu
    way=$(ip -o route get 255.255.255.254 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' || true)
    mtu=$(cat "/sys/class/net/${way:-none}/mtu" 2>/dev/null || echo 1500)
    (
        # It outlives this script, so it shall hold none of its caller's pipes and locks.
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd < 3)) || eval "exec $fd>&-"
        done
        exec setsid dockerd --config-file "$state/daemon.json" --host "$DOCKER_HOST" \
            --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/docker.pid" \
            --containerd-namespace cm-engine --containerd-plugins-namespace cm-engine-plugins \
            --bridge $bridge --mtu "$mtu" --default-address-pool base=10.213.128.0/17,size=24 \
            --iptables=false --ip6tables=false --ip-masq=false
    ) </dev/null >"$state/log" 2>&1 &
    local began=$SECONDS daemon=$!
    until docker version >/dev/null 2>&1; do
        if ! kill -0 $daemon 2>/dev/null || ((SECONDS - began > 60)); then
            kill $daemon 2>/dev/null || true
            echo "no container engine: dockerd did not start; $state/log ends:" >&2
            tail -n 3 "$state/log" >&2
            exit 3
        fi
        sleep 0.2
    done
}

stop() {
    if alive; then
        local pid began=$SECONDS
        pid=$(cat "$state/docker.pid")
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null && ((SECONDS - began < 30)); do sleep 0.2; done
    fi
    rules -D
    ip link delete $bridge 2>/dev/null || true
}

"$verb"
