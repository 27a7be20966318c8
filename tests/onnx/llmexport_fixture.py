"""Writes fixtures as ONNX files in the manner of MNN's own exporter (llmexport.py --export onnx): no embedding, no past;
Constant nodes everywhere; the private operators FusedRoPE and FusedAttention; matrices as [in, out] in llm.onnx.data.
DIR/onnx/llm.onnx, and one folder above it the files that come with it."""
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import export, make_fixture  # noqa: E402

SPLIT = 2048  # positions of a low rotary table
FLOAT, INT32, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64


def inv_freq(config):
    """[D/2] float32, without any scaling."""
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    exponent = (np.arange(0, dim, 2) / dim).astype(np.float32).astype(np.float64)
    return (np.float32(1) / np.power(float(config["rope_theta"]), exponent).astype(np.float32)).astype(np.float32)


class Writer:
    """Nodes of one file; methods return the name of the value they make."""

    def __init__(self, fixture, tensors, rope_factor):
        self.fixture = fixture
        self.config = fixture.config
        self.tensors = tensors  # by role and layer
        self.rope_factor = rope_factor
        self.nodes, self.initializers, self.data = [], [], bytearray()
        self.counts = {}
        self.heads = self.config["num_attention_heads"]
        self.kv_heads = self.config.get("num_key_value_heads") or self.heads
        self.hidden = self.config["hidden_size"]
        self.head_dim = self.config.get("head_dim") or self.hidden // self.heads

    def node(self, op, inputs, place, domain="", outputs=1, result=None, **attributes):
        number = self.counts.get((place, op), 0)
        self.counts[place, op] = number + 1
        stem = f"{place}/{op}" + (f"_{number}" if number else "")
        names = [result] if result else [f"{stem}_output_{i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, stem, domain=domain)
        # Not as arguments: the private operators have an attribute called name.
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def constant(self, value, place, dtype=None):
        return self.node("Constant", [], place, value=numpy_helper.from_array(np.array(value, dtype=dtype)))

    def ints(self, value, place):
        return self.constant(value, place, np.int64)

    def floats(self, value, place):
        return self.constant(value, place, np.float32)

    def inline(self, name, values):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def external(self, name, values):
        """Behind what is there already, without alignment."""
        data = np.ascontiguousarray(values, "<f4").tobytes()
        tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=values.shape, data_location=onnx.TensorProto.EXTERNAL)
        for key, value in (("location", "llm.onnx.data"), ("offset", len(self.data)), ("length", len(data))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
        self.data += data
        self.initializers.append(tensor)
        return name

    def linear(self, x, name, role, layer, place, result=None):
        matrix = self.external(f"{name}_weight", self.tensors[role, layer].T)
        bias = self.tensors.get((role + ".bias", layer))
        if bias is None:
            return self.node("MatMul", [x, matrix], place, result=result)
        product = self.node("MatMul", [x, matrix], place, result=f"{name}_matmul")
        return self.node("Add", [product, self.external(f"{name}_bias", bias)], place, result=result)

    def rms_norm(self, x, name, role, layer, place, result=None):
        """The norm, and x as it came out of the norm's Cast, which is where residuals start."""
        x = self.node("Cast", [x], place, to=FLOAT)
        square = self.node("Pow", [x, self.floats(2, place)], place)
        mean = self.node("ReduceMean", [square], place, axes=[-1], keepdims=1)
        eps = self.floats(self.config["rms_norm_eps"], place)
        root = self.node("Sqrt", [self.node("Add", [mean, eps], place)], place)
        inverse = self.node("Div", [self.floats(1, place), root], place)
        y = self.node("Cast", [self.node("Mul", [x, inverse], place)], place, to=FLOAT)
        gamma = self.inline(name, self.tensors[role, layer])
        return self.node("Mul", [gamma, y], place, result=result), x

    def split_positions(self):
        """position / split, position % split, and T."""
        place = "/rotary"
        flat = self.node("Reshape", ["position_ids", self.ints([-1], place)], place, allowzero=0)
        count = self.node("Gather", [self.node("Shape", [flat], place), self.ints(0, place)], place, axis=0)
        position = self.node("Cast", [self.node("Reshape", [flat, self.ints([-1], place)], place, allowzero=0)], place, to=INT64)
        last = self.table_rows() * SPLIT - 1
        position = self.node("Clip", [position, self.ints(0, place), self.ints(last, place)], place)
        high = self.node("Cast", [self.node("Div", [position, self.ints(SPLIT, place)], place)], place, to=INT64)
        whole = self.node("Mul", [high, self.ints(SPLIT, place)], place)
        return high, self.node("Sub", [position, whole], place), count

    def table_rows(self):
        return 4 * self.config["max_position_embeddings"] // SPLIT + 2

    def rotary(self):
        """cos and sin [2, 1, T, 1, D]."""
        place = "/rotary"
        high, low, count = self.split_positions()
        frequencies = inv_freq(self.config).astype(np.float64)
        angles = {"high": np.arange(self.table_rows())[:, None] * SPLIT * frequencies, "low": np.arange(SPLIT)[:, None] * frequencies}
        rows = {}
        for which, index in (("high", high), ("low", low)):
            for function in (np.cos, np.sin):
                table = self.floats(function(angles[which]), f"{place}/{which}")
                rows[function, which] = self.node("Gather", [table, index], place)
        cos = self.node("Sub", [self.node("Mul", [rows[np.cos, "high"], rows[np.cos, "low"]], place),
                                self.node("Mul", [rows[np.sin, "high"], rows[np.sin, "low"]], place)], place)
        sin = self.node("Add", [self.node("Mul", [rows[np.sin, "high"], rows[np.cos, "low"]], place),
                                self.node("Mul", [rows[np.cos, "high"], rows[np.sin, "low"]], place)], place)
        parts = []
        for part in (cos, sin):
            shape = self.node("Concat", [self.node("Unsqueeze", [count, self.ints([0], place)], place), self.ints([-1], place)], place, axis=0)
            part = self.node("Reshape", [part, shape], place, allowzero=0)
            parts.append(self.node("Unsqueeze", [part, self.ints([0], place)], place))
        both = self.node("Concat", parts, place, axis=0)
        both = self.node("Concat", [both, both], place, axis=-1)
        for axis in (2, 1):
            both = self.node("Unsqueeze", [both, self.ints([axis], place)], place)
        if self.rope_factor != 1:
            both = self.node("Mul", [both, self.floats(self.rope_factor, place)], place)
        return both

    def split_heads(self, x, like, count, place):
        """[1, T, count, D], its first two sizes those of `like`."""
        sizes = []
        for axis in (0, 1):
            size = self.node("Gather", [self.node("Shape", [like], place), self.ints(axis, place)], place, axis=0)
            sizes.append(self.node("Unsqueeze", [size, self.ints([0], place)], place))
        shape = self.node("Concat", [*sizes, self.ints([count], place), self.ints([self.head_dim], place)], place, axis=0)
        return self.node("Reshape", [x, shape], place, allowzero=0)

    def attention(self, x, layer, cos, sin):
        place, name = f"/blocks.{layer}/self_attn", f"/layers.{layer}/self_attn"
        heads = {}
        for role, count in (("q_proj", self.heads), ("k_proj", self.kv_heads), ("v_proj", self.kv_heads)):
            heads[role] = self.linear(x, f"{name}/{role}/Linear", role, layer, f"{place}/{role}")
        for role, count in (("q_proj", self.heads), ("k_proj", self.kv_heads), ("v_proj", self.kv_heads)):
            heads[role] = self.split_heads(heads[role], x, count, place)
        norms, attributes = [], {}
        for part, role in (("q", "q_norm"), ("k", "k_norm")):
            has = (role, layer) in self.tensors
            norms.append(self.inline(f"blocks.{layer}.self_attn.{role}.weight", self.tensors[role, layer]) if has
                         else self.floats(np.zeros(0), f"{place}/fused_rope"))
            attributes |= {role: int(has), f"{role}_eps": self.config["rms_norm_eps"] if has else 0.0}
        q, k = self.node("FusedRoPE", [heads["q_proj"], heads["k_proj"], cos, sin, *norms], f"{place}/fused_rope", "LlmExporter", 2,
                         head_dim=self.head_dim, num_head=self.heads, kv_num_head=self.kv_heads, rope_cut_head_dim=self.head_dim,
                         name=f"{name}/FusedRoPE", **attributes)
        y = self.node("FusedAttention", [q, k, heads["v_proj"], "attention_mask"], f"{place}/fused_attn", "LlmExporter",
                      head_dim=self.head_dim, kv_cache=1, kv_shared_layer_index=-1, layer_index=layer, name=f"{name}/FusedAttention",
                      output_dim=self.heads * self.head_dim)
        return self.linear(y, f"{name}/o_proj/Linear", "o_proj", layer, f"{place}/o_proj")

    def activation(self, x, place):
        if self.config["hidden_act"] == "silu":
            return self.node("Mul", [x, self.node("Sigmoid", [x], place)], place)
        assert self.config["hidden_act"] == "gelu"
        error = self.node("Erf", [self.node("Div", [x, self.floats(2**0.5, place)], place)], place)
        product = self.node("Mul", [x, self.node("Add", [error, self.floats(1, place)], place)], place)
        return self.node("Mul", [product, self.floats(0.5, place)], place)

    def mlp(self, x, layer):
        place, name = f"/blocks.{layer}/mlp", f"/layers.{layer}/mlp"
        gate = self.activation(self.linear(x, f"{name}/gate_proj/Linear", "gate_proj", layer, f"{place}/gate_proj"), f"{place}/act_fn")
        up = self.linear(x, f"{name}/up_proj/Linear", "up_proj", layer, f"{place}/up_proj")
        return self.linear(self.node("Mul", [gate, up], place), f"{name}/down_proj/Linear", "down_proj", layer, f"{place}/down_proj")

    def model(self):
        both = self.rotary()
        x, cos, sin = "input_ids", None, None
        for layer in range(self.config["num_hidden_layers"]):
            place = f"/blocks.{layer}"
            x = self.node("Reshape", [x, self.ints([1, -1, self.hidden], place)], place, allowzero=0)
            normed, x = self.rms_norm(x, f"blocks.{layer}.input_layernorm.weight", "input_layernorm", layer, f"{place}/input_layernorm")
            if cos is None:
                cos, sin = (self.node("Gather", [both, self.ints(i, place)], place, axis=0) for i in (0, 1))
            x = self.node("Add", [x, self.attention(normed, layer, cos, sin)], place)
            normed, x = self.rms_norm(x, f"blocks.{layer}.post_attention_layernorm.weight", "pre_mlp_norm", layer, f"{place}/post_attention_layernorm")
            x = self.node("Add", [x, self.mlp(normed, layer)], place)
        first = self.node("Cast", ["logits_index"], "", to=INT64)
        x = self.node("Slice", [x, first, self.ints([2**63 - 1], ""), self.ints([1], ""), self.ints([1], "")], "")
        self.rms_norm(x, "final_layernorm.weight", "norm", None, "/final_layernorm", result="hidden_states")
        self.linear("hidden_states", "/lm/lm_head/Linear", "lm_head", None, "/lm/lm_head", result="logits")
        return self.assemble()

    def assemble(self):
        def info(name, dtype, shape):
            return helper.make_tensor_value_info(name, dtype, shape)
        inputs = [info("input_ids", FLOAT, ["seq_len", 1, self.hidden]), info("attention_mask", FLOAT, [1, 1, "seq_len", "seq_len"]),
                  info("position_ids", INT32, [1, "seq_len"]), info("logits_index", INT32, [1])]
        outputs = [info("logits", FLOAT, [1, "rows", self.config["vocab_size"]]), info("hidden_states", FLOAT, [1, "rows", self.hidden])]
        graph = helper.make_graph(self.nodes, "main_graph", inputs, outputs, self.initializers)
        return helper.make_model(graph, ir_version=8, producer_name="pytorch",
                                 opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("LlmExporter", 1)])


def tensors_of(fixture):
    """{(role, layer or None): float32 array} of the fixture, a tied head apart."""
    out = {}
    for name, (role, values) in fixture.source().items():
        numbers = [int(part) for part in name.split(".") if part.isdigit()]
        out[role, numbers[0] if numbers else None] = values
    out.setdefault(("lm_head", None), out["embed_tokens", None])
    return out


def write(name, checkpoint, out, rope_factor=1):
    """Writes the fixture `name`, whose checkpoint is there, below `out`; returns the path of llm.onnx."""
    fixture = make_fixture.Fixture(name)
    tensors = tensors_of(fixture)
    writer = Writer(fixture, tensors, rope_factor)
    model = writer.model()
    out = pathlib.Path(out)
    (out / "onnx").mkdir(parents=True)
    path = out / "onnx" / "llm.onnx"
    path.write_bytes(model.SerializeToString())
    (out / "onnx" / "llm.onnx.data").write_bytes(writer.data)
    (out / "embeddings_bf16.bin").write_bytes(make_fixture.to_bf16(tensors["embed_tokens", None]).tobytes())
    package = out / "package"
    export(checkpoint, package, "--quant_bit", 16)
    shutil.copyfile(package / "tokenizer.mtok", out / "tokenizer.mtok")
    config = json.loads((package / "llm_config.json").read_text())
    config.pop("tie_embeddings", None)
    config["attn_scale"] = writer.head_dim**-0.5
    (out / "llm_config.json").write_text(json.dumps(config, indent=4))
    shutil.rmtree(package)
    return path
