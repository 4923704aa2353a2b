#!/usr/bin/env bash
# Runs tsp and jacobi over bad links, with 2, 3 and 4 nodes and seeds 1 to 20: 120 jobs that must all give the right answer.
#
# Usage: scripts/withstand.sh [LAST_SEED [FIRST_SEED]]
#
# Builds what it runs. Takes about 20 minutes on two cores; each job is ended after two minutes, which counts as a failure. Exits
# with 1 when any job failed, and prints the command that runs it again.
set -euo pipefail
cd "$(dirname "$0")/.."

last=${1:-20}
first=${2:-1}
built=${CARGO_TARGET_DIR:-target}/release
links=(--loss 20% --duplicate 5% --reorder 10% --corrupt 1%)
tsp=("$built/tsp" --instance bays29)
jacobi=("$built/jacobi" --size 128 --iterations 100)

cargo build --release --locked -p examples -p dsm-node
# What one process computes, which no network can spoil.
expected_tsp=$("${tsp[@]}" | grep '^optimum')
expected_jacobi=$("${jacobi[@]}" | tail -n 1)

passed=0 failed=0
run() { # NAME NODES SEED EXPECTED PROGRAM...
    local name=$1 nodes=$2 seed=$3 expected=$4 output status=0
    shift 4
    local job=("$built/dsm-node" run --no-labels -n "$nodes" "${links[@]}" --seed "$seed" -- "$@")
    local start=$SECONDS
    output=$(timeout --kill-after=10 120 "${job[@]}" 2>&1) || status=$?
    if [[ $status -eq 0 && $(tail -n 1 <<<"$output") == "$expected" ]]; then
        passed=$((passed + 1))
        printf 'ok      %-6s %s nodes  seed %-2s  %3s s\n' "$name" "$nodes" "$seed" $((SECONDS - start))
    else
        failed=$((failed + 1))
        printf 'FAILED  %-6s %s nodes  seed %-2s  status %s\n%s\nagain: %s\n' "$name" "$nodes" "$seed" "$status" "$output" "${job[*]}"
    fi
}

for seed in $(seq "$first" "$last"); do
    for nodes in 2 3 4; do
        run tsp "$nodes" "$seed" "$expected_tsp" "${tsp[@]}"
        run jacobi "$nodes" "$seed" "$expected_jacobi" "${jacobi[@]}"
    done
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[[ $failed -eq 0 ]]
