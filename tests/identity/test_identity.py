#!/usr/bin/env python3
"""Same model and options, same bytes: for any number of threads, for shards, one file or another order of the tensors,
for the pickle form, for each SIMD level, and for codes and the floats that they mean."""
import hashlib
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import TempDirCase, export, make_fixture, run  # noqa: E402

OPTIONS = {"4 bits": ["--quant_bit", 4, "--quant_block", 16], "3 bits, symmetric": ["--quant_bit", 3, "--quant_block", 16, "--sym"],
           "16 bits": ["--quant_bit", 16], "8 bits, embedding at 8": ["--quant_bit", 8, "--quant_block", 16, "--embed_bit", 8]}
# A bf16, an f16 and an f32 source, tied and untied.
MODELS = ("qwen3_tied", "llama_mqa_head_dim_f16", "qwen3_attention_bias_f32")
# Wide enough for several tiles per matrix; no size is a power of two, so that codes of 3 bits straddle bytes and tiles.
LARGE = ("qwen3_tied", {"hidden_size": 528, "intermediate_size": 1392, "vocab_size": 5003, "head_dim": 48})
# Forms of 8 bit floats (fixtures/coded_weights.py), with blocks that end inside and outside a matrix.
FP8 = {"whole matrices": {"block": [0, 0], "scale": "bf16", "suffix": "_scale_inv", "dtype": "F8_E4M3"},
       "rows": {"block": [1, 0], "scale": "f32", "suffix": "_scale", "dtype": "F8_E4M3"},
       "blocks": {"block": [48, 40], "scale": "f32", "suffix": "_scale_inv", "dtype": "F8_E4M3"},
       "blocks of E5M2": {"block": [128, 128], "scale": "bf16", "suffix": "_scale", "dtype": "F8_E5M2"}}
LEVEL_VARIABLE = "LLM2MNN_SIMD"


def digests(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(directory.iterdir())}


def simd_levels(checkpoint):
    """The levels this machine has, as the tool names them when it refuses one that does not exist."""
    done = run("export", "--path", checkpoint, "--dst_path", "unused", "--dry_run", env={LEVEL_VARIABLE: "no_such_level"})
    return done.stderr.partition("this CPU has ")[2].partition("\n")[0].replace(",", " ").split()


class Identity(TempDirCase):
    count = 0

    def package(self, checkpoint, arguments, env=None):
        Identity.count += 1
        out = self.tmp / f"package-{Identity.count}"
        export(checkpoint, out, *arguments, env=env)
        return digests(out)

    def same(self, variants):
        """variants: {label: (checkpoint, further arguments, environment)}; all give what the first gives."""
        for what, options in OPTIONS.items():
            reference = None
            for label, (checkpoint, arguments, env) in variants.items():
                with self.subTest(options=what, variant=label):
                    got = self.package(checkpoint, [*options, *arguments], env)
                    reference = reference or got
                    self.assertEqual(got, reference)

    def test_threads_do_not_show(self):
        for model, changes in (*((m, {}) for m in MODELS), LARGE):
            checkpoint = self.checkpoint(model, **changes)
            self.same({f"{checkpoint.name}, {n} threads": (checkpoint, ["--threads", n], None) for n in (1, 2, 8)})

    def test_storage_does_not_show(self):
        for model in MODELS:
            forms = {"one file": {}, "shards": {"form": "sharded"}, "reordered": {"reorder": True},
                     "shards, reordered": {"form": "sharded", "reorder": True}, "pickle": {"form": "bin"},
                     "pickle shards": {"form": "bin_sharded"}}
            forms["one file"] = {"form": "single"}
            self.same({f"{model}, {k}": (self.checkpoint(model, **v), [], None) for k, v in forms.items()})

    def test_simd_levels_do_not_show(self):
        levels = simd_levels(self.checkpoint(MODELS[0]))
        self.assertGreater(len(levels), 1, "the tool names no SIMD levels")
        for model, changes in (*((m, {}) for m in MODELS), LARGE):
            checkpoint = self.checkpoint(model, **changes)
            self.same({f"{checkpoint.name}, {level}": (checkpoint, [], {LEVEL_VARIABLE: level}) for level in levels})

    def test_codes_give_what_their_floats_give(self):
        # The manifest alone tells them apart: it has the digest of the source.
        for what, form in FP8.items():
            fixture = make_fixture.Fixture("qwen3_fp8_blocks")
            fixture.meta["coded"] = {"form": "fp8", **form}
            coded, plain = self.tmp / f"codes of {what}", self.tmp / f"floats of {what}"
            make_fixture.write(fixture, coded)
            config = {k: v for k, v in fixture.config.items() if k != "quantization_config"}
            make_fixture.make_float(config, plain, [(n, v) for n, (_, v) in fixture.source().items()])
            quant = {"quant_method": "fp8", "weight_block_size": form["block"] if form["block"][1] else None}
            (coded / "config.json").write_text(json.dumps({**config, "quantization_config": quant}))
            for name, options in OPTIONS.items():
                with self.subTest(form=what, options=name):
                    got, want = (self.package(c, [*options, "--threads", 3]) for c in (coded, plain))
                    for files in (got, want):
                        del files["llm2mnn.json"]
                    self.assertEqual(got, want)


if __name__ == "__main__":
    unittest.main()
