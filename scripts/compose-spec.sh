#!/bin/sh
# Builds the checker of Compose files that `docker compose` itself reads them with, into a cache outside the
# repository, and prints the path of the binary.  BINARY -format json FILE  prints the whole file, or its mistakes.
# Usage: scripts/compose-spec.sh           (WATCHPOST_CACHE names another cache)
set -eu
. "$(dirname "$0")/lib.sh"

version=2.16.2
place=$cache/compose-spec-$version
binary=$place/compose-spec

if [ ! -x "$binary" ]; then
    "$(dirname "$0")/need-go.sh"
    begin
    GOBIN=$work/bin CGO_ENABLED=0 go install "github.com/compose-spec/compose-go/v2/cmd@v$version" >&2
    mkdir "$work/done"
    mv "$work/bin/cmd" "$work/done/compose-spec"
    keep "$work/done" "$place" "$binary"
fi
echo "$binary"
