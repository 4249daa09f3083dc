#!/bin/sh
# Gets OpenTelemetry's semantic conventions from PyPI, pinned, into a cache outside the repository, and prints the
# folder of their names (Python constants, one file a namespace).
# Usage: scripts/semconv.sh            (WATCHPOST_CACHE names another cache)
set -eu

version=0.66b2
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}
place=$cache/semconv-$version

if [ ! -d "$place" ]; then
    command -v python3 >/dev/null 2>&1 || {
        echo "semconv.sh: python3 is missing: apt-get install python3" >&2
        exit 1
    }
    python3 -m pip --version >/dev/null 2>&1 || {
        echo "semconv.sh: pip is missing: apt-get install python3-pip" >&2
        exit 1
    }
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.semconv.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --dest "$work/wheel" "opentelemetry-semantic-conventions==$version" >&2
    python3 -m zipfile -e "$work"/wheel/*.whl "$work/unpacked"
    [ -d "$work/unpacked/opentelemetry/semconv/_incubating/attributes" ] || {
        echo "semconv.sh: the wheel has no folder opentelemetry/semconv/_incubating/attributes" >&2
        exit 1
    }
    # The rename is what makes it there; where another run was faster, its copy is as good.
    mv -T "$work/unpacked/opentelemetry/semconv" "$place" 2>/dev/null || [ -d "$place" ]
fi
echo "$place"
