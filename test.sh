#!/usr/bin/env bash
# Sets up a fresh Debian 12 or Ubuntu 24.04 and runs all tests. Run it again at any time: what is done is not done twice.
#   ./test.sh [CTEST_OPTION ...]      for example ./test.sh -L fast
set -euo pipefail
cd "$(dirname "$0")"
. tools/setup.sh

setup_packages
setup_python
setup_checkpoint

say "Build: everything, into build-test"
configure build-test -DLLM2MNN_DEVELOPER_MODE=ON -DLLM2MNN_WERROR="${LLM2MNN_WERROR:-OFF}"
cmake --build build-test

say "Tests"
exec ctest --test-dir build-test --output-on-failure --no-label-summary -j "$(nproc)" "$@"
