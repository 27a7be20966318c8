#!/usr/bin/env python3
"""A model with a feature that an output cannot express is refused by name; --allow_approximate leaves just that feature out and says so;
outputs that can express it are exact."""
import json
import sys
import pathlib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import compare, tolerances  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import export, make_fixture, run  # noqa: E402

NAMES = [name for name in make_fixture.fixture_names() if "capped" in make_fixture.Fixture(name).meta]
# The outputs that need the cap gone.
WITHOUT = {"mnn": [], "compat": ["--compat", "3.1"], "one": ["--export", "onnx"]}


class Approximate(RuntimeCase):
    def capped_checkpoint(self, name):
        fixture = make_fixture.Fixture(name)
        return fixture, self.checkpoint(name, **fixture.meta["capped"])

    def width(self, output):
        return [] if output == "one" else ["--quant_bit", 16]

    def test_is_refused_by_name_without_the_flag(self):
        for name in NAMES:
            _, checkpoint = self.capped_checkpoint(name)
            for output, arguments in WITHOUT.items():
                with self.subTest(model=name, output=output):
                    out = self.tmp / f"refused-{name}-{output}"
                    done = run("export", "--path", checkpoint, "--dst_path", out, *arguments)
                    self.assertEqual(done.returncode, 4, done.stderr)
                    for words in ("attention.logit_softcap is 0.5", "MNN's Attention op", "--allow_approximate", "--onnx_flavour ort or genai"):
                        self.assertIn(words, done.stderr)
                    self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
                    self.assertFalse(out.exists())

    def test_leaves_out_the_feature_alone_and_says_so(self):
        for name in NAMES:
            fixture, checkpoint = self.capped_checkpoint(name)
            exact = self.checkpoint(name)
            for output, arguments in WITHOUT.items():
                with self.subTest(model=name, output=output):
                    arguments = [*arguments, *self.width(output)]
                    approximate, plain = self.tmp / f"approximate-{name}-{output}", self.tmp / f"plain-{name}-{output}"
                    dry = export(checkpoint, approximate, "--allow_approximate", "--dry_run", *arguments)
                    self.assertIn("APPROXIMATE: attention scores are not capped at 0.5 (attention.logit_softcap)", dry)
                    shown = export(checkpoint, approximate, "--allow_approximate", *arguments)
                    self.assertIn("APPROXIMATE", shown)
                    manifest = json.loads((approximate / "llm2mnn.json").read_text())
                    self.assertEqual(manifest["approximations"], [{"feature": "attention.logit_softcap", "value": 0.5}])
                    export(exact, plain, *arguments)
                    self.assertEqual(json.loads((plain / "llm2mnn.json").read_text())["approximations"], [])
                    weights = "llm.onnx.data" if output == "one" else "llm.mnn.weight"
                    self.assertEqual((approximate / weights).read_bytes(), (plain / weights).read_bytes())
                    if output == "one":
                        continue
                    self.assertEqual((approximate / "llm.mnn").read_bytes(), (plain / "llm.mnn").read_bytes())
                    want = compare.load_golden(fixture.capped, fixture.golden_capped)["logits_16"]
                    ids = make_fixture.token_ids(fixture.vocab_size)
                    error = compare.relative_rms(self.runtime.logits(approximate, ids, compare.PREFILL), want)
                    print(f"\n{name}, {output}: without its cap of 0.5 the logits are off by {error:.2f}")
                    self.assertGreater(error, 100 * tolerances.LOGITS_16_BIT)

    def test_onnx_for_onnxruntime_is_exact_and_converts_with_the_flag(self):
        for name in NAMES:
            fixture, checkpoint = self.capped_checkpoint(name)
            want = compare.load_golden(fixture.capped, fixture.golden_capped)["logits_16"]
            stored = self.tmp / f"stored-{name}"
            parts = {n: make_fixture.as_stored_at_16_bit(role, v, fixture.tied) for n, (role, v) in fixture.source().items()}
            make_fixture.make_float(fixture.capped.config, stored, list(parts.items()))
            for flavour in ("ort", "genai"):
                with self.subTest(model=name, flavour=flavour):
                    out = self.tmp / f"{name}-{flavour}"
                    export(stored, out, "--export", "onnx", "--onnx_flavour", flavour)
                    got = OnnxDecoder(out).logits(make_fixture.token_ids(fixture.vocab_size), compare.PREFILL)
                    self.assertLess(compare.relative_rms(got, want), tolerances.LOGITS_16_BIT)
                    self.assertEqual(json.loads((out / "llm2mnn.json").read_text())["approximations"], [])
            converted = self.tmp / f"{name}-converted"
            done = run("convert", "--model", self.tmp / f"{name}-ort", "--dst_path", converted)
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn("attention.logit_softcap is 0.5", done.stderr)
            done = run("convert", "--model", self.tmp / f"{name}-ort", "--dst_path", converted, "--allow_approximate", "--quant_bit", 16)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(json.loads((converted / "llm2mnn.json").read_text())["approximations"]), 1)


if __name__ == "__main__":
    unittest.main()
