#!/bin/sh
# Gets OpenTelemetry's semantic conventions from PyPI, pinned, into a cache outside the repository, and prints the
# folder of their names (Python constants, one file a namespace).
# Usage: scripts/semconv.sh            (WATCHPOST_CACHE names another cache)
set -eu
. "$(dirname "$0")/lib.sh"

version=0.66b2
place=$cache/semconv-$version

if [ ! -d "$place" ]; then
    need_pip
    begin
    wheel opentelemetry-semantic-conventions "$version"
    [ -d "$work/unpacked/opentelemetry/semconv/_incubating/attributes" ] ||
        fail "the wheel has no folder opentelemetry/semconv/_incubating/attributes"
    keep "$work/unpacked/opentelemetry/semconv" "$place" "$place"
fi
echo "$place"
