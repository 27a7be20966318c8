#!/usr/bin/env python3
"""SmolLM2-135M-Instruct as ONNX, against what transformers says: in onnxruntime, in onnxruntime-genai, and through MNN's stock
converter in the stock runtime. The checkpoint is that of test_smollm2.py."""
import filecmp
import pathlib
import re
import shutil
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity.compare import relative_rms  # noqa: E402
from parity.tolerances import LOGITS_16_BIT  # noqa: E402
from real.test_smollm2 import CHECKPOINT, GOLDEN  # noqa: E402
from support.genai_decoder import GenaiDecoder  # noqa: E402
from support.mnn_converter import StockConverter  # noqa: E402
from support.onnx_case import check_file  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import export, run  # noqa: E402

# Half of the golden's: float32 decodes a token in a tenth of a second.
GREEDY = 16


def splits_elsewhere(text):
    """Whether genai's own reading of tokenizer.json may cut `text` at other places than Hugging Face's: it takes all spaces in
    front of a digit together, and numbers that are no digits as other signs."""
    return re.search(r"\s\s\d", text) or any(c.isnumeric() and not c.isascii() for c in text)


class SmolLM2Onnx(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not CHECKPOINT.is_dir():
            raise RuntimeError(f"{CHECKPOINT} does not exist; ./test.sh sets it up")
        cls.one = cls.tmp / "one"
        export(CHECKPOINT, cls.one, "--export", "onnx")

    def test_the_checker_passes(self):
        check_file(self.one)

    def test_onnxruntime_gives_the_logits_of_the_float_model(self):
        decoder = OnnxDecoder(self.one)
        (golden,) = GOLDEN["logits"]
        ids, want = golden["prompt_ids"], np.array(golden["rows"])
        # The golden's weights are exact in FP16, as a 16-bit package holds them; here they are the checkpoint's own.
        self.assertLess(relative_rms(decoder.logits(ids, len(ids) - 4)[:, ::golden["stride"]], want), LOGITS_16_BIT)
        for greedy in GOLDEN["greedy"]:
            self.assertEqual(decoder.greedy(greedy["prompt_ids"], GREEDY), greedy["new_ids"][:GREEDY])

    def test_genai_answers_from_the_package_as_it_stands(self):
        package = self.tmp / "genai"
        export(CHECKPOINT, package, "--export", "onnx", "--onnx_flavour", "genai", "--dtype", "fp16")
        decoder = GenaiDecoder(package)
        for greedy in GOLDEN["greedy"]:
            self.assertEqual(decoder.greedy(greedy["prompt_ids"], GREEDY), greedy["new_ids"][:GREEDY])
        encodings = [(text, ids) for text, ids in GOLDEN["encodings"] if not splits_elsewhere(text)]
        self.assertGreater(len(encodings), 250)
        wrong = [(text, want, ids) for (text, want), ids in zip(encodings, decoder.encode([t for t, _ in encodings])) if ids != want]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(encodings)} strings differ")
        self.assertEqual(decoder.chat([c for c, _ in GOLDEN["chats"]]), [prompt for _, prompt in GOLDEN["chats"]])
        shutil.rmtree(package)

    def test_our_conversion_is_the_direct_export(self):
        direct, converted = self.tmp / "direct", self.tmp / "converted"
        for bits in (4, 6):
            with self.subTest(bits=bits):
                export(CHECKPOINT, direct, "--quant_bit", bits, "--overwrite")
                done = run("convert", "--model", self.one, "--dst_path", converted, "--quant_bit", bits, "--overwrite")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                names = sorted(p.name for p in direct.iterdir())
                self.assertEqual(sorted(p.name for p in converted.iterdir()), names)
                self.assertEqual(filecmp.cmpfiles(direct, converted, names, shallow=False), (names, [], []))

    def test_the_stock_converter_makes_a_package_of_it(self):
        converter = StockConverter()
        self.addCleanup(converter.close)
        converter.convert(self.one, "--weightQuantBits", 8, "--weightQuantBlock", 64)
        for greedy in GOLDEN["greedy"]:
            self.assertEqual(self.runtime.greedy(self.one, greedy["prompt_ids"], GREEDY), greedy["new_ids"][:GREEDY])


if __name__ == "__main__":
    unittest.main()
