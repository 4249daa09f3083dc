#!/bin/sh
# Builds the checker of Compose files that `docker compose` itself reads them with, into a cache outside the
# repository, and prints the path of the binary.  BINARY -format json FILE  prints the whole file, or its mistakes.
# Usage: scripts/compose-spec.sh           (WATCHPOST_CACHE names another cache)
set -eu

version=2.16.2
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}
place=$cache/compose-spec-$version
binary=$place/compose-spec

if [ ! -x "$binary" ]; then
    "$(dirname "$0")/need-go.sh"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.compose-spec.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    GOBIN=$work/bin CGO_ENABLED=0 go install "github.com/compose-spec/compose-go/v2/cmd@v$version" >&2
    mkdir "$work/done"
    mv "$work/bin/cmd" "$work/done/compose-spec"
    # The rename is what makes it there; where another run was faster, its copy is as good.
    mv -T "$work/done" "$place" 2>/dev/null || [ -x "$binary" ]
fi
echo "$binary"
