#!/usr/bin/env python3
"""What an ONNX file holds, by an independent reader: floats are the checkpoint's, codes are the nearest on a grid as good as
that of rounding to nearest; and onnxruntime computes with what the reader reads."""
import itertools
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity.compare import PREFILL, relative_rms  # noqa: E402
from support import onnx_file  # noqa: E402
from support.onnx_case import OnnxCase, check_file  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.rounding import SLACK  # noqa: E402
from support.tool import make_fixture, run  # noqa: E402

FORMS = ("matmulnbits", "qdq")
# (fixture, changed config keys, blocks that divide its rows). Rows of 96 in blocks of 32, and of 80 and 112 in blocks of
# 16, have an odd number of zero points.
MODELS = (("llama_gqa", {}, (16, 32, 64)), ("qwen3_tied", {}, (16, 32, 64)), ("mistral_head_dim", {}, (16,)),
          ("llama_biases", {}, (32,)), ("qwen2_layer_types", {}, (32,)),
          ("llama_gqa", {"hidden_size": 128, "intermediate_size": 384}, (64, 128)))
# Same float32 weights on both sides, only the order of the sums differs: 7e-7 was seen.
LOGITS = 5e-6
# onnxruntime's int8 activations (accuracy level 4): a step of range / 255 in the input of every linear; 0.01 to 0.02 was seen.
LOGITS_INT8_ACTIVATIONS = 5e-2
# Mean and largest error of a matrix against rounding to nearest on the same kind of grid; that is what the tool does.
ERROR_RATIO = 1.0001
# Matrices of 5 MiB, which sixteen threads take in several parts each.
LARGE = {"vocab_size": 20000, "intermediate_size": 20480, "num_hidden_layers": 1}
LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def grid_of(w, bits, block):
    """(scale, exact zero) [O, G] of rounding to nearest over the range of each block and zero."""
    groups = w.reshape(len(w), -1, block)
    low, high = np.minimum(groups.min(axis=2), 0), np.maximum(groups.max(axis=2), 0)
    scale = np.where(high > low, (high - low) / (2**bits - 1), 1)
    return scale, -low / scale


def nearest(w, scale, zero, bits, block):
    """float64 [O, I]: the nearest values of the grid to w."""
    scale, zero = (np.repeat(x, block, axis=1) for x in (scale, zero))
    return (np.clip(np.rint(w / scale) + zero, 0, 2**bits - 1) - zero) * scale


def code_faults(name, stored, source):
    """One line for each law that `stored` (onnx_file.Quantised) breaks against `source` (float64)."""
    bits, block = stored.bits, stored.block
    scale, zero = grid_of(source, bits, block)
    faults = []
    if stored.codes.min() < 0 or stored.codes.max() > 2**bits - 1:
        faults.append(f"{name}: a code outside of {bits} bits")
    if (np.abs(stored.scale - scale) > SLACK * scale).any():
        faults.append(f"{name}: a scale is not the range of its block by {2**bits - 1}")
    if (np.abs(stored.zero_point - zero) > 0.5 + SLACK).any():
        faults.append(f"{name}: a zero point is not the nearest")
    error = np.abs(stored.weight - source)
    best = np.abs(nearest(source, stored.scale, stored.zero_point, bits, block) - source)
    if (error > best + SLACK * np.repeat(stored.scale, block, axis=1)).any():
        faults.append(f"{name}: a nearer code exists")
    reference = np.abs(nearest(source, scale, np.rint(zero), bits, block) - source)
    for what, got, want in (("mean", error.mean(), reference.mean()), ("largest", error.max(), reference.max())):
        if got > ERROR_RATIO * want:
            faults.append(f"{name}: {what} error {got:.3g}, rounding to nearest has {want:.3g}")
    return faults


class Quantised(OnnxCase):
    def source(self, fixture):
        """{name: float64 array}, named in the ONNX file as in the checkpoint."""
        return {n: v.astype(np.float64) for n, (_, v) in fixture.source().items()}

    def check_weights(self, fixture, model, bits, block):
        source = self.source(fixture)
        weights, floats = onnx_file.quantised(model), onnx_file.floats(model)
        linears = {n for n in source if any(role in n and n.endswith(".weight") for role in LINEARS)}
        self.assertEqual(set(weights), linears if bits else set())
        for name, stored in weights.items():
            self.assertEqual((stored.bits, stored.block), (bits, block), name)
            self.assertEqual(code_faults(name, stored, source[name]), [])
        self.assertEqual(set(floats), set(source) - set(weights))
        for name, values in floats.items():
            np.testing.assert_array_equal(values, source[name], name)

    def check_logits(self, fixture, directory, model, tag):
        ids = make_fixture.token_ids(fixture.config["vocab_size"])
        want = OnnxDecoder(onnx_file.save(onnx_file.dequantised(model), self.tmp / f"dequantised-{tag}")).logits(ids, PREFILL)
        got = OnnxDecoder(directory).logits(ids, PREFILL)
        self.assertLess(relative_rms(got, want), LOGITS)
        return ids, want

    def case(self, name, changes, form, bits, block, *arguments):
        directory = self.export_onnx(name, self.checkpoint(name, **changes), "--onnx_quant", form, "--quant_bit", bits, "--quant_block", block,
                                     *arguments)
        check_file(directory)
        return make_fixture.Fixture(name, **changes), directory, onnx_file.load(directory)

    def test_codes_and_floats(self):
        for (name, changes, blocks), form, bits in itertools.product(MODELS, FORMS, (4, 8)):
            for block in blocks:
                with self.subTest(model=name, changes=changes, form=form, bits=bits, block=block):
                    fixture, directory, model = self.case(name, changes, form, bits, block)
                    self.check_weights(fixture, model, bits, block)
                    self.check_logits(fixture, directory, model, f"{name}-{len(changes)}-{form}-{bits}-{block}")

    def test_every_flavour_holds_the_same_codes(self):
        for form, flavour in itertools.product(FORMS, ("ort", "genai")):
            with self.subTest(form=form, flavour=flavour):
                fixture, directory, model = self.case("qwen3_tied", {}, form, 4, 32, "--onnx_flavour", flavour)
                self.check_weights(fixture, model, 4, 32)
                self.check_logits(fixture, directory, model, f"{flavour}-{form}")

    def test_matrices_of_several_tiles(self):
        for form, bits in ((None, 0), ("matmulnbits", 4), ("qdq", 4), ("qdq", 8)):
            quant = ["--onnx_quant", form, "--quant_bit", bits] if form else []
            with self.subTest(form=form, bits=bits):
                checkpoint = self.checkpoint("llama_gqa", **LARGE)
                directory = self.export_onnx("llama_gqa", checkpoint, *quant, "--threads", 16)
                fixture, model = make_fixture.Fixture("llama_gqa", **LARGE), onnx_file.load(directory)
                self.check_weights(fixture, model, bits, 32)
                alone = self.export_onnx("llama_gqa", checkpoint, *quant, "--threads", 1)
                for file in ("llm.onnx", "llm.onnx.data", "embeddings_bf16.bin"):
                    self.assertEqual((directory / file).read_bytes(), (alone / file).read_bytes(), file)

    def test_accuracy_level_4_rounds_activations(self):
        for bits in (4, 8):
            with self.subTest(bits=bits):
                fixture, directory, model = self.case("llama_gqa", {}, "matmulnbits", bits, 32, "--accuracy_level", 4)
                levels = {onnx_file.attributes(n)["accuracy_level"] for n in model.graph.node if n.op_type == "MatMulNBits"}
                self.assertEqual(levels, {4})
                exact = self.case("llama_gqa", {}, "matmulnbits", bits, 32)[1]
                ids = make_fixture.token_ids(fixture.config["vocab_size"])
                error = relative_rms(OnnxDecoder(directory).logits(ids, PREFILL), OnnxDecoder(exact).logits(ids, PREFILL))
                self.assertLess(error, LOGITS_INT8_ACTIVATIONS)

    def test_fp16_holds_the_nearest_halves(self):
        for name, form in itertools.product(("llama_mha_tied_f32", "llama_biases"), ([], ["--onnx_quant", "matmulnbits"])):
            with self.subTest(model=name, form=form):
                directory = self.export_onnx(name, self.checkpoint(name), "--onnx_flavour", "ort", "--dtype", "fp16", *form)
                check_file(directory)
                source, floats = self.source(make_fixture.Fixture(name)), onnx_file.floats(onnx_file.load(directory))
                for stored, values in floats.items():
                    halves = source[stored].ndim == 2
                    self.assertEqual(values.dtype, np.float16 if halves else np.float32, stored)
                    np.testing.assert_array_equal(values, source[stored].astype(values.dtype), stored)

    def test_a_wrong_code_scale_or_zero_point_is_seen(self):
        for form in FORMS:
            fixture, _, model = self.case("llama_gqa", {}, form, 4, 32)
            name = "model.layers.0.mlp.down_proj.weight"
            source = self.source(fixture)[name]
            self.assertEqual(code_faults(name, onnx_file.quantised(model)[name], source), [])
            for part, change in (("codes", 1), ("scale", 1.001), ("zero_point", 1)):
                with self.subTest(form=form, part=part):
                    stored = onnx_file.quantised(model)[name]
                    values = getattr(stored, part)
                    values[-1, -1] = values[-1, -1] * change if part == "scale" else values[-1, -1] ^ change
                    self.assertNotEqual(code_faults(name, stored, source), [])

    def test_what_onnxruntime_does_not_compute_is_refused_before_any_output(self):
        cases = ((["--quant_bit", 3], "--quant_bit 3"), (["--quant_bit", 6], "--quant_bit 6"), (["--quant_block", 256], "--quant_block 256"),
                 (["--quant_block", 128], "blocks that divide every layer: 16, 32, 64\n"))
        for form, (arguments, words) in itertools.product(FORMS, cases):
            with self.subTest(form=form, arguments=arguments):
                out = self.tmp / "refused"
                done = run("export", "--path", self.checkpoint("llama_gqa"), "--dst_path", out, "--export", "onnx", "--onnx_quant", form, *arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertFalse(out.exists())

    def test_rows_that_no_block_divides(self):
        out = self.tmp / "refused"
        done = run("export", "--path", self.checkpoint("llama_odd_sizes_sharded"), "--dst_path", out, "--export", "onnx", "--onnx_quant", "qdq")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("none of the blocks 16, 32, 64, 128 divides every layer; export without --onnx_quant", done.stderr)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
