#!/usr/bin/env python3
"""--method: what `search` and `hqq` store, read by an independent decoder: `search` has the least error of every
matrix, and other numbers of threads give the same bytes."""
import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.mnn_package import Package, address_of_tensor  # noqa: E402
from support.tool import TempDirCase, export, make_fixture  # noqa: E402

MODEL = "qwen3_tied"
SCHEMES = ((4, 64, ()), (3, 32, ()), (2, 64, ()), (8, 64, ()), (4, 0, ()), (4, 64, ("--sym",)), (6, 16, ("--scale_bit", 32)))
METHODS = ("rtn", "hqq", "search")


class Methods(TempDirCase):
    def setUp(self):
        super().setUp()
        self.model = self.checkpoint(MODEL)
        source = make_fixture.Fixture(MODEL).source()
        self.source = {address_of_tensor(name, role): values.astype(np.float64) for name, (role, values) in source.items()}
        self.source.setdefault("lm_head", self.source["embed_tokens"])

    def package(self, method, bits, block, extra, *more):
        out = self.tmp / "-".join(map(str, (self.id(), method, bits, block, *extra, *more)))
        export(self.model, out, "--method", method, "--quant_bit", bits, "--quant_block", block, *extra, *more)
        return out

    def test_errors(self):
        for bits, block, extra in SCHEMES:
            errors = {}
            for method in METHODS:
                if method == "hqq" and "--sym" in extra:
                    continue
                linears = Package(self.package(method, bits, block, extra)).linears()
                errors[method] = {name: float(((l.weight - self.source[name]) ** 2).sum()) for name, l in linears.items()}
            with self.subTest(bits=bits, block=block, extra=extra):
                for name, error in errors["search"].items():
                    self.assertLess(error, errors["rtn"][name], name)
                    if "hqq" in errors:
                        self.assertLess(error, errors["hqq"][name], name)
                if "hqq" in errors:
                    self.assertLess(sum(errors["hqq"].values()), sum(errors["rtn"].values()))

    def test_threads(self):
        for method in ("hqq", "search"):
            one, many = (self.package(method, 4, 32, (), "--threads", threads) for threads in (1, 3))
            for name in ("llm.mnn", "llm.mnn.weight", "llm2mnn.json"):
                self.assertEqual((one / name).read_bytes(), (many / name).read_bytes(), f"{method}: {name}")

    def test_the_short_form_and_the_record(self):
        export(self.model, self.tmp / "short", "--hqq")
        export(self.model, self.tmp / "long", "--method", "hqq")
        for name in ("llm.mnn.weight", "llm2mnn.json"):
            self.assertEqual((self.tmp / "short" / name).read_bytes(), (self.tmp / "long" / name).read_bytes())
        self.assertIn('"method": "hqq"', (self.tmp / "long" / "llm2mnn.json").read_text())

    def test_a_quantised_embedding_file_has_the_method_too(self):
        errors = {}
        for method in METHODS:
            package = Package(self.package(method, 4, 32, ("--embed_bit", 4)))
            table = self.source["embed_tokens"]
            errors[method] = float(((package.embedding(len(table)) - table) ** 2).sum())
        self.assertLess(errors["search"], errors["hqq"])
        self.assertLess(errors["hqq"], errors["rtn"])


if __name__ == "__main__":
    unittest.main()
