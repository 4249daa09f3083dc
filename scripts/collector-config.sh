#!/bin/sh
# Prints otel-collector.yaml for a Collector that has no elasticsearch exporter, writing into FOLDER what has no
# backend: logs as JSON lines into logs.jsonl, and, unless a Tempo is there, spans into spans.jsonl. Addresses are
# the file's own variables. Nothing else differs.
# Usage: scripts/collector-config.sh FOLDER [--with-tempo]
set -eu

folder=${1:?usage: scripts/collector-config.sh FOLDER [--with-tempo]}
gone=elasticsearch
[ "${2:-}" = --with-tempo ] || gone="$gone otlp_grpc/tempo"

# An exporter's block goes from its name, two spaces in, to the next line that is as far out; a comment above it
# stays. With `rotation` the file exporter writes each request at once, so that what is acknowledged is in the file.
exec awk -v folder="$folder" -v gone="$gone" '
    function file(name) { return name == "elasticsearch" ? "logs" : "spans" }
    BEGIN { count = split(gone, names, " ") }
    /^[^ #]/ { section = $1; cut = 0 }
    section == "exporters:" && /^  [^ ]/ {
        cut = 0
        for (i = 1; i <= count; i++) if ($1 == names[i] ":") {
            cut = 1
            found++
            printf "  file/%s:\n    path: %s/%s.jsonl\n", file(names[i]), folder, file(names[i])
            printf "    rotation:\n      max_megabytes: 1000000\n\n"
        }
    }
    cut { next }
    section == "service:" && $1 == "exporters:" {
        for (i = 1; i <= count; i++) if ($2 == "[" names[i] "]") {
            used++
            sub(/\[.*\]/, "[file/" file(names[i]) "]")
        }
    }
    { print }
    END {
        if (found != count || used != count) {
            print "collector-config.sh: otel-collector.yaml has not each of: " gone > "/dev/stderr"
            exit 1
        }
    }
' "$(dirname "$0")/../otel-collector.yaml"
