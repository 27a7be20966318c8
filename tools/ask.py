#!/usr/bin/env python3
"""Lets the stock MNN runtime (the wheel) answer a question with a package.

    ask.py PACKAGE_DIR "QUESTION" [--max_new_tokens N]
"""
import argparse
import ctypes
import os
import pathlib
import sys
import time


class Quiet:
    """Sends what the runtime itself prints, on stdout and stderr, to nowhere."""

    def __enter__(self):
        sys.stdout.flush()
        self.saved = [os.dup(1), os.dup(2)]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *_):
        ctypes.CDLL(None).fflush(None)  # what the runtime's own stdio still holds
        for descriptor, saved in zip((1, 2), self.saved):
            os.dup2(saved, descriptor)
            os.close(saved)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("question")
    parser.add_argument("--max_new_tokens", type=int, default=64)
    args = parser.parse_args()
    config = args.package / "config.json"
    if not config.is_file():
        raise SystemExit(f"{args.package}: no package there (config.json is missing)")
    with Quiet():
        import MNN.llm as mnn_llm  # prints what the CPU has
        model = mnn_llm.create(str(config))
        model.set_config({"sampler_type": "greedy", "max_new_tokens": args.max_new_tokens, "thread_num": os.cpu_count()})
        loaded = model._c_obj.load()
    if not loaded:
        raise SystemExit(f"{args.package}: the runtime does not load it")
    print(f"Question: {args.question}", flush=True)
    start = time.monotonic()
    with Quiet():
        answer = model.response(args.question, False)
    print(f"Answer:   {answer.strip()}\n({time.monotonic() - start:.1f} s, MNN {mnn_version()}, greedy)")


def mnn_version():
    from importlib.metadata import version
    return version("MNN")


if __name__ == "__main__":
    main()
