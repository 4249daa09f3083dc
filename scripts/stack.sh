#!/bin/sh
# The real stack without Docker, with what the package registries carry: NATS, Elasticsearch, Prometheus, the
# Collector and Watchpost, and Tempo where TEMPO_BIN names one. Everything listens on loopback.
# Usage: scripts/stack.sh up|down
#
#   STACK_DIR       its data, logs and process ids; they stay when it ends
#   STACK_OFFSET    added to every port, for a second stack (0)
#   TEMPO_BIN       a Tempo, of version 3
#   STACK_WATCHPOST   a watchpost; else it is built
#   PROCESS_COMPOSE_URL   a supervisor to watch
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
# As root, Elasticsearch runs as nobody, who must reach it.
default=${XDG_STATE_HOME:-${HOME:?HOME is not set}/.local/state}/watchpost-stack
[ "$(id -u)" = 0 ] && default=/var/tmp/watchpost-stack
dir=${STACK_DIR:-$default}

port() { echo $(($1 + ${STACK_OFFSET:-0})); }
nats=$(port 4222) nats_http=$(port 8222)
elasticsearch=$(port 9200) elasticsearch_transport=$(port 9300)
prometheus=$(port 9090)
tempo=$(port 3200) tempo_grpc=$(port 19095) tempo_otlp=$(port 14317)
grpc=$(port 4317) http=$(port 4318) health=$(port 13133) own=$(port 8888)
watchpost=$(port 9001)

fail() {
    echo "stack.sh: $1" >&2
    exit 1
}

# The time at which a process started: with it, a process id is not mistaken for another's that came later.
started() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

runs() {
    [ -f "$dir/pids/$1" ] || return 1
    read -r pid since <"$dir/pids/$1"
    [ -n "$since" ] && [ "$(started "$pid")" = "$since" ]
}

# start NAME HEALTH-URL COMMAND…: in a session of its own, so that what it starts ends with it.
start() {
    name=$1 url=$2
    shift 2
    if runs "$name"; then
        echo "$name runs already"
        return
    fi
    setsid "$@" >"$dir/logs/$name.log" 2>&1 </dev/null &
    pid=$!
    echo "$pid $(started "$pid")" >"$dir/pids/$name"
    tries=0
    until curl -fs -o /dev/null --noproxy '*' --max-time 2 "$url"; do
        tries=$((tries + 1))
        if ! runs "$name" || [ "$tries" -gt 300 ]; then
            tail -n 20 "$dir/logs/$name.log" >&2
            fail "$name did not become ready; its log is $dir/logs/$name.log"
        fi
        sleep 0.2
    done
    echo "$name started"
}

stop() {
    if ! runs "$1"; then
        rm -f "$dir/pids/$1"
        return
    fi
    read -r pid since <"$dir/pids/$1"
    kill -s TERM -- "-$pid"
    tries=0
    while runs "$1" && [ "$tries" -lt 150 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    runs "$1" && kill -s KILL -- "-$pid"
    rm -f "$dir/pids/$1"
    echo "$1 ended"
}

start_nats() {
    binary=$("$top/scripts/nats-server.sh")
    start nats "http://127.0.0.1:$nats_http/healthz" \
        "$binary" -js -sd "$dir/nats" -a 127.0.0.1 -p "$nats" -m "$nats_http"
}

# Its folder holds links to the program, as it must own its configuration.
start_elasticsearch() {
    program=$("$top/scripts/elasticsearch.sh")
    home=$dir/elasticsearch
    # By its version, so that another one that is pinned is taken up.
    linked=$home/${program##*/}
    mkdir -p "$home/config" "$home/data" "$home/logs" "$home/tmp"
    if [ ! -d "$linked" ]; then
        rm -rf "$linked.new"
        # Elsewhere than on its own disk, links are copies.
        cp -al "$program" "$linked.new" 2>/dev/null ||
            { rm -rf "$linked.new" && cp -a "$program" "$linked.new"; }
        mv "$linked.new" "$linked"
    fi
    cp "$program/config/jvm.options" "$program/config/log4j2.properties" "$home/config"
    cat >"$home/config/elasticsearch.yml" <<EOF
discovery.type: single-node
xpack.security.enabled: false
http.host: 127.0.0.1
http.port: $elasticsearch
transport.host: 127.0.0.1
transport.port: $elasticsearch_transport
path.data: $home/data
path.logs: $home/logs
# In bytes, as the default of 85 % is reached on many a large disk that has room.
cluster.routing.allocation.disk.watermark.low: 3gb
cluster.routing.allocation.disk.watermark.high: 2gb
cluster.routing.allocation.disk.watermark.flood_stage: 1gb
EOF
    java=$(readlink -f "$(command -v java)")
    set -- env HOME="$home/tmp" ES_PATH_CONF="$home/config" ES_TMPDIR="$home/tmp" \
        ES_JAVA_HOME="${JAVA_HOME:-${java%/bin/java}}" ES_JAVA_OPTS="-Xms512m -Xmx512m" \
        "$linked/bin/elasticsearch"
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody "$home/config" "$home/data" "$home/logs" "$home/tmp"
        set -- setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups "$@"
    fi
    start elasticsearch "http://127.0.0.1:$elasticsearch/_cluster/health?wait_for_status=yellow&timeout=1s" "$@"
}

start_prometheus() {
    binary=$("$top/scripts/prometheus.sh" | head -n 1)
    sed -e "s|localhost:9090|127.0.0.1:$prometheus|" -e "s|collector:8888|127.0.0.1:$own|" \
        -e "s|tempo:3200|127.0.0.1:$tempo|" -e "s|rules/|$top/compose/prometheus/rules/|" \
        "$top/compose/prometheus/prometheus.yml" >"$dir/prometheus.yml"
    start prometheus "http://127.0.0.1:$prometheus/-/ready" \
        "$binary" --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/prometheus" \
        --web.listen-address="127.0.0.1:$prometheus" --web.enable-otlp-receiver --enable-feature=exemplar-storage
}

start_tempo() {
    "$top/scripts/tempo-config.sh" "$dir/tempo" "$tempo" "$tempo_grpc" "$tempo_otlp" >"$dir/tempo.yaml"
    start tempo "http://127.0.0.1:$tempo/ready" "$TEMPO_BIN" -config.file="$dir/tempo.yaml"
}

start_collector() {
    binary=$("$top/scripts/collector.sh")
    mkdir -p "$dir/collector"
    # Without the elasticsearch exporter, logs go to a file there, and Watchpost writes to Elasticsearch itself.
    "$top/scripts/collector-config.sh" "$dir/collector" ${TEMPO_BIN:+--with-tempo} >"$dir/collector.yaml"
    start collector "http://127.0.0.1:$health/" env COLLECTOR_OTLP_GRPC="127.0.0.1:$grpc" \
        COLLECTOR_OTLP_HTTP="127.0.0.1:$http" COLLECTOR_HEALTH="127.0.0.1:$health" \
        COLLECTOR_METRICS_PORT="$own" COLLECTOR_STORAGE="$dir/collector" COLLECTOR_TEMPO="127.0.0.1:$tempo_otlp" \
        COLLECTOR_PROMETHEUS="http://127.0.0.1:$prometheus" "$binary" --config "$dir/collector.yaml"
}

start_watchpost() {
    if [ -z "${STACK_WATCHPOST:-}" ]; then
        (cd "$top" && "${CARGO:-cargo}" build --locked --quiet --release --bin watchpost)
        STACK_WATCHPOST=${CARGO_TARGET_DIR:-$top/target}/release/watchpost
    fi
    cat >"$dir/watchpost.yaml" <<EOF
store:
  dir: $dir/watchpost
jetstream:
  url: nats://127.0.0.1:$nats
otlp:
  endpoint: http://127.0.0.1:$grpc
elasticsearch:
  url: http://127.0.0.1:$elasticsearch
api:
  listen: 127.0.0.1:$watchpost
EOF
    [ -z "${PROCESS_COMPOSE_URL:-}" ] ||
        printf 'process_compose:\n  - name: main\n    url: %s\n' "$PROCESS_COMPOSE_URL" >>"$dir/watchpost.yaml"
    "$STACK_WATCHPOST" elasticsearch setup --config "$dir/watchpost.yaml"
    start watchpost "http://127.0.0.1:$watchpost/health" "$STACK_WATCHPOST" run --config "$dir/watchpost.yaml"
}

urls() {
    cat <<EOF

Watchpost      http://127.0.0.1:$watchpost     watchpost --help; WATCHPOST_URL=http://127.0.0.1:$watchpost
Prometheus     http://127.0.0.1:$prometheus/api/v1/query?query=up
Elasticsearch  http://127.0.0.1:$elasticsearch/logs-watchpost.otel-*/_search
NATS           nats://127.0.0.1:$nats
Collector      http://127.0.0.1:$grpc (OTLP over gRPC), http://127.0.0.1:$http (over HTTP)
EOF
    if [ -n "${TEMPO_BIN:-}" ]; then
        echo "Tempo          http://127.0.0.1:$tempo/api/search"
    else
        echo "Missing: Tempo, which no registry carries; TEMPO_BIN names one. Spans are in $dir/collector/spans.jsonl"
    fi
    echo "Missing: Grafana and Kibana, which come as images only: docker compose -f compose/compose.yaml up"
    echo "Its data and logs are in $dir; scripts/stack.sh down ends it."
}

case ${1:-} in
up)
    for tool in curl setsid setpriv; do
        command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing: apt-get install curl util-linux"
    done
    mkdir -p "$dir/pids" "$dir/logs"
    # Not every server takes a path that hangs on where it stands.
    dir=$(cd "$dir" && pwd)
    start_nats
    start_elasticsearch
    start_prometheus
    [ -z "${TEMPO_BIN:-}" ] || start_tempo
    start_collector
    start_watchpost
    urls
    ;;
down)
    for name in watchpost collector tempo prometheus elasticsearch nats; do stop "$name"; done
    ;;
*) fail "usage: scripts/stack.sh up|down" ;;
esac
