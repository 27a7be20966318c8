#!/usr/bin/env python3
"""Every fixture in every flavour: ONNX's checker passes the file, and onnxruntime agrees with Hugging Face in the prefill,
in each decode step and in a batch with padding on the left."""
import itertools
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from compare_onnx import measure_onnx  # noqa: E402
from parity import tolerances  # noqa: E402
from parity.compare import FAR_PREFILL, load_golden, relative_rms  # noqa: E402
from support.onnx_case import OnnxCase, check_file, onnx_fixture_names, refused_by_genai  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.tool import family_arguments, make_fixture, run  # noqa: E402

FLAVOURS = ("one", "ort", "genai")
OPSETS = range(17, 24)
# No window and both masks; q and k norms in the second.
OPSET_MODELS = ("llama_gqa", "qwen3_layer_types_sharded")
# fp16 rounds matrices and table. So do the goldens where the source is bf16 or the table is the head's.
FP16_MODELS = ("llama_gqa", "llama_mha_tied_f32", "mistral_window_rope_parameters_tied", "qwen3_tied")


class Onnxruntime(OnnxCase):
    def check_logits(self, fixture, directory, batch):
        errors = measure_onnx(fixture, directory, batch)
        self.assertEqual({what: e for what, e in errors.items() if not e < tolerances.LOGITS_16_BIT}, {})

    def check(self, name, flavour):
        fixture = make_fixture.Fixture(name)
        checkpoint = self.stored_checkpoint(name)
        if flavour == "genai" and refused_by_genai(fixture.llama_config):
            return self.check_refusal(fixture, checkpoint)
        directory = self.export_onnx(name, checkpoint, "--onnx_flavour", flavour)
        check_file(directory)
        self.check_logits(fixture, directory, batch=flavour != "genai")

    def check_refusal(self, fixture, checkpoint):
        out = self.tmp / f"refused-{fixture.name}"
        done = run("export", "--path", checkpoint, "--dst_path", out, "--export", "onnx", "--onnx_flavour", "genai", *family_arguments(fixture))
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(refused_by_genai(fixture.llama_config), done.stderr)
        self.assertFalse(out.exists())

    def test_layers_with_a_state_are_refused_by_name(self):
        for name, what in (("lfm2_full_attn_idxs", "layer 0 is a short convolution"), ("qwen3_5_text_linear", "layer 0 is linear attention")):
            with self.subTest(fixture=name):
                checkpoint = self.tmp / f"refused-{name}"
                make_fixture.make(name, checkpoint)
                for flavour in ("one", "ort", "genai"):
                    out = self.tmp / f"refused-{name}-{flavour}"
                    done = run("export", "--path", checkpoint, "--dst_path", out, "--export", "onnx", "--onnx_flavour", flavour)
                    self.assertEqual(done.returncode, 4, done.stderr)
                    self.assertIn(what, done.stderr)
                    self.assertFalse(out.exists())

    def test_every_opset(self):
        for name, opset in itertools.product(OPSET_MODELS, OPSETS):
            with self.subTest(model=name, opset=opset):
                directory = self.export_onnx(name, self.stored_checkpoint(name), "--onnx_opset", opset)
                check_file(directory)
                self.check_logits(make_fixture.Fixture(name), directory, batch=True)

    def test_fp16_holds_the_nearest_halves(self):
        for name, flavour in itertools.product(FP16_MODELS, ("ort", "genai")):
            with self.subTest(model=name, flavour=flavour):
                fixture = make_fixture.Fixture(name)
                directory = self.export_onnx(name, self.checkpoint(name), "--onnx_flavour", flavour, "--dtype", "fp16")
                check_file(directory)
                self.check_logits(fixture, directory, batch=flavour != "genai")

    def test_far_positions(self):
        names = [n for n in make_fixture.fixture_names() if make_fixture.Fixture(n).golden_far.exists()]
        self.assertTrue(names)
        for name in names:
            with self.subTest(model=name):
                fixture = make_fixture.Fixture(name)
                want = load_golden(fixture, fixture.golden_far)["logits_16"]
                ids = make_fixture.token_ids(fixture.vocab_size, make_fixture.FAR_TOKENS)
                directory = self.export_onnx(name, self.stored_checkpoint(name), "--onnx_flavour", "one")
                got = OnnxDecoder(directory).logits(ids, FAR_PREFILL)[-len(want):]
                self.assertLess(relative_rms(got, want), tolerances.LOGITS_16_BIT_FAR)


def add_tests():
    for name in onnx_fixture_names():
        for flavour in FLAVOURS:
            def test(self, name=name, flavour=flavour):
                self.check(name, flavour)
            setattr(Onnxruntime, f"test_{name}_{flavour}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
