#!/usr/bin/env python3
"""Export against copying the same checkpoint, in one run.

    export_vs_cp.py --work DIR [--rounds 5] [--skip_double]

Makes in DIR (once) a checkpoint in the shape of Qwen3-1.7B, random bf16 weights, and a tokenizer.json of 151,643
entries; and one twice as large with an embedding of 150,000 x 8,192. Then, in alternating order with a warm page cache:
  export   llm2mnn export --quant_bit 4 --quant_block 64 --threads 2   (it syncs its files itself)
  cp       cp -r --reflink=never, then sync -f
  cat      cat of the weights to /dev/null
Prints medians, ratios and peak memory, and checks the output with the tests' independent decoder. DIR needs 20 GB.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support.mnn_package import Package  # noqa: E402
from support.rounding import rounding_faults  # noqa: E402
from support.tool import executable, make_fixture  # noqa: E402

NEEDED_BYTES = 20 << 30
SHAPES = {
    "qwen3-1.7b": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16,
                   "num_key_value_heads": 8, "vocab_size": 151936},
    "double": {"hidden_size": 8192, "intermediate_size": 8192, "num_hidden_layers": 8, "num_attention_heads": 32,
               "num_key_value_heads": 8, "vocab_size": 151936},
}
# Weights are runs of one random block (64 MiB of bf16), each tensor from another place of it.
BLOCK_VALUES = 32 << 20
SHARD_BYTES = 2 << 30
VOCABULARY = 151643


def config_of(shape):
    return {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": 0, "eos_token_id": 1, "head_dim": 128, "hidden_act": "silu", "initializer_range": 0.02,
            "max_position_embeddings": 40960, "max_window_layers": 28, "rms_norm_eps": 1e-06, "rope_scaling": None,
            "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
            "use_cache": True, "use_sliding_window": False, **shape}


def tensor_shapes(c):
    hidden, inter, dim = c["hidden_size"], c["intermediate_size"], 128
    q, kv = c["num_attention_heads"] * dim, c["num_key_value_heads"] * dim
    layer = {"input_layernorm": (hidden,), "self_attn.q_proj": (q, hidden), "self_attn.k_proj": (kv, hidden),
             "self_attn.v_proj": (kv, hidden), "self_attn.o_proj": (hidden, q), "self_attn.q_norm": (dim,),
             "self_attn.k_norm": (dim,), "post_attention_layernorm": (hidden,), "mlp.gate_proj": (inter, hidden),
             "mlp.up_proj": (inter, hidden), "mlp.down_proj": (hidden, inter)}
    out = {"model.embed_tokens.weight": (c["vocab_size"], hidden)}
    for i in range(c["num_hidden_layers"]):
        out.update({f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()})
    return {**out, "model.norm.weight": (hidden,)}


def write_tensor(file, block, start, count):
    while count:
        part = block[start:start + count]
        file.write(part)
        count -= len(part)
        start = 0


def make_weights(directory, shapes, rng):
    block = make_fixture.to_bf16(rng.standard_normal(BLOCK_VALUES, dtype=np.float32) * np.float32(0.02))
    shards, size = [[]], 0
    for name, shape in shapes.items():
        if size > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += 2 * int(np.prod(shape))
    weight_map = {}
    for i, names in enumerate(shards):
        file_name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        weight_map.update(dict.fromkeys(names, file_name))
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name in names:
            end = offset + 2 * int(np.prod(shapes[name]))
            header[name] = {"dtype": "BF16", "shape": list(shapes[name]), "data_offsets": [offset, end]}
            offset = end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(directory / file_name, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                write_tensor(f, block, int(rng.integers(BLOCK_VALUES)), int(np.prod(shapes[name])))
    index = {"metadata": {"total_size": sum(2 * int(np.prod(s)) for s in shapes.values())}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def byte_characters():
    """The 256 characters that stand for bytes in a byte-level vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def make_tokenizer(directory, rng):
    """A valid byte-level BPE: each merge joins two earlier tokens."""
    tokens = byte_characters()
    known, merges = set(tokens), []
    while len(tokens) < VOCABULARY:
        left, right = (tokens[int(i)] for i in rng.integers(len(tokens), size=2))
        if len(left + right) <= 16 and left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
            merges.append(f"{left} {right}")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    regex = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    value = {"version": "1.0", "truncation": None, "padding": None,
             "added_tokens": [{"id": VOCABULARY + i, "content": t, **flags} for i, t in enumerate(special)],
             "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
             "post_processor": level, "decoder": level,
             "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                       "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                       "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}}
    (directory / "tokenizer.json").write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    config = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "Qwen2Tokenizer",
              "clean_up_tokenization_spaces": False, "model_max_length": 131072,
              "chat_template": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2))


def make_checkpoint(work, name):
    out = work / name
    if out.exists():
        return out
    print(f"making {out}", flush=True)
    temporary = work / (name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    rng = np.random.default_rng(1)
    config = config_of(SHAPES[name])
    make_weights(temporary, tensor_shapes(config), rng)
    make_tokenizer(temporary, rng)
    (temporary / "config.json").write_text(json.dumps(config, indent=2))
    temporary.rename(out)
    os.sync()
    return out


# Runs a command and prints seconds and peak resident bytes. A process of its own: a child starts with its parent's peak,
# and this script has held whole checkpoints.
METER = """
import os, sys, time
start = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - start, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
"""


def timed(*command):
    """(seconds, peak resident bytes) of a command that must succeed."""
    words = [str(word) for word in command]
    report = subprocess.run([sys.executable, "-S", "-c", METER, *words], check=True, capture_output=True, text=True).stdout
    seconds, peak, code = report.split()
    if int(code):
        raise SystemExit(f"{' '.join(words)}: exit code {code}")
    return float(seconds), int(peak)


def alternate(runs, rounds):
    """Calls each of `runs`, {name: () -> (seconds, peak bytes)}, once a round; the first round only warms the page cache.
    ({name: [seconds]}, {name: peak bytes})."""
    seconds, peaks = {name: [] for name in runs}, dict.fromkeys(runs, 0)
    for index in range(rounds + 1):
        for name, measure in runs.items():
            taken, peak = measure()
            if index:
                seconds[name].append(taken)
                peaks[name] = max(peaks[name], peak)
    return seconds, peaks


def clear(out):
    """Every run starts without its output and with nothing left to write to disk."""
    shutil.rmtree(out, ignore_errors=True)
    os.sync()


def run_export(source, out):
    clear(out)
    return timed(executable(), "export", "--path", source, "--dst_path", out, "--quant_bit", 4, "--quant_block", 64,
                 "--threads", 2, "--quiet")


def run_cp(source, out):
    clear(out)
    copied, _ = timed("cp", "-r", "--reflink=never", source, out)
    synced, _ = timed("sync", "-f", out)
    return copied + synced, 0


def run_cat(source, _):
    return timed("sh", "-c", f"cat '{source}'/*.safetensors > /dev/null")


def source_rows(checkpoint, tensor, first, count):
    """float64 rows of a bf16 tensor."""
    index = json.loads((checkpoint / "model.safetensors.index.json").read_text())
    path = checkpoint / index["weight_map"][tensor]
    with open(path, "rb") as f:
        header_bytes = struct.unpack("<Q", f.read(8))[0]
        entry = json.loads(f.read(header_bytes))[tensor]
        cols = entry["shape"][1]
        f.seek(8 + header_bytes + entry["data_offsets"][0] + 2 * first * cols)
        bits = np.frombuffer(f.read(2 * count * cols), "<u2")
    return make_fixture.from_bf16(bits).astype(np.float64).reshape(count, cols)


def check_output(checkpoint, out):
    """The blobs cover the file, and 256 rows of every matrix obey the laws of rounding."""
    package = Package(out)
    package.check_coverage()
    convolutions = package.convolutions()
    for address, op in convolutions.items():
        if address == "lm_head":
            tensor, rows = "model.embed_tokens.weight", json.loads((checkpoint / "config.json").read_text())["vocab_size"]
        else:
            _, layer, role = address.split(".")
            block = "mlp" if role in ("gate_proj", "up_proj", "down_proj") else "self_attn"
            tensor, rows = f"model.layers.{layer}.{block}.{role}.weight", 1024
        first = rows - 256
        faults = rounding_faults(package.linear(op, first, 256), source_rows(checkpoint, tensor, first, 256))
        if faults:
            raise SystemExit("; ".join(faults))
    print(f"independent decoder: {len(convolutions)} matrices sampled, weight file covered exactly")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip_double", action="store_true", help="leave out the checkpoint of twice the size")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not (args.work / "double").exists() and shutil.disk_usage(args.work).free < NEEDED_BYTES:
        raise SystemExit(f"{args.work}: {NEEDED_BYTES >> 30} GB of free disk are needed")
    source = make_checkpoint(args.work, "qwen3-1.7b")
    package, copy = args.work / "package", args.work / "copy"
    jobs = {"export": (run_export, package), "cp": (run_cp, copy), "cat": (run_cat, None)}
    run_cat(source, None)  # warms the page cache
    times, peak = {name: [] for name in jobs}, 0
    for round_number in range(args.rounds):
        for name in (list(jobs) if round_number % 2 == 0 else list(reversed(jobs))):
            job, out = jobs[name]
            seconds, memory = job(source, out)
            times[name].append(seconds)
            peak = max(peak, memory if name == "export" else 0)
        print(f"round {round_number + 1}:", ", ".join(f"{n} {t[-1]:.2f} s" for n, t in times.items()), flush=True)
    shutil.rmtree(copy)
    medians = {name: statistics.median(t) for name, t in times.items()}
    size = sum(p.stat().st_size for p in source.glob("*.safetensors"))
    print("median: " + ", ".join(f"{n} {t:.2f} s" for n, t in medians.items()) + f"; checkpoint {size / 1e9:.2f} GB")
    print(f"export / cp: {medians['export'] / medians['cp']:.2f} of the medians, "
          f"{min(times['export']) / min(times['cp']):.2f} of the best times")
    print(f"export / cat: {medians['export'] / medians['cat']:.2f}; peak memory of the export {peak / 1e6:.1f} MB")
    check_output(source, package)
    if not args.skip_double:
        double = make_checkpoint(args.work, "double")
        seconds, memory = run_export(double, package)
        print(f"twice the size: {seconds:.2f} s, peak memory {memory / 1e6:.1f} MB, {memory / peak:.2f} times the first")
        check_output(double, package)


if __name__ == "__main__":
    main()
