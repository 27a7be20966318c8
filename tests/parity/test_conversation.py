#!/usr/bin/env python3
"""A prompt behind an answer, and embeddings of 8 and 4 bits, where a token has more than one embedding: the runtime looks each prompt up
anew."""
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import compare, tolerances  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import export, family_arguments, make_fixture  # noqa: E402

# A prompt, an answer of one token, and two more prompts of different lengths.
TURNS = (10, 1, 13, 8)
NAMES = [n for n in make_fixture.fixture_names() if any(role == "per_layer_embedding" for _, role, _ in make_fixture.Fixture(n).tensors())]
# The step of a code is 17 times that of 8 bits.
LOGITS_4_BIT_EMBEDDING = 0.3


class Conversation(RuntimeCase):
    def test_every_prompt_reads_its_own_rows(self):
        self.assertTrue(NAMES)
        for name in NAMES:
            for form, arguments in compare.FORMS.items():
                with self.subTest(name, form=form):
                    fixture, package = make_fixture.Fixture(name), self.tmp / f"turns-{name}-{form}"
                    export(self.checkpoint(name), package, "--quant_bit", 16, *arguments, *family_arguments(fixture))
                    golden = compare.load_golden(fixture, fixture.golden)
                    got = self.runtime.turns(package, golden["ids"], TURNS)
                    self.assertLess(compare.relative_rms(got, golden["logits_16"]), tolerances.LOGITS_16_BIT)

    def test_rows_of_8_and_4_bits(self):
        for name in NAMES:
            for bits, limit in ((8, tolerances.LOGITS_8_BIT), (4, LOGITS_4_BIT_EMBEDDING)):
                with self.subTest(name, bits=bits):
                    fixture, package = make_fixture.Fixture(name), self.tmp / f"embed-{name}-{bits}"
                    export(self.checkpoint(name), package, "--quant_bit", 8, "--quant_block", fixture.meta["quant_block"], "--embed_bit", bits,
                           *family_arguments(fixture))
                    golden = compare.load_golden(fixture, fixture.golden)
                    got = self.runtime.logits(package, golden["ids"], compare.PREFILL)
                    self.assertLess(compare.relative_rms(got, golden["logits_8"].astype(np.float32)), limit)


if __name__ == "__main__":
    unittest.main()
