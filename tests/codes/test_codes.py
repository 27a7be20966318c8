#!/usr/bin/env python3
"""Codes, by an independent decoder: every weight is within half a stored step (plus the stored rounding) of the
source, for every bit width, block, symmetry and scale width; the blobs cover the weight file exactly; and files have
the sizes that --dry_run said."""
import itertools
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.mnn_package import Package, address_of_tensor  # noqa: E402
from support.rounding import rounding_faults  # noqa: E402
from support.tool import TempDirCase, export, export_json, make_fixture, run  # noqa: E402

# One tied and one untied model whose widths all divide by 64.
MODELS = ("qwen3_tied", "llama_gqa")
BITS = (2, 3, 4, 5, 6, 7, 8)
BLOCKS = (0, 16, 32, 64)
# The head widths at which a tied table is the head's own blob.
TIED_WIDTHS = (4, 8, 16)


def check_linear(test, linear, source, bits, block, symmetric, scale_bits):
    test.assertEqual(linear.bits, bits, linear.name)
    if bits == 32:
        np.testing.assert_array_equal(linear.weight, source)
    elif bits == 16:
        np.testing.assert_array_equal(linear.weight, source.astype(np.float16).astype(np.float64))
    else:
        test.assertEqual((linear.block, linear.symmetric, linear.scale_bits), (block or source.shape[1], symmetric, scale_bits), linear.name)
        test.assertEqual(rounding_faults(linear, source), [])


class Codes(TempDirCase):
    def source(self, name):
        """{address: float64 matrix, address + '.bias': vector, 'embed_tokens': table} of a fixture."""
        fixture = make_fixture.Fixture(name)
        out = {}
        for stored, (role, values) in fixture.source().items():
            out[address_of_tensor(stored, role)] = values.astype(np.float64)
        out.setdefault("lm_head", out["embed_tokens"])
        return out

    def check_package(self, name, package, bits, block, symmetric, scale_bits, lm=None):
        """`lm`: (bits, block) of the head when it differs."""
        source = self.source(name)
        package.check_coverage()
        linears = package.linears()
        want = {k for k, v in source.items() if v.ndim == 2 and k != "embed_tokens"}
        self.assertEqual(set(linears), want)
        for address, linear in linears.items():
            b, g = lm if lm and address == "lm_head" else (bits, block)
            if address.endswith((".router", ".shared_expert_gate")):
                b = max(b, 16)
            check_linear(self, linear, source[address], b, g, symmetric, scale_bits)
            np.testing.assert_array_equal(linear.bias, source.get(address + ".bias", np.zeros(len(source[address]))), address)
        gammas = [g.tobytes() for g, _ in package.norms().values()]
        for address, values in source.items():
            if "norm" in address:
                self.assertIn(values.astype("<f4").tobytes(), gammas, f"{address} is not in the package")
        return linears

    def check_embedding(self, name, package, linears, expected):
        """`expected`: 'head' (the head's own decoded weights), 'bf16', or (bits) of a file of its own."""
        table = self.source(name)["embed_tokens"]
        got = package.embedding(len(table))
        if expected == "head":
            np.testing.assert_array_equal(got, linears["lm_head"].weight)
            self.assertFalse(list(package.directory.glob("embeddings_*")), "a tied package carries an embedding file")
        elif expected == "bf16":
            np.testing.assert_array_equal(got, make_fixture.round_to(table.astype(np.float32), "bf16"))
        else:
            step = (table.max(axis=1) - table.min(axis=1)) / (2**expected - 1)
            self.assertLessEqual((np.abs(got - table) - step[:, None] * 0.51).max(), 0, "embedding file: an error above half a step")

    def check_sizes(self, plan, directory):
        """The plan of --dry_run against the files, byte for byte."""
        planned = {f["name"]: f["bytes"] for f in plan["files"]}
        actual = {p.name: p.stat().st_size for p in directory.iterdir() if p.name in planned}
        self.assertEqual(actual, planned)
        self.assertIn("llm.mnn.weight", planned)

    def case(self, name, arguments, tag):
        out = self.tmp / f"package-{name}-{tag}"
        plan = export_json(self.checkpoint(name), out, *arguments, "--dry_run")
        self.assertFalse(out.exists(), "--dry_run made output")
        export(self.checkpoint(name), out, *arguments)
        self.check_sizes(plan, out)
        return Package(out)

    def check_grid_point(self, name, bits, block, symmetric, scale_bits, form):
        arguments = ["--quant_bit", bits, "--quant_block", block, "--scale_bit", scale_bits] + ["--sym"] * symmetric + form
        package = self.case(name, arguments, f"{bits}-{block}-{symmetric}-{scale_bits}-{len(form)}")
        linears = self.check_package(name, package, bits, block, symmetric, scale_bits)
        tied = make_fixture.Fixture(name).tied and bits in TIED_WIDTHS
        self.check_embedding(name, package, linears, "head" if tied else "bf16")

    def test_every_width_block_symmetry_and_scale(self):
        for name, bits, block, symmetric, scale_bits in itertools.product(MODELS, BITS, BLOCKS, (False, True), (16, 32)):
            with self.subTest(model=name, bits=bits, block=block, symmetric=symmetric, scale_bits=scale_bits):
                self.check_grid_point(name, bits, block, symmetric, scale_bits, [])

    def test_the_compat_form_holds_the_same_codes(self):
        for name, bits, symmetric in itertools.product(MODELS, (3, 4, 8), (False, True)):
            with self.subTest(model=name, bits=bits, symmetric=symmetric):
                self.check_grid_point(name, bits, 32, symmetric, 32, ["--compat", "3.1"])

    def test_floats_are_stored_exactly_and_do_not_look_at_the_block(self):
        for name, bits, block in itertools.product((*MODELS, "llama_odd_sizes_sharded"), (16, 32), (0, 64)):
            with self.subTest(model=name, bits=bits, block=block):
                self.check_grid_point(name, bits, block, False, 16, [])

    def test_row_wise_blocks_of_odd_sizes(self):
        for name, bits in itertools.product(("llama_odd_sizes_sharded", "qwen3_odd_sizes_tied_f32"), BITS):
            with self.subTest(model=name, bits=bits):
                self.check_grid_point(name, bits, 0, False, 16, [])

    def test_experts_lie_in_the_file_as_other_matrices_do_and_routers_as_halves(self):
        for bits, form in itertools.product((4, 8, 16, 32), ([], ["--compat", "3.1"])):
            with self.subTest(bits=bits, form=form):
                self.check_grid_point("qwen3_moe_dense_layer", bits, 32, False, 32, form)
                package = Package(self.tmp / f"package-qwen3_moe_dense_layer-{bits}-32-False-32-{len(form)}")
                self.assertEqual(set(package.subgraphs), {f"/expert/{layer}_{e}" for layer in (0, 2) for e in range(8)})

    def test_the_head_has_its_own_width_and_block(self):
        for name, lm_bits, lm_block in itertools.product(MODELS, (*BITS, 16, 32), (0, 16)):
            with self.subTest(model=name, lm_bits=lm_bits, lm_block=lm_block):
                arguments = ["--quant_bit", 4, "--quant_block", 32, "--lm_quant_bit", lm_bits, "--lm_quant_block", lm_block]
                package = self.case(name, arguments, f"lm-{lm_bits}-{lm_block}")
                linears = self.check_package(name, package, 4, 32, False, 16, lm=(lm_bits, lm_block))
                tied = make_fixture.Fixture(name).tied and lm_bits in TIED_WIDTHS
                self.check_embedding(name, package, linears, "head" if tied else "bf16")

    def test_the_embedding_file_has_the_width_asked_for(self):
        for name, (arguments, expected) in itertools.product(MODELS, ((["--embed_bit", 16], "bf16"), (["--embed_bit", 8], 8),
                                                                      (["--embed_bit", 4], 4), (["--seperate_embed"], "bf16"))):
            with self.subTest(model=name, arguments=arguments):
                package = self.case(name, ["--quant_bit", 4, "--quant_block", 32, *arguments], "embed-" + "-".join(map(str, arguments)))
                linears = self.check_package(name, package, 4, 32, False, 16)
                self.check_embedding(name, package, linears, expected)

    def test_the_check_sees_one_wrong_code_scale_or_offset(self):
        source = self.source("llama_gqa")
        package = self.case("llama_gqa", ["--quant_bit", 4, "--quant_block", 32], "spoilt")
        linear = package.linears()["layers.0.down_proj"]
        self.assertEqual(rounding_faults(linear, source["layers.0.down_proj"]), [])
        offset, weight_bytes = linear.external[:2]
        # The lowest bit of the last code; the sign of the first offset and the lowest exponent bit of the first scale,
        # both in the high byte of a half.
        places = {"code": (offset + weight_bytes - 1, 0x01), "offset": (offset + weight_bytes + 1, 0x80), "scale": (offset + weight_bytes + 3, 0x04)}
        for what, (place, bit) in places.items():
            with self.subTest(spoilt=what):
                good = package.weight_path.read_bytes()
                package.weight_path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1:])
                spoilt = Package(package.directory).linears()["layers.0.down_proj"]
                self.assertNotEqual(rounding_faults(spoilt, source["layers.0.down_proj"]), [])
                package.weight_path.write_bytes(good)

    def test_a_block_that_does_not_divide_is_refused_before_any_output(self):
        out = self.tmp / "refused"
        done = run("export", "--path", self.checkpoint("llama_odd_sizes_sharded"), "--dst_path", out, "--quant_bit", 4, "--quant_block", 64)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        for word in ("60", "84", "0"):
            self.assertIn(word, done.stderr)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
