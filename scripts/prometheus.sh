#!/bin/sh
# Builds Prometheus and promtool from the Go module beside this script, into a cache outside the repository, and
# prints the paths of the two binaries, one a line. The first time takes some minutes.
# Usage: scripts/prometheus.sh             (WATCHPOST_CACHE names another cache)
set -eu
. "$(dirname "$0")/lib.sh"

version=0.314.0
module=$(cd "$(dirname "$0")" && pwd)/prometheus
sum=$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c 1-12)
place=$cache/prometheus-$version-$sum

if [ ! -x "$place/prometheus" ] || [ ! -x "$place/promtool" ]; then
    "$(dirname "$0")/need-go.sh"
    begin
    mkdir "$work/done"
    say "building Prometheus $version, once"
    # -mod=readonly: what is built is what the committed sums name.
    (cd "$module" && CGO_ENABLED=0 go build -mod=readonly -trimpath \
        -ldflags "-s -w -X github.com/prometheus/common/version.Version=$version" \
        -o "$work/done/" github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool) >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "Prometheus could not be built"
    }
    found=$("$work/done/prometheus" --version 2>&1 | head -n 1)
    case $found in
    "prometheus, version $version "*) ;;
    *) fail "expected prometheus, version $version, got: $found" ;;
    esac
    keep "$work/done" "$place" "$place/promtool"
fi
echo "$place/prometheus"
echo "$place/promtool"
