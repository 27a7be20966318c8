#!/bin/sh
# Runs every fuzz target of the project under libFuzzer, ASan and UBSan.
set -eu

usage() {
  cat <<'TEXT'
usage: tools/fuzz.sh SECONDS [--merge]

Builds the preset `fuzz` (clang-14) and runs every *_fuzz target for its share of SECONDS, from the committed corpus
and from what earlier runs found (build-fuzz/found). Prints executions and findings of each target; ends with 1 when
there are findings, which are kept in build-fuzz/findings.
  --merge  afterwards puts inputs that reach new code into tests/fuzz/corpus/TARGET, the smallest ones first
           (files of at most 4 KB)
TEXT
}

case "${1:-}" in
  '' | -h | --help) usage; exit 0 ;;
  *[!0-9]*) usage >&2; exit 2 ;;
esac
total=$1
merge=${2:-}
case "$merge" in '' | --merge) ;; *) usage >&2; exit 2 ;; esac

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
cmake --preset fuzz >/dev/null
targets=$(find src -name '*_fuzz.cc' | sort)
num_targets=$(echo "$targets" | wc -l)
share=$((total / num_targets))
[ "$share" -ge 1 ] || share=1
names=$(for source in $targets; do basename "$source" .cc; done)
# shellcheck disable=SC2086  # the names have no spaces
cmake --build --preset fuzz --target $names >/dev/null

mkdir -p build-fuzz/findings
failed=0
for source in $targets; do
  name=$(basename "$source" .cc)
  program=build-fuzz/$(dirname "$source")/$name
  corpus=tests/fuzz/corpus/$name
  found=build-fuzz/found/$name
  log=build-fuzz/findings/$name.log
  mkdir -p "$corpus" "$found"
  # 4 KB: the rules of every format are within reach; -timeout and -rss_limit_mb turn hangs and floods into findings.
  status=0
  "$program" -max_total_time="$share" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/findings/$name-" "$found" "$corpus" >"$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "$name: ${runs:-0} executions in $share s, findings: $([ "$status" -eq 0 ] && echo none || echo "see $log")"
  [ "$status" -eq 0 ] || failed=1
  if [ "$merge" = --merge ] && [ "$status" -eq 0 ]; then
    find "$found" -size +4k -delete
    "$program" -set_cover_merge=1 -use_counters=0 "$corpus" "$found" >>"$log" 2>&1
  fi
done
exit $failed
