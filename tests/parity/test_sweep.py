#!/usr/bin/env python3
"""Every stored tensor, moved in turn, moves the logits of the export as it moves the reference's: none is read and dropped, and none goes
to another's place."""
import sys
import pathlib
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import compare, tolerances  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import export, family_arguments, make_fixture  # noqa: E402


class Sweep(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.worst, cls.swept = (0, ""), 0

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        print(f"\n{cls.swept} tensors; worst error of a change {cls.worst[0]:.1e} of it ({cls.worst[1]}), limit {tolerances.SWEEP:.0e}")

    def logits(self, fixture, checkpoint, uncoded, arguments):
        make_fixture.write_weights(checkpoint, fixture.stored_parts(uncoded), fixture.meta["dtype"], "single")
        package = self.tmp / "package"
        export(checkpoint, package, "--quant_bit", 16, "--overwrite", *arguments)
        return self.runtime.logits(package, make_fixture.token_ids(fixture.vocab_size), 32)

    def faults(self, name, *arguments, part=""):
        """{tensor: error of its change relative to the reference's change} of those above the limit. `arguments` of the export;
        only tensors with `part` in their name are moved."""
        fixture = make_fixture.Fixture(name)
        golden = compare.load_golden(fixture, fixture.golden_sweep)["change"]
        checkpoint = self.checkpoint(name, form="single")
        arguments = list(arguments) or family_arguments(fixture)
        uncoded, out = fixture.uncoded(), {}
        base = self.logits(fixture, checkpoint, uncoded, arguments).astype(np.float64)
        for tensor, want in zip(uncoded, golden, strict=True):
            if part not in tensor:
                continue
            moved = self.logits(fixture, checkpoint, fixture.swept(uncoded, tensor), arguments)
            # An inert tensor may change the logits by 1e-5 of them (SWEEP of a thousandth), any other is measured by the reference.
            measure = make_fixture.projections(base) / 1000 if tensor in fixture.meta.get("inert", {}) else want
            error = float(np.linalg.norm(make_fixture.projections(moved - base) - want) / np.linalg.norm(measure))
            if not error < tolerances.SWEEP:
                out[tensor] = error
            if arguments == family_arguments(fixture):
                type(self).worst = max(self.worst, (error, f"{name}, {tensor}"))
                type(self).swept += 1
        return out

    def dropped(self, name, family, part):
        """The tensors with `part` in their name whose moves change nothing, under the family file `family`."""
        path = self.tmp / "family.toml"
        path.write_text('model_types = ["llama"]\ninherits = "llama"\n' + family)
        return {tensor for tensor, error in self.faults(name, "--family", path, part=part).items() if abs(error - 1) < 1e-4}

    def test_a_family_that_ignores_a_tensor_is_caught(self):
        dropped = self.dropped("llama_biases", """
[attention]
o_bias = false
[ignore]
"model.layers.{i}.self_attn.o_proj.bias" = "left out by a test"
""", "layers.1.")
        self.assertEqual(dropped, {"model.layers.1.self_attn.o_proj.bias"})

    def test_a_family_that_reads_a_tensor_and_drops_it_is_caught(self):
        dropped = self.dropped("llama_biases", """
[tensors]
v_proj_bias = { name = "model.layers.{i}.self_attn.v_proj.bias", scale = 0 }
""", "layers.0.")
        self.assertEqual(dropped, {"model.layers.0.self_attn.v_proj.bias"})

    def test_a_family_that_exchanges_two_tensors_is_caught(self):
        path = self.tmp / "family.toml"
        path.write_text("""model_types = ["llama"]
inherits = "llama"
[tensors]
gate_proj = "model.layers.{i}.mlp.up_proj.weight"
up_proj = "model.layers.{i}.mlp.gate_proj.weight"
""")
        self.assertLessEqual({"model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight"},
                             set(self.faults("llama_gqa", "--family", path, part="layers.0.mlp")))


def add_tests():
    for name in make_fixture.fixture_names():
        def test(self, name=name):
            self.assertEqual(self.faults(name), {}, "tensors that do not move the logits as in the reference, with the error")
        setattr(Sweep, f"test_{name}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
