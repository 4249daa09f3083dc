#!/bin/sh
# Builds the OpenTelemetry Collector of scripts/collector/builder.yaml with the official builder, into a cache
# outside the repository, and prints the path of the binary. The first time takes some minutes.
# Usage: scripts/collector.sh              (WATCHPOST_CACHE names another cache)
set -eu

version=0.159.0
manifest=$(cd "$(dirname "$0")" && pwd)/collector/builder.yaml
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}
sum=$(sha256sum "$manifest" | cut -c 1-12)
place=$cache/collector-$version-$sum
binary=$place/collector

if [ ! -x "$binary" ]; then
    "$(dirname "$0")/need-go.sh"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.collector.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir "$work/bin"
    echo "collector.sh: building the Collector $version, once" >&2
    GOBIN=$work/bin go install "go.opentelemetry.io/collector/cmd/builder@v$version" >&2
    cp "$manifest" "$work/builder.yaml"
    # The builder tells what it does on standard error; only a failure is of interest.
    (cd "$work" && CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath" bin/builder --config builder.yaml) \
        >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        echo "collector.sh: the Collector could not be built" >&2
        exit 1
    }
    mkdir "$work/done"
    mv "$work/build/collector" "$work/done/collector"
    found=$("$work/done/collector" --version)
    [ "$found" = "collector version $version" ] || {
        echo "collector.sh: expected collector version $version, got: $found" >&2
        exit 1
    }
    # The rename is what makes it there; where another run was faster, its copy is as good.
    mv -T "$work/done" "$place" 2>/dev/null || [ -x "$binary" ]
fi
echo "$binary"
