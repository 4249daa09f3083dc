#!/bin/sh
# Gets Elasticsearch from Maven, pinned, into a cache outside the repository, and prints the path of its folder.
# It is the bare server that Elastic's own tests run on: no Kibana, no security, no ILM, no data stream API.
# Usage: scripts/elasticsearch.sh          (WATCHPOST_CACHE names another cache)
set -eu

version=8.19.21
sha256=215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a
cache=${WATCHPOST_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/watchpost}
place=$cache/elasticsearch-$version

need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "elasticsearch.sh: $1 is missing: apt-get install $2" >&2
    exit 1
}

need java openjdk-17-jre-headless
if [ ! -x "$place/bin/elasticsearch" ]; then
    need mvn maven
    need python3 python3
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/.elasticsearch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    mvn --batch-mode --quiet dependency:copy \
        -Dartifact=org.elasticsearch.distribution.integ-test-zip:elasticsearch:"$version":zip \
        -DoutputDirectory="$work/zip" >&2
    echo "$sha256  $work/zip/elasticsearch-$version.zip" | sha256sum --check --quiet >&2 || {
        echo "elasticsearch.sh: this is not the elasticsearch $version that was pinned" >&2
        exit 1
    }
    # Of the archive's folder, with the modes that zipfile leaves out.
    python3 -m zipfile -e "$work/zip/elasticsearch-$version.zip" "$work/unpacked"
    chmod -R a+rX "$work/unpacked"
    chmod 755 "$work/unpacked/elasticsearch-$version"/bin/*
    # The rename is what makes it there; where another run was faster, its copy is as good.
    mv -T "$work/unpacked/elasticsearch-$version" "$place" 2>/dev/null || [ -x "$place/bin/elasticsearch" ]
fi
echo "$place"
