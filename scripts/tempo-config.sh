#!/bin/sh
# Prints compose/tempo.yaml for a Tempo without Docker: on loopback, with its data in FOLDER, and these ports: of its
# API, of its own gRPC, and of OTLP over gRPC.
# Usage: scripts/tempo-config.sh FOLDER HTTP GRPC OTLP
set -eu

[ $# = 4 ] || {
    echo "usage: scripts/tempo-config.sh FOLDER HTTP GRPC OTLP" >&2
    exit 2
}
exec sed -e "s|/var/tempo|$1|" -e "s|0.0.0.0:4317|127.0.0.1:$4|" \
    -e "s|^  http_listen_port: .*|  http_listen_address: 127.0.0.1\n  http_listen_port: $2\n  grpc_listen_address: 127.0.0.1\n  grpc_listen_port: $3|" \
    "$(dirname "$0")/../compose/tempo.yaml"
