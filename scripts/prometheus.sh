#!/bin/sh
# Builds Prometheus and promtool from the Go module beside this script, into a cache outside the repository, and
# prints the paths of the two binaries, one a line. The first time takes some minutes.
# Usage: scripts/prometheus.sh             (WATCHPOST_CACHE names another cache)
set -eu

version=0.314.0
module=$(cd "$(dirname "$0")" && pwd)/prometheus
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}
sum=$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c 1-12)
place=$cache/prometheus-$version-$sum

if [ ! -x "$place/prometheus" ] || [ ! -x "$place/promtool" ]; then
    "$(dirname "$0")/need-go.sh"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.prometheus.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir "$work/done"
    echo "prometheus.sh: building Prometheus $version, once" >&2
    # -mod=readonly: what is built is what the committed sums name.
    (cd "$module" && CGO_ENABLED=0 go build -mod=readonly -trimpath \
        -ldflags "-s -w -X github.com/prometheus/common/version.Version=$version" \
        -o "$work/done/" github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool) >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        echo "prometheus.sh: Prometheus could not be built" >&2
        exit 1
    }
    found=$("$work/done/prometheus" --version 2>&1 | head -n 1)
    case $found in
    "prometheus, version $version "*) ;;
    *)
        echo "prometheus.sh: expected prometheus, version $version, got: $found" >&2
        exit 1
        ;;
    esac
    # The rename is what makes it there; where another run was faster, its copy is as good.
    mv -T "$work/done" "$place" 2>/dev/null || [ -x "$place/promtool" ]
fi
echo "$place/prometheus"
echo "$place/promtool"
