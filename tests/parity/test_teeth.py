#!/usr/bin/env python3
"""The parity check has teeth: a checkpoint spoilt in one way must turn the 16-bit check red on every fixture."""
import sys
import pathlib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import compare, tolerances  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402


class Teeth(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weakest = {}

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        print()
        for mutation, (error, name) in sorted(cls.weakest.items()):
            print(f"{mutation}: smallest relative RMS {error:.1e} ({name}), limit of the check {tolerances.LOGITS_16_BIT:.0e}")

    def check(self, name, mutation):
        fixture = compare.make_fixture.Fixture(name)
        spoilt = self.checkpoint(name, mutate=mutation)
        error = max(compare.measure(self.runtime, fixture, spoilt, self.tmp / f"package-{name}-{mutation}", 16, "default"))
        self.weakest[mutation] = min(self.weakest.get(mutation, (float("inf"), "")), (error, name))
        self.assertGreater(error, tolerances.LOGITS_16_BIT, "the spoilt checkpoint passes the parity check")


def add_tests():
    for name in compare.make_fixture.fixture_names():
        for mutation in compare.make_fixture.Fixture(name).mutations():
            def test(self, name=name, mutation=mutation):
                self.check(name, mutation)
            setattr(Teeth, f"test_{name}_wrong_{mutation}_is_seen", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
