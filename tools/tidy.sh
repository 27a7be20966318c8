#!/usr/bin/env bash
# clang-tidy over src/ with the project's list (.clang-tidy); needs a configured preset `dev`.
set -eu
cd "$(dirname "$0")/.."
[ -f build-dev/compile_commands.json ] || cmake --preset dev >/dev/null
git ls-files 'src/*.cc' | grep -v -E '_(test|bench|fuzz)\.cc$' | \
  xargs -P 2 -n 4 clang-tidy-14 -p build-dev --quiet --extra-arg=-Wno-unknown-warning-option  # g++'s -Wno-restrict
