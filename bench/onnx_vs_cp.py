#!/usr/bin/env python3
"""ONNX export and convert against copying the bytes they write, in one run.

    onnx_vs_cp.py --work DIR [--rounds 5]

With the checkpoint of export_vs_cp.py (1.7 G parameters, bf16), in alternating order with a warm page cache:
  export   llm2mnn export --export onnx --threads 2   (it syncs its files itself)
  cp       cp -r --reflink=never of what that wrote, then sync -f
  convert  llm2mnn convert --quant_bit 4 --threads 2 of it
  direct   llm2mnn export --quant_bit 4 --threads 2 of the checkpoint
Prints medians, ratios and peak memory, and checks that convert and direct wrote the same bytes. DIR needs 30 GB.
"""
import argparse
import filecmp
import pathlib
import shutil
import statistics

from export_vs_cp import alternate, clear, executable, make_checkpoint, timed

NEEDED_BYTES = 30 << 30


def run(out, *arguments):
    clear(out)
    return timed(executable(), *arguments, "--dst_path", out, "--threads", 2, "--quiet")


def run_cp(source, out):
    clear(out)
    copied, _ = timed("cp", "-r", "--reflink=never", source, out)
    synced, _ = timed("sync", "-f", out)
    return copied + synced, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(args.work).free < NEEDED_BYTES:
        raise SystemExit(f"{args.work}: less than {NEEDED_BYTES >> 30} GB free")
    checkpoint = make_checkpoint(args.work, "qwen3-1.7b")
    onnx, copy, converted, direct = (args.work / f"out-{n}" for n in ("onnx", "copy", "converted", "direct"))
    runs = {
        "export": lambda: run(onnx, "export", "--path", checkpoint, "--export", "onnx"),
        "cp": lambda: run_cp(onnx, copy),
        "convert": lambda: run(converted, "convert", "--model", onnx / "llm.onnx", "--quant_bit", 4),
        "direct": lambda: run(direct, "export", "--path", checkpoint, "--quant_bit", 4),
    }
    seconds, peaks = alternate(runs, args.rounds)
    written = sum(f.stat().st_size for f in onnx.iterdir())
    print(f"{'':8} {'median s':>9} {'best s':>8} {'peak MB':>8}")
    for name, times in seconds.items():
        print(f"{name:8} {statistics.median(times):9.2f} {min(times):8.2f} {peaks[name] / 1e6:8.1f}")
    for above, below in (("export", "cp"), ("convert", "direct")):
        ratio = statistics.median(seconds[above]) / statistics.median(seconds[below])
        best = min(seconds[above]) / min(seconds[below])
        print(f"{above} / {below}: {ratio:.2f} of medians, {best:.2f} of best times")
    print(f"written by export: {written / 1e9:.2f} GB")
    names = sorted(f.name for f in direct.iterdir())
    _, wrong, errors = filecmp.cmpfiles(converted, direct, names, shallow=False)
    if wrong or errors or names != sorted(f.name for f in converted.iterdir()):
        raise SystemExit(f"convert and the direct export differ: {wrong + errors}")
    print("convert wrote the bytes of the direct export")
    for out in (onnx, copy, converted, direct):
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
