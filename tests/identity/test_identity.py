#!/usr/bin/env python3
"""Same model and options, same bytes: for any number of threads, for shards, one file or another order of the tensors,
for the pickle form, and for each SIMD level."""
import hashlib
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import TempDirCase, export, run  # noqa: E402

OPTIONS = {"4 bits": ["--quant_bit", 4, "--quant_block", 16], "3 bits, symmetric": ["--quant_bit", 3, "--quant_block", 16, "--sym"],
           "16 bits": ["--quant_bit", 16], "8 bits, embedding at 8": ["--quant_bit", 8, "--quant_block", 16, "--embed_bit", 8]}
# A bf16, an f16 and an f32 source, tied and untied.
MODELS = ("qwen3_tied", "llama_mqa_head_dim_f16", "qwen3_attention_bias_f32")
# Wide enough for several tiles per matrix; no size is a power of two, so that codes of 3 bits straddle bytes and tiles.
LARGE = ("qwen3_tied", {"hidden_size": 528, "intermediate_size": 1392, "vocab_size": 5003, "head_dim": 48})
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


if __name__ == "__main__":
    unittest.main()
