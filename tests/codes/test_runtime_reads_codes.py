#!/usr/bin/env python3
"""The stock runtime reads each code width as the independent decoder does: a quantised package gives the logits of a
32-bit package whose weights are the decoded ones."""
import itertools
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity.compare import PREFILL, relative_rms  # noqa: E402
from support.decoded import decoded_checkpoint  # noqa: E402
from support.mnn_package import Package  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import export, make_fixture  # noqa: E402

# The same float32 weights on both sides; only the order of the sums may differ.
LIMIT = 1e-4
MODELS = ("llama_gqa", "qwen3_tied")


class RuntimeReadsCodes(RuntimeCase):
    def check(self, name, bits, symmetric, scale_bits):
        tag = f"{name}-{bits}-{symmetric}-{scale_bits}"
        quantised, reference = self.tmp / f"q-{tag}", self.tmp / f"r-{tag}"
        # The bf16 embedding file, so that both packages look tokens up in the same table.
        separate = ["--seperate_embed"] if make_fixture.Fixture(name).tied else []
        export(self.checkpoint(name), quantised, "--quant_bit", bits, "--quant_block", 32, "--scale_bit", scale_bits,
               *["--sym"] * symmetric, *separate)
        decoded = decoded_checkpoint(name, Package(quantised).linears(), self.tmp / f"c-{tag}")
        export(decoded, reference, "--quant_bit", 32)
        ids = make_fixture.token_ids(make_fixture.Fixture(name).vocab_size)
        error = relative_rms(self.runtime.logits(quantised, ids, PREFILL), self.runtime.logits(reference, ids, PREFILL))
        self.assertLess(error, LIMIT)

    def test_every_width(self):
        for name, bits, symmetric, scale_bits in itertools.product(MODELS, range(2, 9), (False, True), (16, 32)):
            with self.subTest(model=name, bits=bits, symmetric=symmetric, scale_bits=scale_bits):
                self.check(name, bits, symmetric, scale_bits)

    def test_tied_tables_are_read_as_decoded(self):
        """At 4, 8 and 16 bits the table is the head's blob: an untied package with the decoded table agrees."""
        for bits, symmetric, scale_bits in itertools.product((4, 8), (False, True), (16, 32)):
            with self.subTest(bits=bits, symmetric=symmetric, scale_bits=scale_bits):
                tied = self.tmp / f"tied-{bits}-{symmetric}-{scale_bits}"
                export(self.checkpoint("qwen3_tied"), tied, "--quant_bit", bits, "--quant_block", 32, "--scale_bit", scale_bits,
                       *["--sym"] * symmetric)
                package = Package(tied)
                fixture = make_fixture.Fixture("qwen3_tied")
                ids = make_fixture.token_ids(fixture.vocab_size)
                expected = self.tmp / f"untied-{bits}-{symmetric}-{scale_bits}"
                checkpoint = decoded_checkpoint("qwen3_tied", package.linears(), self.tmp / f"ct-{bits}-{symmetric}-{scale_bits}")
                export(checkpoint, expected, "--quant_bit", 32)
                # Its table by hand: the decoded one, rounded to bf16 as any table file is.
                table = package.embedding(fixture.vocab_size).astype(np.float32)
                (expected / "embeddings_bf16.bin").write_bytes(make_fixture.to_bf16(table).tobytes())
                error = relative_rms(self.runtime.logits(tied, ids, PREFILL), self.runtime.logits(expected, ids, PREFILL))
                # bf16 keeps 8 bits: a table that is off by 2^-9 of each value moves the logits by a few of those.
                self.assertLess(error, 4 * 2.0**-9)


if __name__ == "__main__":
    unittest.main()
