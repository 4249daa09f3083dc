#!/bin/sh
# Everything that `make test` does, with the number of tests passed and failed as its last line.
set -eu
cd "$(dirname "$0")/.."

# The real servers, got or built once: what cannot be had ends the run here, and says why.
WATCHPOST_NATS_SERVER=$(scripts/nats-server.sh)
WATCHPOST_ELASTICSEARCH=$(scripts/elasticsearch.sh)
WATCHPOST_COLLECTOR=$(scripts/collector.sh)
prometheus=$(scripts/prometheus.sh)
WATCHPOST_PROMETHEUS=$(echo "$prometheus" | sed -n 1p)
WATCHPOST_PROMTOOL=$(echo "$prometheus" | sed -n 2p)
WATCHPOST_COMPOSE_SPEC=$(scripts/compose-spec.sh)
# The published names of OpenTelemetry's conventions.
WATCHPOST_SEMCONV=$(scripts/semconv.sh)
export WATCHPOST_NATS_SERVER WATCHPOST_ELASTICSEARCH WATCHPOST_COLLECTOR WATCHPOST_PROMETHEUS WATCHPOST_PROMTOOL
export WATCHPOST_COMPOSE_SPEC WATCHPOST_SEMCONV

cargo fmt --all --check
cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --locked --no-deps --document-private-items

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# --no-fail-fast: the line at the end counts every failure, not those of the first binary.
{ cargo test --locked --no-fail-fast 2>&1 || echo "cargo test: failed"; } | tee "$log"
grep -q '^cargo test: failed$' "$log" && status=1
awk '/^test result:/ { passed += $4; failed += $6 }
     END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$log" || status=1
exit "$status"
