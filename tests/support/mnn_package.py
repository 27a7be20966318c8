"""An independent reader of an MNN LLM package: shares nothing with the writer. Written from the facts of MNN's schema
(field ids below) and of its weight file."""
import dataclasses
import json
import pathlib
import re

import numpy as np

from support.flatbuffer import Table

# Net, SubGraphProto, Op, Convolution2D, Convolution2DCommon, IDSTQuan, LayerNorm, RoPEParam, Blob: field ids.
NET_OPLISTS, NET_TENSOR_NAME, NET_SUBGRAPHS = 3, 7, 10
SUBGRAPH_NAME, SUBGRAPH_NODES = 0, 4
OP_MAIN_TYPE, OP_MAIN, OP_NAME, OP_TYPE = 1, 2, 3, 5
CONV_COMMON, CONV_QUANT, CONV_EXTERNAL = 0, 3, 6
COMMON_OUTPUT_COUNT, COMMON_INPUT_COUNT = 10, 11
QUANT_TYPE, QUANT_QUANT_SCALE, QUANT_BITS, QUANT_A_MIN, QUANT_READ_TYPE = 2, 4, 7, 8, 9
QUANT_SHAPE_INT32, QUANT_SCALE_STORAGE = 11, 15
NORM_EPSILON, NORM_GAMMA, NORM_EXTERNAL = 1, 2, 5
ROPE_Q_NORM, ROPE_K_NORM = 4, 5
BLOB_EXTERNAL = 9
OP_CONST, OP_CONVOLUTION, OP_ROPE, OP_LAYER_NORM = 11, 12, 306, 603
QUANT_TYPE_CODES, QUANT_TYPE_FP16 = 1, 3

ROLES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "router", "shared_expert_gate")


@dataclasses.dataclass
class Span:
    """Bytes [begin, end) of llm.mnn.weight."""
    begin: int
    end: int
    what: str


@dataclasses.dataclass
class Linear:
    """A matrix as it is stored. `codes` are signed; all three arrays are None at 16 and 32 bits."""
    name: str
    weight: np.ndarray  # float64 [O, I], decoded
    bias: np.ndarray  # float32 [O]
    bits: int
    block: int  # weights per scale; 0 at 16 and 32 bits
    symmetric: bool
    scale_bits: int
    codes: np.ndarray | None  # int [O, I]
    scale: np.ndarray | None  # float64 [O, G]
    offset: np.ndarray | None  # float64 [O, G], zeros when symmetric
    header_bytes: int
    external: list


def unpack_codes(data, bits, count):
    """`count` unsigned codes of one MSB-first bit stream."""
    stream = np.unpackbits(np.frombuffer(data, np.uint8))[:bits * count].reshape(count, bits)
    return stream @ (1 << np.arange(bits - 1, -1, -1))


class Package:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.config = json.loads((self.directory / "config.json").read_text())
        self.llm_config = json.loads((self.directory / "llm_config.json").read_text())
        self.weight_path = self.directory / self.config.get("llm_weight", "llm.mnn.weight")
        self.weight_bytes = self.weight_path.stat().st_size
        data = (self.directory / self.config.get("llm_model", "llm.mnn")).read_bytes()
        self.net = Table.root(data)
        self.subgraphs = {g.string(SUBGRAPH_NAME): g.tables(SUBGRAPH_NODES) for g in self.net.tables(NET_SUBGRAPHS)}
        self.ops = self.net.tables(NET_OPLISTS) + [op for ops in self.subgraphs.values() for op in ops]
        self.file = np.memmap(self.weight_path, np.uint8, "r")

    def ops_of_type(self, kind):
        return [op for op in self.ops if op.scalar(OP_TYPE, "i") == kind]

    def convolutions(self):
        """{address: Convolution op}; addresses are those of address_of."""
        out = {}
        for op in self.ops_of_type(OP_CONVOLUTION):
            address = address_of(op.string(OP_NAME))
            if address in out:
                raise ValueError(f"two convolutions of {address}")
            out[address] = op
        return out

    def linears(self):
        """Every Convolution, decoded, by its address."""
        return {address: self.linear(op) for address, op in self.convolutions().items()}

    def linear(self, op, first=0, count=None):
        """A Convolution, decoded; of a quantised one only the rows [first, first + count)."""
        conv = op.table(OP_MAIN)
        common = conv.table(CONV_COMMON)
        rows, cols = common.scalar(COMMON_OUTPUT_COUNT, "i"), common.scalar(COMMON_INPUT_COUNT, "i")
        quant = conv.table(CONV_QUANT)
        external = conv.vector(CONV_EXTERNAL, "<i8").tolist()
        name = op.string(OP_NAME)
        kind = quant.scalar(QUANT_TYPE, "i") if quant else None
        if kind is None:
            offset, weight_bytes, bias_bytes = external
            weight = self._array(offset, weight_bytes, "<f4").reshape(rows, cols)
            return Linear(name, weight.astype(np.float64), self._bias(offset + weight_bytes, bias_bytes, rows), 32, 0, False,
                          0, None, None, None, 0, external)
        offset, weight_bytes, alpha_bytes, bias_bytes, index_bytes = external
        if index_bytes:
            raise ValueError(f"{name}: a sparse index of {index_bytes} bytes")
        bias = self._bias(offset + weight_bytes + alpha_bytes, bias_bytes, rows)
        if kind == QUANT_TYPE_FP16:
            weight = self._array(offset, weight_bytes, "<f2").reshape(rows, cols)
            if alpha_bytes:
                raise ValueError(f"{name}: FP16 weights with scales")
            return Linear(name, weight.astype(np.float64), bias, 16, 0, False, 0, None, None, None, 0, external)
        if kind != QUANT_TYPE_CODES:
            raise ValueError(f"{name}: quantisation type {kind}")
        return self._decode(name, quant, external, rows, cols, bias, first, rows - first if count is None else count)

    def _decode(self, name, quant, external, rows, cols, bias, first, count):
        offset, weight_bytes, alpha_bytes = external[:3]
        blob = bytes(self.file[offset:offset + 512])  # the longest header has 266 bytes
        wide = bool(quant.scalar(QUANT_SHAPE_INT32, "B"))
        if blob[0] != 2:
            raise ValueError(f"{name}: {blob[0]} dimensions")
        dims = np.frombuffer(blob, "<u4" if wide else "<u2", 2, 1).tolist()
        if dims[0] * dims[1] != rows * cols:
            raise ValueError(f"{name}: header says {dims}, the op {[rows, cols]}")
        at = 1 + (8 if wide else 4)
        samples = blob[at] or 256
        bits = samples.bit_length() - 1
        half = 1 << (bits - 1)
        table = np.frombuffer(blob, np.int8, samples, at + 1).tolist()
        if table != list(range(-half, half)):
            raise ValueError(f"{name}: sample table {table}")
        header = at + 1 + samples
        if weight_bytes != header + (bits * rows * cols + 7) // 8:
            raise ValueError(f"{name}: {weight_bytes} bytes of header and codes")
        if quant.scalar(QUANT_BITS, "i") != bits:
            raise ValueError(f"{name}: aMaxOrBits {quant.scalar(QUANT_BITS, 'i')}, the table has {bits} bits")
        if quant.scalar(QUANT_QUANT_SCALE, "f") != 1.0:
            raise ValueError(f"{name}: quantScale is not 1, which scales all weights")
        skip = bits * first * cols
        stream = bytes(self.file[offset + header + skip // 8:offset + header + (skip + bits * count * cols + 7) // 8])
        if skip % 8:
            raise ValueError(f"{name}: row {first} does not begin at a byte")
        codes = unpack_codes(stream, bits, count * cols).reshape(count, cols) - half
        scale_bits = 16 if quant.scalar(QUANT_SCALE_STORAGE, "b") == 1 else 32
        alpha = self._array(offset + weight_bytes, alpha_bytes, "<f2" if scale_bits == 16 else "<f4").astype(np.float64)
        alpha = alpha.reshape(rows, -1)[first:first + count]
        symmetric = quant.scalar(QUANT_READ_TYPE, "i") == 0
        a_min = quant.scalar(QUANT_A_MIN, "i")
        if symmetric:
            scale = alpha
            z = np.zeros_like(scale)
        else:
            pairs = alpha.reshape(count, -1, 2)
            scale = pairs[:, :, 1]
            if a_min == 0:
                raise ValueError(f"{name}: aMin 0 with offsets is read as -128")
            z = pairs[:, :, 0] - (a_min * scale if a_min < 0 else 0)
        if not (np.isfinite(scale).all() and np.isfinite(z).all()):
            raise ValueError(f"{name}: a scale or offset is not finite")
        groups = scale.shape[1]
        if cols % groups:
            raise ValueError(f"{name}: {groups} blocks in a row of {cols}")
        block = cols // groups
        weight = codes * np.repeat(scale, block, axis=1) + np.repeat(z, block, axis=1)
        return Linear(name, weight, bias[first:first + count], bits, block, symmetric, scale_bits, codes, scale, z, header, external)

    def _array(self, offset, size, dtype):
        if offset < 0 or offset + size > self.weight_bytes:
            raise ValueError(f"bytes {offset}..{offset + size} of a file of {self.weight_bytes}")
        return np.frombuffer(bytes(self.file[offset:offset + size]), dtype)

    def _bias(self, offset, size, rows):
        bias = self._array(offset, size, "<f4")
        if size not in (0, 4 * rows):
            raise ValueError(f"a bias of {size} bytes for {rows} rows")
        return bias if size else np.zeros(rows, np.float32)

    def norms(self):
        """{op name: (gamma, epsilon)} of the LayerNorm ops and of the q and k norms inside RoPE ops."""
        out = {}
        for op in self.ops_of_type(OP_LAYER_NORM):
            out[op.string(OP_NAME)] = self._norm(op.table(OP_MAIN))
        for op in self.ops_of_type(OP_ROPE):
            for field, what in ((ROPE_Q_NORM, "q_norm"), (ROPE_K_NORM, "k_norm")):
                table = op.table(OP_MAIN).table(field)
                if table:
                    out[f"{op.string(OP_NAME)}/{what}"] = self._norm(table)
        return out

    def _norm(self, table):
        external = table.vector(NORM_EXTERNAL, "<i8")
        epsilon = table.scalar(NORM_EPSILON, "f", 0.0)
        if external is None:
            return table.vector(NORM_GAMMA, "<f4"), epsilon
        offset, gamma_bytes, _ = external.tolist()
        return self._array(offset, gamma_bytes, "<f4"), epsilon

    def spans(self):
        """Every span of the weight file that an op names, sorted."""
        out = []
        for op in self.ops:
            kind = op.scalar(OP_TYPE, "i")
            field = {OP_CONVOLUTION: CONV_EXTERNAL, OP_LAYER_NORM: NORM_EXTERNAL, OP_CONST: BLOB_EXTERNAL}.get(kind)
            external = op.table(OP_MAIN).vector(field, "<i8") if field is not None else None
            if external is not None and len(external) > 1:
                begin, *sizes = external.tolist()
                out.append(Span(begin, begin + sum(sizes), op.string(OP_NAME)))
        return sorted(out, key=lambda s: (s.begin, s.end))

    def check_coverage(self):
        """@raises ValueError unless the spans cover the weight file exactly: no gap, no overlap, nothing outside."""
        at = 0
        for span in self.spans():
            if span.begin != at:
                raise ValueError(f"{span.what} begins at {span.begin}, the blob before it ends at {at}")
            at = span.end
        if at != self.weight_bytes:
            raise ValueError(f"the blobs end at {at}, the file at {self.weight_bytes}")

    def embedding(self, vocab):
        """float64 [V, H] as the runtime decodes it."""
        hidden = self.llm_config["hidden_size"]
        tie = self.llm_config.get("tie_embeddings")
        if tie is None:
            raw = np.fromfile(self.directory / self.config.get("embedding_file", "embeddings_bf16.bin"), "<u2")
            return (raw.astype(np.uint32) << 16).view(np.float32).astype(np.float64).reshape(vocab, hidden)
        if isinstance(tie, list):
            keys = ("weight_offset", "alpha_offset", "alpha_size", "quant_bit", "quant_block")
            tie = dict(zip(keys, tie), alpha_dtype="fp16" if tie[5:] and tie[5] else "fp32")
        bits, block = tie["quant_bit"], tie["quant_block"] or hidden
        path = self.weight_path if tie["weight_offset"] else self.directory / self.config["embedding_file"]
        data = np.memmap(path, np.uint8, "r")
        weight_bytes = vocab * hidden * bits // 8
        stream = bytes(data[tie["weight_offset"]:tie["weight_offset"] + weight_bytes])
        if bits == 16:
            return np.frombuffer(stream, "<f2").astype(np.float64).reshape(vocab, hidden)
        if tie["alpha_offset"] != tie["weight_offset"] + weight_bytes:
            raise ValueError("the embedding's scales do not follow its codes")
        codes = unpack_codes(stream, bits, vocab * hidden).reshape(vocab, hidden) - (1 << (bits - 1))
        dtype = "<f2" if tie.get("alpha_dtype", "fp32") == "fp16" else "<f4"
        alpha = np.frombuffer(bytes(data[tie["alpha_offset"]:tie["alpha_offset"] + tie["alpha_size"]]), dtype).astype(np.float64)
        groups = hidden // block
        if alpha.size == vocab * groups:
            scale, z = alpha.reshape(vocab, groups), np.zeros((vocab, groups))
        elif alpha.size == 2 * vocab * groups:
            z, scale = alpha.reshape(vocab, groups, 2).transpose(2, 0, 1)
        else:
            raise ValueError(f"{alpha.size} scales for {vocab} rows of {groups} blocks")
        return codes * np.repeat(scale, block, axis=1) + np.repeat(z, block, axis=1)


def address_of(name):
    """"layers.3.down_proj", "layers.3.experts.7.down_proj", "layers.3.shared_down_proj" or "lm_head" from the name of an op."""
    if "lm_head" in name:
        return "lm_head"
    layer = re.search(r"layers[./](\d+)", name)
    roles = [r for r in ROLES if r in name]
    if not layer or len(roles) != 1:
        raise ValueError(f"convolution {name!r}: which layer and role?")
    expert = re.search(r"experts[./](\d+)", name)
    kind = f"experts.{expert.group(1)}." if expert else "shared_" if "shared_expert/" in name else ""
    return f"layers.{layer.group(1)}.{kind}{roles[0]}"


def address_of_tensor(name, role):
    """The same from a tensor of a checkpoint and its role in fixture.json."""
    numbers = [p for p in name.split(".") if p.isdigit()]
    if not numbers:
        return role
    return f"layers.{numbers[0]}." + (f"experts.{numbers[1]}.{role[7:]}" if role.startswith("expert_") else role)
