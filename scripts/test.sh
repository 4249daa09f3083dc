#!/bin/sh
# Everything that `make test` does, with the number of tests passed and failed as its last line.
set -eu
cd "$(dirname "$0")/.."

WATCHPOST_NATS_SERVER=$(scripts/nats-server.sh)
export WATCHPOST_NATS_SERVER
WATCHPOST_SEMCONV=$(scripts/semconv.sh)
export WATCHPOST_SEMCONV

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
