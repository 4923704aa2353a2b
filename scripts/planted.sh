#!/usr/bin/env bash
# Shows which broken rules the checkers on real processes notice: for each bug that can be planted, a litmus run and two short
# random jobs. Builds with the feature `planted` into a directory of its own. Takes about twenty minutes.
#
#   scripts/planted.sh [BUG ...]
#
# A line per bug and checker: `held` (nothing noticed), or what was noticed. Without a bug all must hold; that is the first line.
set -u
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}/planted"
cargo build --release --quiet -p dsm-node --features planted --target-dir "$target" || exit 1
node="$target/release/dsm-node"

# The words that tell what a failed run noticed.
noticed() {
    grep -a -E -h -m 1 'hangs|VIOLATION|: memory: |: lost node|collective' "$1" | cut -c1-150
}

check() {
    local bug="$1" name="$2" out status
    shift 2
    out="$(mktemp)"
    # A run without a bug takes a quarter of it; the checkers themselves give up on what hangs after 20 s.
    env ${bug:+"DSM_PLANT=$bug"} timeout -k 5 60 "$node" "$@" >"$out" 2>&1
    status=$?
    case $status in
        0) echo "${bug:-none}  $name  held" ;;
        124 | 137) echo "${bug:-none}  $name  not finished in 60 s" ;;
        *) echo "${bug:-none}  $name  status $status: $(noticed "$out")" ;;
    esac
    rm -f "$out"
}

bugs=("$@")
if [ ${#bugs[@]} -eq 0 ]; then
    # The program itself names them when it is asked for one that there is not.
    mapfile -t bugs < <(DSM_PLANT=? "$node" soak --jobs 1 2>&1 | grep -a -o 'there are .*' | head -1 |
        sed 's/there are //; s/; start the program.*//' | tr -d ' ' | tr ',' '\n')
fi
for bug in "" "${bugs[@]}"; do
    check "$bug" litmus litmus --iterations 300 --seed 1
    check "$bug" "soak 1" soak --jobs 1 --minutes 0.05 --seed 1
    check "$bug" "soak 2" soak --jobs 1 --minutes 0.05 --seed 2
done
