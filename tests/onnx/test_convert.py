#!/usr/bin/env python3
"""`convert` without the checkpoint: for every fixture, flavour and width the package is byte for byte that of a direct export."""
import filecmp
import functools
import json
import math
import pathlib
import shutil
import sys
import unittest

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.mnn_package import Package  # noqa: E402
from support.onnx_case import head_dim, onnx_fixture_names, refused_by_genai  # noqa: E402
from support.tool import TempDirCase, export, family_arguments, make_fixture, run  # noqa: E402

FLAGS = (("--quant_bit", 5), ("--quant_bit", 8, "--embed_bit", 8), ("--quant_bit", 6, "--sym"), ("--quant_bit", 4, "--compat", "3.1"),
         ("--quant_bit", 16), ("--quant_bit", 4, "--seperate_embed"), ("--quant_bit", 4, "--method", "search"),
         ("--quant_bit", 3, "--hqq"), ("--quant_bit", 32), ("--quant_bit", 3, "--lm_quant_bit", 8),
         ("--quant_bit", 6, "--compat", "3.1", "--sym", "--scale_bit", 32))
PER_FIXTURE = 3  # of FLAGS beside 4 bits; neighbours take others, so that all fixtures together have all


def block_of(config):
    """The largest block that divides the rows of every matrix: 32, 16, or 0 for whole rows."""
    rows = math.gcd(config["hidden_size"], config["intermediate_size"], config["num_attention_heads"] * head_dim(config))
    return next((block for block in (32, 16) if rows % block == 0), 0)


def differences(got, want):
    """Names of the files in which two packages differ."""
    names = sorted({p.name for p in got.iterdir()} | {p.name for p in want.iterdir()})
    _, other, missing = filecmp.cmpfiles(got, want, names, shallow=False)
    return other + missing


def source_digest(package):
    return json.loads((package / "llm2mnn.json").read_text())["source"]["xxh128"]


@functools.cache
def initializers(directory):
    """{name: array} of an ONNX file with the data beside it."""
    model = onnx.load(str(directory / "llm.onnx"))
    return {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


class Convert(TempDirCase):
    def convert(self, model, *arguments):
        """(directory of the package, what the tool printed)."""
        Convert.count = getattr(Convert, "count", 0) + 1
        out = self.tmp / f"converted-{Convert.count}"
        done = run("convert", "--model", model, "--dst_path", out, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"convert of {model} with {arguments}")
        return out, done.stdout

    def check_fixture(self, number, name):
        fixture = make_fixture.Fixture(name)
        family = family_arguments(fixture)
        checkpoint = self.tmp / f"checkpoint-{name}"
        make_fixture.make(name, checkpoint)
        variants = [("--quant_bit", 4), *(FLAGS[(number * PER_FIXTURE + i) % len(FLAGS)] for i in range(PER_FIXTURE))]
        variants = [(*v, "--quant_block", block_of(fixture.llama_config)) for v in variants]
        flavours = ["one", "ort", "genai"] if refused_by_genai(fixture.llama_config) is None else ["one", "ort"]
        direct = {v: self.tmp / "-".join(["direct", name, *(str(a).strip("-") for a in v)]) for v in variants}
        for v, out in direct.items():
            export(checkpoint, out, *v, *family)
        sources = {f: self.tmp / f"onnx-{name}-{f}" for f in flavours}
        for f, out in sources.items():
            export(checkpoint, out, "--export", "onnx", "--onnx_flavour", f, *family)
        shutil.rmtree(checkpoint)
        for i, v in enumerate(variants):
            for f in flavours if i == 0 else [flavours[i % len(flavours)]]:
                with self.subTest(flavour=f, flags=v):
                    self.assertEqual(differences(self.convert(sources[f], *v)[0], direct[v]), [])
        for out in (*direct.values(), *sources.values()):
            shutil.rmtree(out)

    def onnx_of(self, name, *arguments):
        """A fresh ONNX export of a fixture whose checkpoint is kept."""
        Convert.count = getattr(Convert, "count", 0) + 1
        out = self.tmp / f"onnx-{Convert.count}"
        export(self.checkpoint(name), out, "--export", "onnx", *arguments)
        return out

    def direct(self, name, *arguments):
        Convert.count = getattr(Convert, "count", 0) + 1
        out = self.tmp / f"direct-{Convert.count}"
        export(self.checkpoint(name), out, *arguments)
        return out

    def test_fp16_of_an_fp16_checkpoint(self):
        flags = ("--quant_bit", 4, "--quant_block", 32)
        source = self.onnx_of("llama_mqa_head_dim_f16", "--onnx_flavour", "ort", "--dtype", "fp16")
        got = self.convert(source, *flags)[0]
        self.assertEqual(differences(got, self.direct("llama_mqa_head_dim_f16", *flags)), ["llm2mnn.json"])

    def test_side_files_one_directory_above(self):
        flags = ("--quant_bit", 4, "--quant_block", 32)
        source = self.onnx_of("qwen3_tied")
        (source / "onnx").mkdir()
        for name in ("llm.onnx", "llm.onnx.data"):
            (source / name).rename(source / "onnx" / name)
        want = self.direct("qwen3_tied", *flags)
        for model in (source, source / "onnx", source / "onnx" / "llm.onnx"):
            with self.subTest(model=model):
                self.assertEqual(differences(self.convert(model, *flags)[0], want), [])

    def test_an_edited_config_is_carried_over(self):
        source = self.onnx_of("llama_gqa")
        path = source / "config.json"
        config = json.loads(path.read_text())
        plain = json.loads((self.convert(source, "--quant_block", 32)[0] / "config.json").read_text())
        config.update(temperature=0.123, my_own_key=[1, {"a": None}])
        path.write_text(json.dumps(config))
        got = json.loads((self.convert(source, "--quant_block", 32)[0] / "config.json").read_text())
        self.assertEqual(got, {**plain, "temperature": 0.123, "my_own_key": [1, {"a": None}]})

    def test_threads_do_not_show(self):
        source = self.onnx_of("qwen3_layer_types_sharded")
        quantised = self.onnx_of("qwen3_layer_types_sharded", "--onnx_quant", "qdq", "--onnx_opset", 21, "--quant_bit", 4, "--quant_block", 32)
        for model in (source, quantised):
            for flags in (("--quant_bit", 4, "--quant_block", 16), ("--quant_bit", 3, "--quant_block", 32, "--sym"), ("--quant_bit", 16)):
                one = self.convert(model, *flags, "--threads", 1)[0]
                for threads in (2, 8):
                    with self.subTest(model=model.name, flags=flags, threads=threads):
                        self.assertEqual(differences(self.convert(model, *flags, "--threads", threads)[0], one), [])

    def test_a_changed_weight_changes_the_digest(self):
        for fixture in ("llama_gqa", "qwen3_layer_types_sharded"):
            source = self.onnx_of(fixture)
            model = onnx.load(str(source / "llm.onnx"), load_external_data=False)
            known = source_digest(self.convert(source, "--quant_block", 32)[0])
            self.assertEqual(source_digest(source), known)
            # The last matrix: a bit of its first mantissa.
            entries = [{e.key: e.value for e in t.external_data} for t in model.graph.initializer if t.name.endswith("_t")]
            with open(source / "llm.onnx.data", "r+b") as data:
                data.seek(int(entries[-1]["offset"]))
                byte = data.read(1)[0]
                data.seek(int(entries[-1]["offset"]))
                data.write(bytes([byte ^ 1]))
            self.assertNotEqual(source_digest(self.convert(source, "--quant_block", 32)[0]), known)

    def test_norms_of_heads_count_for_the_digest_of_a_direct_export(self):
        forms = (("--quant_block", 32), ("--quant_block", 32, "--compat", "3.1"), ("--export", "onnx"))
        digests = {source_digest(self.direct("qwen3_tied", *flags)) for flags in forms}
        self.assertEqual(len(digests), 1)

    def check_quantised(self, form, bits):
        name = "qwen3_attention_bias_f32"
        extra = ("--onnx_opset", 21) if form == "qdq" else ()
        source = self.onnx_of(name, "--onnx_quant", form, "--quant_bit", bits, "--quant_block", 32, *extra)
        stored = initializers(source)
        package, printed = self.convert(source, "--quant_bit", 32)
        self.assertIn("quantised", printed)
        exact = Package(package).linears()
        coarse = Package(self.convert(source, "--quant_bit", 8, "--quant_block", 32)[0]).linears()
        checked = 0
        for address, linear in exact.items():
            if address == "lm_head":
                continue
            layer, role = address.rsplit(".", 1)
            found = [n for n in stored if f".{layer}." in n and f".{role}." in n]
            codes, scales, zero_points = (next(stored[n] for n in found if f"weight_{part}" in n) for part in ("codes", "scales", "zero_points"))
            want = self.dequantised(form, bits, codes, scales, zero_points, *linear.weight.shape)
            np.testing.assert_array_equal(linear.weight, want, err_msg=address)
            again = coarse[address]
            step = np.repeat(again.scale, again.block, axis=1)
            self.assertLessEqual(np.max(np.abs(again.weight - want) / step), 0.51, address)
            checked += 1
        self.assertEqual(checked, 7 * make_fixture.Fixture(name).config["num_hidden_layers"])

    @staticmethod
    def dequantised(form, bits, codes, scales, zero_points, rows, cols):
        if form == "qdq":
            codes, zero_points, scales = (np.asarray(a).T.astype(np.float32) for a in (codes, zero_points, scales))
        else:
            def unpacked(packed, count):
                packed = packed.reshape(rows, -1)
                if bits == 4:
                    packed = np.stack((packed & 15, packed >> 4), axis=-1).reshape(rows, -1)
                return packed[:, :count].astype(np.float32)
            codes, zero_points, scales = unpacked(codes, cols), unpacked(zero_points, cols // 32), scales.reshape(rows, -1)
        return (codes - np.repeat(zero_points, 32, axis=1)) * np.repeat(scales.astype(np.float32), 32, axis=1)

    def test_quantised_again(self):
        for form in ("matmulnbits", "qdq"):
            for bits in (4, 8):
                with self.subTest(form=form, bits=bits):
                    self.check_quantised(form, bits)


def add_tests():
    for number, name in enumerate(onnx_fixture_names()):
        def test(self, number=number, name=name):
            self.check_fixture(number, name)
        setattr(Convert, f"test_{name}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
