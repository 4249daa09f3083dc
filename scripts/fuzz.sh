#!/bin/sh
# Each fuzz target for FUZZ_MINUTES (5), beginning with its committed corpus. What is found on the way stays in
# fuzz/target/corpus; to take it in, small:  cargo +nightly fuzz cmin TARGET fuzz/target/corpus/TARGET
# A crash leaves its input in fuzz/artifacts: fix it, and commit the input to the corpus.
set -eu
cd "$(dirname "$0")/.."
cargo="${CARGO:-cargo}"

minutes="${FUZZ_MINUTES:-5}"
if [ "$minutes" -eq 0 ]; then
    echo "fuzz: left out, as FUZZ_MINUTES is 0"
    exit 0
fi
if ! "$cargo" +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzz: cargo-fuzz and a nightly compiler are needed; FUZZ_MINUTES=0 leaves the fuzzing out:" >&2
    echo "    rustup toolchain install nightly --profile minimal" >&2
    echo "    cargo install cargo-fuzz --locked" >&2
    exit 1
fi

# The dependencies that the product has.
cp Cargo.lock fuzz/Cargo.lock
targets=$("$cargo" +nightly fuzz list)
for target in $targets; do
    mkdir -p "fuzz/target/corpus/$target"
    echo "fuzz: $target, $minutes min"
    "$cargo" +nightly fuzz run "$target" "fuzz/target/corpus/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$((minutes * 60))" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -print_funcs=0 -verbosity=0
done
