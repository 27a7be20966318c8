"""Ways to spoil the weights of a checkpoint."""
import json
import struct

import numpy as np

from sandbox import SandboxCase

MODEL = "model.safetensors"
NORM = "model.layers.1.input_layernorm.weight"
MATRIX = "model.layers.2.mlp.down_proj.weight"
BIAS = "model.layers.0.self_attn.q_proj.bias"
EMBEDDING = "model.embed_tokens.weight"


def read_weights(path):
    """(header dict, data bytes) of a safetensors file."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def write_raw(path, header, data=b"", length=None):
    """Any bytes as header, any number as its length."""
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


class WeightsCase(SandboxCase):
    def edit(self, change, file=MODEL, fixture=None, form=None):
        """A checkpoint whose header went through `change(header)` (in place, or a new value, or bytes)."""
        ckpt = self.checkpoint(fixture, form)
        header, data = read_weights(ckpt / file)
        changed = change(header)
        header = header if changed is None else changed
        write_raw(ckpt / file, header if isinstance(header, bytes) else json.dumps(header).encode(), data)
        return ckpt

    def poison(self, name, value, row=-1, col=-1, fixture=None):
        """A checkpoint with `value` in one element of a tensor. @return (directory, row as a number)."""
        ckpt = self.checkpoint(fixture)
        header, data = read_weights(ckpt / MODEL)
        entry = header[name]
        at, end = entry["data_offsets"]
        shape = entry["shape"]
        index = np.ravel_multi_index([n % s for n, s in zip((row, col), shape)], shape)
        encoded = {"BF16": lambda: struct.pack("<f", value)[2:], "F16": lambda: np.float16(value).tobytes(),
                   "F32": lambda: struct.pack("<f", value)}[entry["dtype"]]()
        at += int(index) * len(encoded)
        write_raw(ckpt / MODEL, json.dumps(header).encode(), data[:at] + encoded + data[at + len(encoded):])
        return ckpt, row % shape[0]
