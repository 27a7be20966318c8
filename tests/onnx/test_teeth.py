#!/usr/bin/env python3
"""The checks of this folder have teeth: a spoilt checkpoint, and a file spoilt in one place, must turn them red, and where it
is only the batch or only the decode that suffers, that part of the check."""
import pathlib
import sys
import unittest

import numpy as np
from onnx import numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from compare_onnx import measure_onnx  # noqa: E402
from parity.compare import PREFILL, relative_rms  # noqa: E402
from parity.tolerances import LOGITS_16_BIT  # noqa: E402
from support import onnx_file  # noqa: E402
from support.genai_decoder import GenaiDecoder  # noqa: E402
from support.mnn_converter import StockConverter  # noqa: E402
from support.onnx_case import OnnxCase  # noqa: E402
from support.runtime import RuntimeFailure, StockRuntime  # noqa: E402
from support.tool import make_fixture  # noqa: E402

# Both masks, q and k norms, GQA.
MODEL = "qwen3_layer_types_sharded"
LAYER = "model.layers.1."
ALL = {"prefill", "decode", "whole row", "padded row"}


def node(model, name):
    """The node of layer 1 whose name ends so."""
    (found,) = [n for n in model.graph.node if n.name == "/layers.1/" + name]
    return found


def function_node(model, domain, output):
    """The node with that output in the function of that domain."""
    (function,) = [f for f in model.functions if f.domain == domain]
    (found,) = [n for n in function.node if list(n.output) == [output]]
    return found


def swap_data(model, first, second):
    a, b = (onnx_file.initializers(model)[LAYER + n] for n in (first, second))
    a_data, b_data = onnx_file.array(a), onnx_file.array(b)
    onnx_file.replace(model, a.name, b_data)
    onnx_file.replace(model, b.name, a_data)


def change(model, name, edit):
    (tensor,) = [t for t in model.graph.initializer if t.name.endswith(name)]
    onnx_file.replace(model, tensor.name, edit(onnx_file.array(tensor)))


def swap_inputs(n):
    first, second = n.input
    n.input[:] = [second, first]


def no_window(model):
    less = function_node(model, "org.llm2mnn.sliding", "near")
    constant = function_node(model, "org.llm2mnn.sliding", less.input[1])
    constant.attribute[0].t.CopyFrom(numpy_helper.from_array(np.array(1000, np.int64), constant.attribute[0].t.name))


def no_padding(model):
    for domain in ("org.llm2mnn.full", "org.llm2mnn.sliding"):
        both = function_node(model, domain, "both")
        both.input[1] = both.input[0]


def scale(model, factor):
    name = node(model, "self_attn/attention/output/scaled").input[1]
    change(model, name, lambda x: x * np.float32(factor))


# {what: (edit of the model, which parts of the check must see it)}
MUTATIONS = {
    "gate and up of a layer exchanged": (lambda m: swap_data(m, "mlp.gate_proj.weight_t", "mlp.up_proj.weight_t"), ALL),
    "key and value of a layer exchanged": (lambda m: swap_data(m, "self_attn.k_proj.weight_t", "self_attn.v_proj.weight_t"), ALL),
    "rows of the table shifted": (lambda m: change(m, "embed_tokens.weight", lambda x: np.roll(x, 1, 0)), ALL),
    "a q_norm of ones": (lambda m: change(m, LAYER + "self_attn.q_norm.weight", np.ones_like), ALL),
    "sines with the other sign": (lambda m: change(m, "table_sin_low", np.negative), ALL),
    "cosines of the next position": (lambda m: change(m, "table_cos_low", lambda x: np.roll(x, -1, 0)), ALL),
    "no window": (no_window, ALL),
    "padding attended to": (no_padding, {"padded row"}),
    "past behind the present": (lambda m: swap_inputs(node(m, "self_attn/attention/output/key/all")), {"decode", "whole row", "padded row"}),
    "scores scaled by 0.9": (lambda m: scale(m, 0.9), ALL),
}


class Teeth(OnnxCase):
    def spoilt_file(self, tag, edit, flavour="one"):
        model = onnx_file.load(self.export_onnx(MODEL, self.stored_checkpoint(MODEL), "--onnx_flavour", flavour))
        edit(model)
        return onnx_file.save(model, self.tmp / f"spoilt-{flavour}-{tag}".replace(" ", "-"))

    def test_an_unspoilt_copy_passes(self):
        errors = measure_onnx(make_fixture.Fixture(MODEL), self.spoilt_file("not", lambda m: None), batch=True)
        self.assertLess(max(errors.values()), LOGITS_16_BIT)

    def test_spoilt_files(self):
        for what, (edit, seen_by) in MUTATIONS.items():
            with self.subTest(spoilt=what):
                errors = measure_onnx(make_fixture.Fixture(MODEL), self.spoilt_file(what, edit), batch=True)
                self.assertEqual({part for part, e in errors.items() if not e < LOGITS_16_BIT}, seen_by, errors)

    def test_spoilt_checkpoints(self):
        fixture = make_fixture.Fixture(MODEL)
        for mutation in fixture.mutations():
            with self.subTest(mutation=mutation):
                errors = measure_onnx(fixture, self.export_onnx(MODEL, self.stored_checkpoint(MODEL, mutation)), batch=False)
                self.assertGreater(max(errors.values()), LOGITS_16_BIT)

    def test_a_spoilt_file_in_genai(self):
        golden = np.load(make_fixture.Fixture(MODEL).golden)
        package = self.export_onnx(MODEL, self.stored_checkpoint(MODEL), "--onnx_flavour", "genai")
        edits = {"cosines": lambda m: change(m, "/cos_cache", lambda x: np.roll(x, -1, 0)),
                 "values": lambda m: change(m, LAYER + "self_attn.v_proj.weight_t", np.negative)}
        for what, edit in edits.items():
            with self.subTest(spoilt=what):
                spoilt = self.spoilt_file(what, edit, "genai")
                for file in package.iterdir():
                    if file.suffix == ".json":
                        (spoilt / file.name).write_bytes(file.read_bytes())
                got = GenaiDecoder(spoilt).logits(golden["ids"], PREFILL)
                self.assertGreater(relative_rms(got, golden["logits_16"][PREFILL - 1:]), LOGITS_16_BIT)

    def test_a_spoilt_file_through_the_converter(self):
        converter, runtime = StockConverter(), StockRuntime()
        self.addCleanup(converter.close)
        self.addCleanup(runtime.close)
        golden = np.load(make_fixture.Fixture(MODEL).golden)
        package = self.export_onnx(MODEL, self.stored_checkpoint(MODEL))
        edits = {"rotation": lambda m: change(m, "table_sin_low", np.negative),
                 # To onnxruntime the same sum; the converter goes by the order and makes no attention of it.
                 "mask first": lambda m: swap_inputs(node(m, "self_attn/attention/output/masked"))}
        for what, edit in edits.items():
            with self.subTest(spoilt=what):
                spoilt = self.spoilt_file("converter " + what, edit)
                for file in package.iterdir():
                    if not file.name.startswith("llm.onnx"):
                        (spoilt / file.name).write_bytes(file.read_bytes())
                try:
                    converter.convert(spoilt)
                    error = relative_rms(runtime.logits(spoilt, golden["ids"], PREFILL), golden["logits_16"])
                except RuntimeFailure:
                    error = float("inf")
                self.assertGreater(error, LOGITS_16_BIT)


if __name__ == "__main__":
    unittest.main()
