#!/usr/bin/env python3
"""Every fixture, at 16 and 8 bit, in both graph forms: the stock runtime agrees with Hugging Face, in the prefill and
in each decode step."""
import sys
import pathlib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import compare, tolerances  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402

LIMITS = {16: tolerances.LOGITS_16_BIT, 8: tolerances.LOGITS_8_BIT}


class Parity(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.worst = {}

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        print()
        for (bits, form), (error, name) in sorted(cls.worst.items()):
            print(f"worst relative RMS at {bits} bit, {form} form: {error:.2e} ({name}), limit {LIMITS[bits]:.0e}")

    def check(self, name, bits, form):
        fixture = compare.make_fixture.Fixture(name)
        package = self.tmp / f"package-{name}-{bits}-{form}"
        errors = compare.measure(self.runtime, fixture, self.checkpoint(name), package, bits, form)
        self.worst[bits, form] = max(self.worst.get((bits, form), (0, "")), (max(errors), name))
        self.assertLess(max(errors), LIMITS[bits], f"relative RMS: prefill {errors[0]:.2e}, decode {errors[1]:.2e}")


    def test_far_positions(self):
        names = [n for n in compare.make_fixture.fixture_names() if compare.make_fixture.Fixture(n).golden_far.exists()]
        self.assertTrue(names)
        for name in names:
            for form in compare.FORMS:
                with self.subTest(model=name, form=form):
                    fixture = compare.make_fixture.Fixture(name)
                    errors = compare.measure_far(self.runtime, fixture, self.checkpoint(name), self.tmp / f"far-{name}-{form}", form)
                    print(f"\n{name}, {form} form, around position 2048: prefill {errors[0]:.1e}, decode {errors[1]:.1e}")
                    self.assertLess(max(errors), tolerances.LOGITS_16_BIT_FAR)


def add_tests():
    for name in compare.make_fixture.fixture_names():
        for bits in LIMITS:
            for form in compare.FORMS:
                def test(self, name=name, bits=bits, form=form):
                    self.check(name, bits, form)
                setattr(Parity, f"test_{name}_{bits}_bit_{form}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
