#!/usr/bin/env bash
# Formats every C++ file; with --check, only says which ones differ (exit status 1).
set -eu
cd "$(dirname "$0")/.."
mode=-i
[ "${1:-}" = "--check" ] && mode="--dry-run -Werror"
# shellcheck disable=SC2086
git ls-files '*.cc' '*.h' | xargs clang-format-14 $mode
