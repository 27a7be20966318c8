#!/usr/bin/env python3
"""Words of family files that no fixture of tests/fixtures uses: the ONNX file, in every flavour in onnxruntime and through MNN's
stock converter, computes what the native package of the same checkpoint computes in the stock runtime."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity.compare import PREFILL, relative_rms  # noqa: E402
from parity.tolerances import LOGITS_16_BIT  # noqa: E402
from support.mnn_converter import StockConverter  # noqa: E402
from support.onnx_case import OnnxCase, check_file  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.runtime import StockRuntime  # noqa: E402
from support.tool import export, make_fixture  # noqa: E402

FIXTURE = "llama_gqa"
HEADER = 'source = "invented"\nmodel_types = ["llama"]\narchitectures = ["LlamaForCausalLM"]\ninherits = "llama"\n'
SLIDING = '[attention]\nsliding_window = "5"\nlayer_types = { default = "i % 2 == 0 ? sliding : full" }\n'
# {what: (the rest of a family file, changed config keys)}
WORDS = {
    "a layer without rotation": ('[rope]\nenabled = "i % 2"\n', {}),
    "rotation of half a head": ('[rope]\ndim = "head_dim / 2"\n', {"head_dim": 32}),
    "rotation of a quarter of a head": ('[rope]\ndim = "head_dim / 4"\n', {"head_dim": 64}),
    "rotation of neighbours": ('[rope]\npairing = "pair"\n', {}),
    "two rotations": (SLIDING + '[rope.sliding]\ntheta = "1000"\n', {}),
    "sliding layers only": ('[attention]\nsliding_window = "5"\nlayer_types = { default = "sliding" }\n', {}),
    "factors": ('[model]\nembed_scale = "12"\nlogit_scale = "0.25"\n[attention]\nscale = "0.1"\n', {}),
    "a cap on logits": ('[model]\nlogit_softcap = "2"\n', {}),
    "norms with a mean": ('[norm]\nkind = "layer"\n', {}),
    "an offset of gammas": ('[norm]\ngamma_offset = "1"\n', {}),
    "relu": ('[mlp]\nactivation = "relu"\n[harmless]\nhidden_act = "overruled"\n', {}),
    "plain relu": ('[mlp]\nkind = "plain"\nactivation = "relu"\n[ignore]\n"*.gate_proj.weight" = "unused"\n[harmless]\nhidden_act = "overruled"\n', {}),
    "plain silu": ('[mlp]\nkind = "plain"\n[ignore]\n"*.gate_proj.weight" = "unused"\n', {}),
}


class FamilyWords(OnnxCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.converter, cls.runtime = StockConverter(), StockRuntime()

    @classmethod
    def tearDownClass(cls):
        cls.converter.close()
        cls.runtime.close()
        super().tearDownClass()

    def check(self, what):
        text, changes = WORDS[what]
        tag = what.replace(" ", "_")
        family = self.tmp / f"{tag}.toml"
        family.write_text(HEADER + text)
        checkpoint = self.checkpoint(FIXTURE, **changes)
        ids = make_fixture.token_ids(make_fixture.Fixture(FIXTURE).config["vocab_size"])
        export(checkpoint, self.tmp / f"{tag}-mnn", "--quant_bit", 32, "--family", family)
        want = self.runtime.logits(self.tmp / f"{tag}-mnn", ids, PREFILL)
        plain = self.tmp / f"{tag}-without"
        export(checkpoint, plain, "--quant_bit", 32)
        self.assertGreater(relative_rms(self.runtime.logits(plain, ids, PREFILL), want), 100 * LOGITS_16_BIT, "the word changes nothing")
        errors = {}
        for flavour in ("one", "ort", "genai"):
            directory = self.tmp / f"{tag}-{flavour}"
            export(checkpoint, directory, "--export", "onnx", "--onnx_flavour", flavour, "--family", family)
            check_file(directory)
            errors[flavour] = relative_rms(OnnxDecoder(directory).logits(ids, PREFILL), want)
        self.converter.convert(self.tmp / f"{tag}-one")
        errors["converted"] = relative_rms(self.runtime.logits(self.tmp / f"{tag}-one", ids, PREFILL), want)
        self.assertEqual({f: e for f, e in errors.items() if not e < LOGITS_16_BIT}, {})


def add_tests():
    for what in WORDS:
        def test(self, what=what):
            self.check(what)
        setattr(FamilyWords, "test_" + what.replace(" ", "_"), test)


add_tests()

if __name__ == "__main__":
    unittest.main()
