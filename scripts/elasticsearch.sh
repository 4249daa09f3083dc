#!/bin/sh
# Gets Elasticsearch from Maven, pinned, into a cache outside the repository, and prints the path of its folder.
# It is the bare server that Elastic's own tests run on: no Kibana, no security, no ILM, no data stream API.
# Usage: scripts/elasticsearch.sh          (WATCHPOST_CACHE names another cache)
set -eu
. "$(dirname "$0")/lib.sh"

version=8.19.21
sha256=215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a
place=$cache/elasticsearch-$version

need java openjdk-17-jre-headless
if [ ! -x "$place/bin/elasticsearch" ]; then
    need mvn maven
    need python3 python3
    begin
    mvn --batch-mode --quiet dependency:copy \
        -Dartifact=org.elasticsearch.distribution.integ-test-zip:elasticsearch:"$version":zip \
        -DoutputDirectory="$work/zip" >&2
    echo "$sha256  $work/zip/elasticsearch-$version.zip" | sha256sum --check --quiet >&2 ||
        fail "this is not the elasticsearch $version that was pinned"
    # Of the archive's folder, with the modes that zipfile leaves out.
    python3 -m zipfile -e "$work/zip/elasticsearch-$version.zip" "$work/unpacked"
    chmod -R a+rX "$work/unpacked"
    chmod 755 "$work/unpacked/elasticsearch-$version"/bin/*
    keep "$work/unpacked/elasticsearch-$version" "$place" "$place/bin/elasticsearch"
fi
echo "$place"
