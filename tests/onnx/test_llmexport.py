#!/usr/bin/env python3
"""`convert` of files in the manner of MNN's own exporter: the package is that of the checkpoint, byte for byte, and the stock
runtime agrees with Hugging Face; what is no plain decoder is refused in one line that names node and operator."""
import json
import pathlib
import shutil
import sys
import unittest

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import llmexport_fixture  # noqa: E402
from parity import tolerances  # noqa: E402
from parity.compare import PREFILL, load_golden, relative_rms, width_arguments  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import export, make_fixture, run  # noqa: E402

# q and k norms; biases on q, k, v; neither; biases everywhere and three layers; another activation; sizes that no pack divides.
MODELS = ("qwen3_tied", "qwen2_window_off_tied", "llama_gqa", "llama_biases", "llama_gelu_erf", "llama_odd_sizes_sharded")
LIMITS = {16: tolerances.LOGITS_16_BIT, 8: tolerances.LOGITS_8_BIT}
UNSUPPORTED, FORMAT, IO = 4, 3, 5


class LlmexportCase(RuntimeCase):
    def written(self, name, **changes):
        """The directory of a file that llmexport might have written."""
        out = self.tmp / "-".join(["llmexport", name, *map(str, changes.values())])
        if not out.exists():
            llmexport_fixture.write(name, self.checkpoint(name), out, **changes)
        return out


class Convert(LlmexportCase):
    def check(self, name, bits):
        fixture = make_fixture.Fixture(name)
        widths = width_arguments(fixture, bits, "default")
        package, direct = self.tmp / f"package-{name}-{bits}", self.tmp / f"direct-{name}-{bits}"
        done = run("convert", "--model", self.written(name), "--dst_path", package, *widths)
        self.assertEqual(done.returncode, 0, done.stderr)
        export(self.checkpoint(name), direct, "--seperate_embed", *widths)
        for file in ("llm.mnn", "llm.mnn.weight", "embeddings_bf16.bin", "tokenizer.mtok"):
            self.assertEqual((package / file).read_bytes(), (direct / file).read_bytes(), file)
        self.assertFalse((package / "tokenizer.txt").exists())
        golden = load_golden(fixture, fixture.golden)
        got, want = self.runtime.logits(package, golden["ids"], PREFILL), golden[f"logits_{bits}"]
        self.assertLess(relative_rms(got[:PREFILL], want[:PREFILL]), LIMITS[bits], "prefill")
        self.assertLess(relative_rms(got[PREFILL:], want[PREFILL:]), LIMITS[bits], "decode")

    def test_the_manifest_says_where_the_tokenizer_comes_from(self):
        out = self.tmp / "manifest"
        done = run("convert", "--model", self.written("llama_gqa") / "onnx" / "llm.onnx", "--dst_path", out, "--quant_bit", 16)
        self.assertEqual(done.returncode, 0, done.stderr)
        manifest = json.loads((out / "llm2mnn.json").read_text())
        self.assertIn("ONNX file's tokenizer.mtok", manifest["tokenizer"]["kind"])
        self.assertEqual(manifest["model"]["num_hidden_layers"], make_fixture.Fixture("llama_gqa").config["num_hidden_layers"])

    def test_the_source_digest_is_that_of_the_files(self):
        digests = set()
        for change in (None, "llm.onnx", "llm.onnx.data", "embeddings_bf16.bin"):
            place = self.tmp / f"digest-{change}"
            shutil.copytree(self.written("llama_gqa"), place)
            if change == "llm.onnx":
                model = onnx.load(place / "onnx" / change, load_external_data=False)
                model.producer_name = "somebody"
                (place / "onnx" / change).write_bytes(model.SerializeToString())
            elif change:
                file = next(place.rglob(change))
                data = bytearray(file.read_bytes())
                data[1] ^= 1
                file.write_bytes(data)
            out = self.tmp / f"digest-package-{change}"
            self.assertEqual(run("convert", "--model", place, "--dst_path", out, "--quant_bit", 16).returncode, 0)
            digests.add(json.loads((out / "llm2mnn.json").read_text())["source"]["xxh128"])
        self.assertEqual(len(digests), 4)

    def test_a_factor_of_the_rotary_tables_counts(self):
        plain, scaled = self.tmp / "factor-1", self.tmp / "factor-1.25"
        for out, factor in ((plain, 1), (scaled, 1.25)):
            done = run("convert", "--model", self.written("llama_gqa", rope_factor=factor), "--dst_path", out, "--quant_bit", 16)
            self.assertEqual(done.returncode, 0, done.stderr)
        one = np.frombuffer((plain / "llm.mnn.weight").read_bytes(), np.uint8)
        other = np.frombuffer((scaled / "llm.mnn.weight").read_bytes(), np.uint8)
        self.assertEqual(one.size, other.size)
        self.assertTrue((one != other).any())

    def test_scales_of_embedding_and_logits(self):
        place, out = self.tmp / "scales", self.tmp / "scales-package"
        shutil.copytree(self.written("llama_gqa"), place)
        model = onnx.load(place / "onnx" / "llm.onnx", load_external_data=False)
        model.graph.initializer.extend(numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("half", 0.5), ("four", 4)))
        for node in model.graph.node:
            node.input[:] = ["scaled" if name == "input_ids" else name for name in node.input]
        node_of(model, "MatMul", -1).output[0] = "unscaled"
        nodes = [helper.make_node("Mul", ["input_ids", "half"], ["scaled"]), *model.graph.node, helper.make_node("Mul", ["four", "unscaled"], ["logits"])]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        (place / "onnx" / "llm.onnx").write_bytes(model.SerializeToString())
        table = make_fixture.from_bf16(np.fromfile(place / "embeddings_bf16.bin", np.uint16))
        (place / "embeddings_bf16.bin").write_bytes(make_fixture.to_bf16(2 * table).tobytes())
        done = run("convert", "--model", place, "--dst_path", out, "--quant_bit", 16)
        self.assertEqual(done.returncode, 0, done.stderr)
        fixture = make_fixture.Fixture("llama_gqa")
        golden = load_golden(fixture, fixture.golden)
        got = self.runtime.logits(out, golden["ids"], PREFILL)
        self.assertLess(relative_rms(got, 4 * golden["logits_16"]), LIMITS[16])


def node_of(model, op, number=0):
    return [n for n in model.graph.node if n.op_type == op][number]


def attribute(node, name):
    return next(a for a in node.attribute if a.name == name)


def swap(node, a=0, b=1):
    node.input[a], node.input[b] = node.input[b], node.input[a]


def replaced(node, op, domain="LlmExporter", **attributes):
    del node.attribute[:]
    node.op_type, node.domain = op, domain
    node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())


class Refusals(LlmexportCase):
    """Each takes a good file, changes one thing, and wants one line with all of `words`."""

    def refused(self, change, *words, code=UNSUPPORTED, arguments=()):
        number = sum(1 for p in self.tmp.iterdir() if p.name.startswith("bad-"))
        place = self.tmp / f"bad-{number}"
        shutil.copytree(self.written("llama_gqa"), place)
        model = onnx.load(place / "onnx" / "llm.onnx", load_external_data=False)
        change(model, place)
        (place / "onnx" / "llm.onnx").write_bytes(model.SerializeToString())
        out = self.tmp / "refused"
        done = run("convert", "--model", place, "--dst_path", out, *arguments)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0].replace("'", ""))
        self.assertFalse(out.exists())

    def test_operators_that_are_not_known(self):
        def change(model, _):
            node_of(model, "Sigmoid").op_type = "HardSwish"
        self.refused(change, "/blocks.0/mlp/act_fn/Sigmoid", "HardSwish", "not known")

    def test_a_known_operator_of_another_domain(self):
        def change(model, _):
            node_of(model, "Sigmoid", 1).domain = "LlmExporter"
        self.refused(change, "/blocks.1/mlp/act_fn/Sigmoid", "LlmExporter::Sigmoid")

    def test_fake_linear(self):
        def change(model, _):
            node = node_of(model, "MatMul", 3)
            matrix = node.input.pop()
            kept = [t for t in model.graph.initializer if t.name != matrix]
            del model.graph.initializer[:]
            model.graph.initializer.extend(kept)
            replaced(node, "FakeLinear", in_features=64, out_features=64, has_bias=0, name="x")
        self.refused(change, "LlmExporter::FakeLinear", "o_proj", "weights are not in the file", "--export onnx")

    def test_experts_and_linear_attention(self):
        for op in ("MoE", "FusedLinearAttention"):
            def change(model, _, op=op):
                replaced(node_of(model, "FusedAttention"), op, num_experts=4)
            with self.subTest(op=op):
                self.refused(change, f"LlmExporter::{op}", "/blocks.0/self_attn/fused_attn")

    def test_swapped_inputs(self):
        cases = {"MatMul": (0, "/blocks.0/self_attn/q_proj/MatMul"), "FusedAttention": (0, "FusedAttention"), "FusedRoPE": (0, "FusedRoPE"),
                 "Slice": (0, "Slice"), "Sub": (0, "/rotary/Sub")}
        for op, (number, where) in cases.items():
            def change(model, _, op=op, number=number):
                swap(node_of(model, op, number))
            with self.subTest(op=op):
                self.refused(change, where, f"({'LlmExporter::' * op.startswith('Fused')}{op})")

    def test_a_swapped_division(self):
        def change(model, _):
            swap(node_of(model, "Div", 1))
        self.refused(change, "/blocks.0/input_layernorm", "(Mul)", "no norm")

    def test_swapped_cosines_and_sines(self):
        def at_the_end(model, _):
            swap(node_of(model, "FusedRoPE"), 2, 3)

        def at_the_tables(model, _):
            cos, sin = (attribute(n, "value").t for n in model.graph.node if n.name.startswith("/rotary/high"))
            cos.raw_data, sin.raw_data = sin.raw_data, cos.raw_data
        self.refused(at_the_end, "FusedRoPE", "cosines")
        self.refused(at_the_tables, "FusedRoPE", "rotary tables")

    def test_one_wrong_value_of_a_rotary_table(self):
        def change(model, _):
            tensor = attribute(node_of(model, "Constant", [n.name for n in model.graph.node if n.op_type == "Constant"].index("/rotary/low/Constant_1")), "value").t
            values = numpy_helper.to_array(tensor).copy()
            values[1999, 3] += 1e-4
            tensor.CopyFrom(numpy_helper.from_array(values))
        self.refused(change, "FusedRoPE", "rotary tables", "column 3")

    def test_what_nobody_uses(self):
        def tensor(model, _):
            model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "left.over"))

        def node(model, _):
            model.graph.node.append(helper.make_node("Sigmoid", ["hidden_states"], ["dead"], "/dead/Sigmoid"))

        def graph_input(model, _):
            model.graph.input.append(helper.make_tensor_value_info("deepstack_embeds", llmexport_fixture.FLOAT, [1, 4]))

        def attributes(model, _):
            node_of(model, "FusedAttention").attribute.append(helper.make_attribute("window", 4))
        self.refused(tensor, "tensor left.over", "no node uses it")
        self.refused(node, "node /dead/Sigmoid (Sigmoid)", "no output depends on it")
        self.refused(graph_input, "input deepstack_embeds")
        self.refused(attributes, "LlmExporter::FusedAttention", "window")

    def test_cycles_and_order(self):
        def cycle(model, _):
            node = node_of(model, "Add", 3)
            node.input[0] = "/blocks.1/Add_output_0"

        def order(model, _):
            nodes = list(model.graph.node)
            del model.graph.node[:]
            model.graph.node.extend([nodes[-1], *nodes[:-1]])

        def nobody(model, _):
            node_of(model, "Sigmoid").input[0] = "nowhere"

        def twice(model, _):
            model.graph.node.append(helper.make_node("Sigmoid", ["hidden_states"], ["logits"], "/again"))
        self.refused(cycle, "made later", "cycle")
        self.refused(order, "node /lm/lm_head/MatMul (MatMul)", "out of order")
        self.refused(nobody, "(Sigmoid)", "nobody makes its input nowhere")
        self.refused(twice, "node /again (Sigmoid)", "logits is made twice")

    def test_values_that_are_not_a_decoder(self):
        def kv_cache(model, _):
            attribute(node_of(model, "FusedAttention"), "kv_cache").i = 0

        def layer_index(model, _):
            attribute(node_of(model, "FusedAttention", 1), "layer_index").i = 0

        def shared(model, _):
            attribute(node_of(model, "FusedAttention", 1), "kv_shared_layer_index").i = 0

        def cast(model, _):
            attribute(node_of(model, "Cast", 3), "to").i = onnx.TensorProto.FLOAT16

        def residual(model, _):
            node = next(n for n in model.graph.node if n.name == "/blocks.0/Add")
            node.input[0] = node.input[1]

        def power(model, _):
            constant = next(n for n in model.graph.node if n.output[0] == node_of(model, "Pow").input[1])
            attribute(constant, "value").t.CopyFrom(numpy_helper.from_array(np.array(2.5, np.float32)))
        self.refused(kv_cache, "FusedAttention", "kv_cache is off")
        self.refused(layer_index, "FusedAttention", "layer_index 0, expected 1")
        self.refused(shared, "FusedAttention", "keys of another layer")
        self.refused(cast, "(Cast)", "FLOAT16")
        self.refused(residual, "node ")
        self.refused(power, "(Pow)")

    def test_a_weight_in_the_wrong_place(self):
        def change(model, _):
            o_proj = next(n for n in model.graph.node if n.name == "/blocks.0/self_attn/o_proj/MatMul")
            down = next(n for n in model.graph.node if n.name == "/blocks.0/mlp/down_proj/MatMul")
            o_proj.input[1], down.input[1] = down.input[1], o_proj.input[1]
        self.refused(change, "(MatMul)", "a matrix")

    def test_files_beside_it(self):
        def missing(name):
            return lambda _, place: (place / name).unlink()

        def short(_, place):
            data = (place / "embeddings_bf16.bin").read_bytes()
            (place / "embeddings_bf16.bin").write_bytes(data[:-2])

        def config(**values):
            def change(_, place):
                file = place / "llm_config.json"
                file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
            return change
        for name in ("embeddings_bf16.bin", "tokenizer.mtok", "llm_config.json"):
            self.refused(missing(name), name, "neither beside llm.onnx nor in the directory above", code=IO)
        self.refused(short, "embeddings_bf16.bin", "BF16 [104, 64]", code=FORMAT)
        self.refused(config(attention_type="mix"), "llm_config.json", "attention_type")
        self.refused(config(attn_scale=0.5), "llm_config.json", "attn_scale")
        self.refused(config(is_mrope=True), "llm_config.json", "is_mrope")
        self.refused(lambda *_: None, "--compat", "tokenizer.txt", arguments=("--compat", "3.1"))


def add_tests():
    for name in MODELS:
        for bits in LIMITS:
            def test(self, name=name, bits=bits):
                self.check(name, bits)
            setattr(Convert, f"test_{name}_{bits}_bit", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
