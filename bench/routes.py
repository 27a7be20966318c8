#!/usr/bin/env python3
"""A real checkpoint through every way into the runtime: sizes, times, and that they answer the same.

    routes.py --path CHECKPOINT --work DIR [--rounds 5] [--bits 8]

In alternating order, with a warm page cache:
  direct     llm2mnn export --quant_bit BITS
  onnx       llm2mnn export --export onnx
  convert    llm2mnn convert --quant_bit BITS of that file; must have the bytes of `direct`
  mnnconvert the stock converter of the MNN wheel on a copy of that file, BITS bits, blocks of 64
Prints bytes on disk, median seconds and peak memory, then the greedy ids that the stock runtime gives on each package for three
prompts of tests/real/smollm2.json. Only `convert` must agree with `direct` in every id: the stock converter quantises the head too and
leaves the embedding as it is.
"""
import argparse
import filecmp
import json
import pathlib
import shutil
import statistics
import sys
import time

from export_vs_cp import ROOT, alternate, clear, executable, timed

from support.mnn_converter import StockConverter
from support.runtime import StockRuntime

NEW_TOKENS = 16


def size_of(package):
    return sum(f.stat().st_size for f in package.iterdir())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bits", type=int, default=8)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    out = {name: args.work / f"out-{name}" for name in ("direct", "onnx", "convert", "mnnconvert")}
    converter = StockConverter()

    def tool(name, *words):
        clear(out[name])
        return timed(executable(), *words, "--dst_path", out[name], "--threads", 2, "--quiet")

    def stock():
        clear(out["mnnconvert"])
        shutil.copytree(out["onnx"], out["mnnconvert"])
        begin = time.perf_counter()
        converter.convert(out["mnnconvert"], "--weightQuantBits", args.bits, "--weightQuantBlock", 64)
        seconds = time.perf_counter() - begin
        for name in ("llm.onnx", "llm.onnx.data"):
            (out["mnnconvert"] / name).unlink()
        return seconds, 0

    runs = {
        "direct": lambda: tool("direct", "export", "--path", args.path, "--quant_bit", args.bits),
        "onnx": lambda: tool("onnx", "export", "--path", args.path, "--export", "onnx"),
        "convert": lambda: tool("convert", "convert", "--model", out["onnx"] / "llm.onnx", "--quant_bit", args.bits),
        "mnnconvert": stock,
    }
    seconds, peaks = alternate(runs, args.rounds)
    print(f"{'':10} {'MB':>8} {'median s':>9} {'peak MB':>8}")
    for name, times in seconds.items():
        peak = f"{peaks[name] / 1e6:8.1f}" if peaks[name] else f"{'-':>8}"
        print(f"{name:10} {size_of(out[name]) / 1e6:8.1f} {statistics.median(times):9.2f} {peak}")

    names = sorted(f.name for f in out["direct"].iterdir())
    _, wrong, errors = filecmp.cmpfiles(out["direct"], out["convert"], names, shallow=False)
    if wrong or errors or names != sorted(f.name for f in out["convert"].iterdir()):
        raise SystemExit(f"convert and the direct export differ: {wrong + errors}")
    print("convert wrote the bytes of the direct export")

    prompts = json.loads((ROOT / "tests" / "real" / "smollm2.json").read_text())["greedy"][:3]
    runtime = StockRuntime()
    for prompt in prompts:
        answers = {name: runtime.greedy(out[name], prompt["prompt_ids"], NEW_TOKENS) for name in ("direct", "convert", "mnnconvert")}
        for name, ids in answers.items():
            print(f"{name:10} {ids}")
        if answers["convert"] != answers["direct"]:
            raise SystemExit("convert answers otherwise than the direct export")
    runtime.close()
    converter.close()
    for package in out.values():
        shutil.rmtree(package)


if __name__ == "__main__":
    sys.exit(main())
