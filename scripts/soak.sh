#!/bin/sh
# The fuzz targets and the fault tests at length, with their figures: an hour and a half on two cores. Each amount
# can be set by its variable; FAULTS_SEED repeats a run of the fault tests.
set -eu
cd "$(dirname "$0")/.."

export POWERCUT_CUTS="${POWERCUT_CUTS:-3000}"
export POWERCUT_SUBMISSIONS="${POWERCUT_SUBMISSIONS:-80}"
export KILLS="${KILLS:-500}"
export DAEMON_KILLS="${DAEMON_KILLS:-500}"
export HISTORIES="${HISTORIES:-20000}"
export DISK_FAULTS="${DISK_FAULTS:-300}"
export MEMORY_FAULTS="${MEMORY_FAULTS:-300}"
# sled panics on the disks that are meant to be broken.
export RUST_BACKTRACE=0

# FUZZ_MINUTES for each target; first, as a missing tool is to be told at once.
scripts/fuzz.sh

exec "${CARGO:-cargo}" test --locked --test faults -- --nocapture --test-threads=1
