#!/bin/sh
# Ends with 1, and says what to do, where there is no Go that can build the servers of the tests.
set -eu

# What the modules of the Collector and of Prometheus ask for.
least=1.25.8

advice="apt-get install golang-go, from backports where the release has an older one, or https://go.dev/dl"
command -v go >/dev/null 2>&1 || {
    echo "Go is missing ($least or newer): $advice" >&2
    exit 1
}
# `go1.25rc1`, `go1.26.8`; from 1.21 on, Go gets a newer toolchain by itself unless GOTOOLCHAIN forbids it.
version=$(go env GOVERSION | sed 's/^go//; s/[a-z].*//')
asked=$least
[ "$(go env GOTOOLCHAIN)" = local ] || asked=1.21
oldest=$(printf '%s\n%s\n' "$asked" "$version" | sort -V | head -n 1)
[ "$oldest" = "$asked" ] || {
    echo "Go $version is too old, $least or newer is needed: $advice" >&2
    exit 1
}
