#!/usr/bin/env bash
# From a fresh Debian 12 or Ubuntu 24.04 to an answer of the stock MNN runtime: packages, build, a small model, export
# at 4 bits, one question. Run it again at any time: what is done is not done twice.
set -euo pipefail
cd "$(dirname "$0")"
. tools/setup.sh

readonly package=build/SmolLM2-135M-Instruct-mnn-4bit
question=${1:-What is the capital of France?}

setup_packages

say "Build: llm2mnn"
configure build
cmake --build build --target llm2mnn

setup_python
setup_checkpoint

say "Export at 4 bits: llm2mnn export --path $checkpoint --dst_path $package --quant_bit 4 --quant_block 64"
build/llm2mnn export --path "$checkpoint" --dst_path "$package" --quant_bit 4 --quant_block 64 --overwrite

say "The stock runtime answers"
"$venv/bin/python" tools/ask.py "$package" "$question"
