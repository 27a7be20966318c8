#!/usr/bin/env python3
"""Fixtures of odd sizes, at 8 and 4 bit, in both graph forms: at "memory": "low", as packages ask for, the stock runtime
computes what it computes at "memory": "high"."""
import sys
import pathlib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import compare, tolerances  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402

WIDTHS = (8, 4)


class LowMemory(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.worst = {}

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        print()
        for (bits, form), (error, name) in sorted(cls.worst.items()):
            print(f"worst relative RMS at {bits} bit, {form} form: {error:.2e} ({name}), limit {tolerances.LOW_MEMORY:.0e}")

    def test_there_are_fixtures_of_odd_sizes(self):
        self.assertGreaterEqual(len(compare.odd_sizes()), 2)

    def check(self, name, bits, form):
        fixture = compare.make_fixture.Fixture(name)
        package = self.tmp / f"package-{name}-{bits}-{form}"
        errors = compare.measure_low_memory(self.runtime, fixture, self.checkpoint(name), package, bits, form)
        self.worst[bits, form] = max(self.worst.get((bits, form), (0, "")), (max(errors), name))
        self.assertLess(max(errors), tolerances.LOW_MEMORY, f"relative RMS: prefill {errors[0]:.2e}, decode {errors[1]:.2e}")


def add_tests():
    for name in compare.odd_sizes():
        for bits in WIDTHS:
            for form in compare.FORMS:
                def test(self, name=name, bits=bits, form=form):
                    self.check(name, bits, form)
                setattr(LowMemory, f"test_{name}_{bits}_bit_{form}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
