#!/bin/sh
# Line coverage of the parsers, reached by the committed fuzz corpora alone.
set -eu

case "${1:-}" in
  -h | --help)
    echo "usage: tools/fuzz_coverage.sh"
    echo "Builds the preset 'coverage' (clang-14), replays tests/fuzz/corpus through every *_fuzz target and prints"
    echo "the covered lines of each parser file."
    exit 0
    ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
cmake --preset coverage >/dev/null
names=$(find src -name '*_fuzz.cc' -exec basename {} .cc \; | sort)
# shellcheck disable=SC2086  # the names have no spaces
cmake --build --preset coverage --target $names >/dev/null

out=build-coverage/profiles
rm -rf "$out"
mkdir -p "$out"
objects=
for source in $(find src -name '*_fuzz.cc' | sort); do
  name=$(basename "$source" .cc)
  program=build-coverage/$(dirname "$source")/$name
  LLVM_PROFILE_FILE="$out/$name.profraw" "$program" -runs=0 "tests/fuzz/corpus/$name" >"$out/$name.log" 2>&1
  objects="$objects -object $program"
done
llvm-profdata-14 merge -o "$out/all.profdata" "$out"/*.profraw
# Every source that a fuzz target's folder owns, but neither tests nor the targets themselves.
# shellcheck disable=SC2086  # one word for each object
llvm-cov-14 export -summary-only -instr-profile="$out/all.profdata" \
  -ignore-filename-regex='_fuzz\.cc|_test\.cc|/usr/' ${objects#" -object "} | python3 -c '
import json, os, sys
files = json.load(sys.stdin)["data"][0]["files"]
for entry in sorted(files, key=lambda e: e["filename"]):
    lines = entry["summary"]["lines"]
    name = os.path.relpath(entry["filename"])
    if name.endswith(".cc"):
        print("%6.1f %% of %4d lines  %s" % (lines["percent"], lines["count"], name))
'
