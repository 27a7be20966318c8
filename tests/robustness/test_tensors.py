#!/usr/bin/env python3
"""Tensors that are missing, left over, of another shape, or hold NaN, Inf and numbers beyond their target."""
import json
import struct
import unittest

from edits import BIAS, EMBEDDING, MATRIX, MODEL, NORM, WeightsCase, read_weights, write_raw
from sandbox import BROKEN_INPUT, UNSUPPORTED, config_of


class TensorsTest(WeightsCase):
    """Which tensors there are, and of what shape."""

    def test_a_missing_tensor(self):
        for name in (NORM, MATRIX, BIAS, EMBEDDING, "lm_head.weight", "model.norm.weight"):
            with self.subTest(name):
                self.setUp()
                ckpt = self.edit(lambda h: h.update({"spare": h.pop(name)}))
                self.refuses_export(BROKEN_INPUT, name, ckpt)

    def test_a_left_over_tensor(self):
        def add(header):
            end = max(e["data_offsets"][1] for n, e in header.items() if n != "__metadata__")
            header["model.layers.0.mlp.secret.weight"] = {"dtype": "BF16", "shape": [0, 4], "data_offsets": [end, end]}
        self.refuses_export(BROKEN_INPUT, "model.layers.0.mlp.secret.weight", self.edit(add))

    def test_a_layer_too_many(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["num_hidden_layers"] = 2
        self.refuses_export(BROKEN_INPUT, "model.layers.2.", ckpt)

    def test_a_layer_too_few(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["num_hidden_layers"] = 4
        self.refuses_export(BROKEN_INPUT, "model.layers.3.", ckpt)

    def test_a_matrix_that_stands_on_its_head(self):
        ckpt = self.edit(lambda h: h[MATRIX]["shape"].reverse())
        self.refuses_export(BROKEN_INPUT, [MATRIX, "[96, 64]", "[64, 96]"], ckpt)

    def test_a_norm_with_two_dimensions(self):
        ckpt = self.edit(lambda h: h[NORM].update(shape=[8, 8]))
        self.refuses_export(BROKEN_INPUT, [NORM, "[8, 8]"], ckpt)

    def test_a_matrix_with_one_dimension(self):
        ckpt = self.edit(lambda h: h[MATRIX].update(shape=[64 * 96]))
        self.refuses_export(BROKEN_INPUT, [MATRIX, "[6144]"], ckpt)

    def test_an_embedding_of_another_vocabulary(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["vocab_size"] = 105
        self.refuses_export(BROKEN_INPUT, [EMBEDDING, "105"], ckpt)

    def test_dtypes_that_no_weight_has(self):
        for dtype, code in (("I64", 8), ("F64", 8), ("U8", 1), ("BOOL", 1), ("I32", 4), ("F8_E4M3", 1), ("F8_E5M2", 1)):
            with self.subTest(dtype):
                self.setUp()
                ckpt = self.checkpoint()
                header, data = read_weights(ckpt / MODEL)
                at, end = header[NORM]["data_offsets"]
                grown = 64 * code - (end - at)
                for entry in header.values():
                    if "data_offsets" in entry and entry["data_offsets"][0] >= end:
                        entry["data_offsets"] = [n + grown for n in entry["data_offsets"]]
                header[NORM].update(dtype=dtype, data_offsets=[at, end + grown])
                write_raw(ckpt / MODEL, json.dumps(header).encode(), data[:at] + bytes(64 * code) + data[end:])
                self.refuses_export(UNSUPPORTED, [NORM, dtype], ckpt)

    def test_biases_that_the_config_does_not_announce(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["attention_bias"] = False
        self.refuses_export(BROKEN_INPUT, "bias", ckpt)


class ValuesTest(WeightsCase):
    """NaN, Inf and values beyond the target."""

    WIDTHS = ((), ("--quant_bit", "2"), ("--quant_bit", "8", "--quant_block", "0", "--sym"), ("--quant_bit", "16"),
              ("--quant_bit", "32"), ("--scale_bit", "32"))

    def refused_value(self, name, value, *flags, row=-1, fixture=None, says_row=True):
        ckpt, row = self.poison(name, value, row, fixture=fixture)
        self.refuses_export(BROKEN_INPUT, [name, *([f"row {row}"] if says_row else [])], ckpt, *flags)

    def test_a_matrix(self):
        for value in (float("nan"), float("inf"), float("-inf")):
            for flags in self.WIDTHS:
                for row in (0, -1):
                    with self.subTest(value=value, flags=flags, row=row):
                        self.setUp()
                        self.refused_value(MATRIX, value, *flags, row=row)

    def test_a_norm(self):
        for value in (float("nan"), float("inf")):
            for flags in self.WIDTHS:
                with self.subTest(value=value, flags=flags):
                    self.setUp()
                    self.refused_value(NORM, value, *flags, says_row=False)

    def test_a_bias(self):
        for flags in self.WIDTHS:
            with self.subTest(flags=flags):
                self.setUp()
                self.refused_value(BIAS, float("nan"), *flags, says_row=False)

    def test_a_head_norm(self):
        self.refused_value("model.layers.1.self_attn.q_norm.weight", float("nan"), fixture="qwen3_attention_bias_f32", says_row=False)

    def test_an_embedding(self):
        for flags in ((), ("--embed_bit", "8"), ("--embed_bit", "4"), ("--quant_bit", "32"), ("--compat", "3.1")):
            for value in (float("nan"), float("inf")):
                with self.subTest(flags=flags, value=value):
                    self.setUp()
                    self.refused_value(EMBEDDING, value, *flags)

    def test_a_tied_embedding(self):
        for flags in ((), ("--seperate_embed",), ("--quant_bit", "8"), ("--quant_bit", "16")):
            with self.subTest(flags=flags):
                self.setUp()
                self.refused_value(EMBEDDING, float("nan"), *flags, fixture="mistral_window_rope_parameters_tied")

    def test_float32_sources(self):
        for value in (float("nan"), float("inf")):
            with self.subTest(value=value):
                self.setUp()
                self.refused_value("model.layers.0.mlp.up_proj.weight", value, fixture="llama_mha_tied_f32")

    def test_float16_sources(self):
        for value in (float("nan"), float("-inf")):
            with self.subTest(value=value):
                self.setUp()
                self.refused_value("model.layers.0.mlp.up_proj.weight", value, fixture="llama_mqa_head_dim_f16")

    def test_a_weight_beyond_fp16(self):
        self.refused_value(MATRIX, 1e5, "--quant_bit", "16")

    def test_the_edge_of_fp16(self):
        # 65519.996 is the last float32 that rounds to a finite FP16 number.
        name = "model.layers.0.mlp.up_proj.weight"
        self.refused_value(name, 65520.0, "--quant_bit", "16", fixture="llama_mha_tied_f32")
        self.setUp()
        ckpt, _ = self.poison(name, 65519.996, fixture="llama_mha_tied_f32")
        self.exports(ckpt, self.box / "out", "--quant_bit", "16")

    def test_a_scale_beyond_fp16(self):
        self.refused_value(MATRIX, 1e9, "--quant_bit", "4")

    def test_an_offset_beyond_fp16(self):
        self.refused_value(MATRIX, -2e5, "--quant_bit", "8")

    def test_a_scale_beyond_float32(self):
        ckpt, _ = self.poison(MATRIX, 3e38, row=3, col=0)
        header, data = read_weights(ckpt / MODEL)
        at = header[MATRIX]["data_offsets"][0] + (3 * 96 + 1) * 2
        write_raw(ckpt / MODEL, json.dumps(header).encode(), data[:at] + struct.pack("<f", -3e38)[2:] + data[at + 2:])
        self.refuses_export(BROKEN_INPUT, MATRIX, ckpt, "--scale_bit", "32")

    def test_an_embedding_beyond_bf16(self):
        self.refused_value(EMBEDDING, 3.4028234e38, "--seperate_embed", fixture="llama_mha_tied_f32")


if __name__ == "__main__":
    unittest.main()
