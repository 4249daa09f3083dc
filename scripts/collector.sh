#!/bin/sh
# Builds the OpenTelemetry Collector of scripts/collector/builder.yaml with the official builder, into a cache
# outside the repository, and prints the path of the binary. The first time takes some minutes.
# Usage: scripts/collector.sh              (WATCHPOST_CACHE names another cache)
set -eu
. "$(dirname "$0")/lib.sh"

version=0.159.0
manifest=$(cd "$(dirname "$0")" && pwd)/collector/builder.yaml
sum=$(sha256sum "$manifest" | cut -c 1-12)
place=$cache/collector-$version-$sum
binary=$place/collector

if [ ! -x "$binary" ]; then
    "$(dirname "$0")/need-go.sh"
    begin
    mkdir "$work/bin"
    say "building the Collector $version, once"
    GOBIN=$work/bin go install "go.opentelemetry.io/collector/cmd/builder@v$version" >&2
    cp "$manifest" "$work/builder.yaml"
    # The builder tells what it does on standard error; only a failure is of interest.
    (cd "$work" && CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath" bin/builder --config builder.yaml) \
        >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "the Collector could not be built"
    }
    mkdir "$work/done"
    mv "$work/build/collector" "$work/done/collector"
    found=$("$work/done/collector" --version)
    [ "$found" = "collector version $version" ] || fail "expected collector version $version, got: $found"
    keep "$work/done" "$place" "$binary"
fi
echo "$binary"
