#!/usr/bin/env python3
"""Flavour one goes through MNN's stock converter: what comes out agrees with Hugging Face in the stock runtime, and at each
code width with what the codes mean."""
import itertools
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import tolerances  # noqa: E402
from parity.compare import PREFILL, load_golden, relative_rms  # noqa: E402
from support.decoded import decoded_checkpoint  # noqa: E402
from support.mnn_converter import StockConverter  # noqa: E402
from support.mnn_package import OP_CONVOLUTION, OP_NAME, Package, address_of  # noqa: E402
from support.onnx_case import OnnxCase, onnx_fixture_names  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.runtime import StockRuntime  # noqa: E402
from support.tool import make_fixture  # noqa: E402

# One model without and one with a window, biases, a tied head, q and k norms, the unusual activations.
QUANTISED_MODELS = ("llama_biases", "llama_gelu_erf", "llama_gelu_tanh_tied", "qwen3_layer_types_sharded", "qwen3_tied")
BITS = (4, 5, 6, 8)
GREEDY = 6


def converted_linears(package):
    """{address: Linear} of what the converter made; it calls the head's operator after the output."""
    out = {}
    for op in package.ops_of_type(OP_CONVOLUTION):
        name = op.string(OP_NAME)
        out["lm_head" if name.startswith("logits") else address_of(name)] = package.linear(op)
    return out


class MnnConvert(OnnxCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.converter, cls.runtime = StockConverter(), StockRuntime()

    @classmethod
    def tearDownClass(cls):
        cls.converter.close()
        cls.runtime.close()
        super().tearDownClass()

    def check(self, name):
        fixture = make_fixture.Fixture(name)
        directory = self.export_onnx(name, self.stored_checkpoint(name, bf16_table=True))
        golden = load_golden(fixture, fixture.golden)
        ids, want = golden["ids"], golden["logits_16"]
        decoder = OnnxDecoder(directory)
        if fixture.tied and fixture.meta["dtype"] != "bf16":
            # The engine's table is bf16, which cannot hold the golden's; another table, then.
            want = decoder.logits(ids, PREFILL)
        self.converter.convert(directory)
        got = self.runtime.logits(directory, ids, PREFILL)
        self.assertLess(relative_rms(got[:PREFILL], want[:PREFILL]), tolerances.LOGITS_16_BIT, "prefill")
        self.assertLess(relative_rms(got[PREFILL:], want[PREFILL:]), tolerances.LOGITS_16_BIT, "decode")
        # The runtime asks for the last row only.
        self.assertEqual(self.runtime.greedy(directory, ids, GREEDY), decoder.greedy(ids, GREEDY))

    def test_every_code_width(self):
        for name, bits in itertools.product(QUANTISED_MODELS, BITS):
            with self.subTest(model=name, bits=bits):
                fixture = make_fixture.Fixture(name)
                directory = self.export_onnx(name, self.checkpoint(name))
                self.converter.convert(directory, "--weightQuantBits", bits, "--weightQuantBlock", 32)
                linears = converted_linears(Package(directory))
                self.assertEqual({(w.bits, w.block) for w in linears.values()}, {(bits, 32)})
                decoded = decoded_checkpoint(name, linears, self.tmp / f"decoded-{name}-{bits}")
                ids = make_fixture.token_ids(fixture.vocab_size)
                want = OnnxDecoder(self.export_onnx(name, decoded)).logits(ids, PREFILL)
                self.assertLess(relative_rms(self.runtime.logits(directory, ids, PREFILL), want), tolerances.LOGITS_16_BIT)

    def test_every_opset(self):
        for name, opset in itertools.product(("qwen3_layer_types_sharded",), range(17, 24)):
            with self.subTest(model=name, opset=opset):
                golden = load_golden(make_fixture.Fixture(name), make_fixture.Fixture(name).golden)
                directory = self.export_onnx(name, self.stored_checkpoint(name), "--onnx_opset", opset)
                self.converter.convert(directory)
                got = self.runtime.logits(directory, golden["ids"], PREFILL)
                self.assertLess(relative_rms(got, golden["logits_16"]), tolerances.LOGITS_16_BIT)


def add_tests():
    for name in onnx_fixture_names():
        def test(self, name=name):
            self.check(name)
        setattr(MnnConvert, f"test_{name}", test)


add_tests()

if __name__ == "__main__":
    unittest.main()
