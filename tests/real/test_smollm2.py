#!/usr/bin/env python3
"""A real model, SmolLM2-135M-Instruct, through the tool and the stock runtime, against what transformers says.

The checkpoint is what test.sh sets up (build/SmolLM2-135M-Instruct, or the directory in LLM2MNN_SMOLLM2)."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity.tolerances import LOGITS_16_BIT  # noqa: E402
from support.runtime_case import RuntimeCase  # noqa: E402
from support.tool import ROOT, export  # noqa: E402

CHECKPOINT = pathlib.Path(os.environ.get("LLM2MNN_SMOLLM2", ROOT / "build" / "SmolLM2-135M-Instruct"))
GOLDEN = json.loads((pathlib.Path(__file__).parent / "smollm2.json").read_text())


class SmolLM2(RuntimeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not CHECKPOINT.is_dir():
            raise RuntimeError(f"{CHECKPOINT} does not exist; ./test.sh sets it up")
        cls.packages = {}
        for bits in (16, 8, 4):
            cls.packages[bits] = cls.tmp / f"package-{bits}"
            export(CHECKPOINT, cls.packages[bits], "--quant_bit", bits, "--quant_block", 64)

    def test_greedy_tokens_at_8_bit_are_those_of_the_float_model(self):
        for golden in GOLDEN["greedy"]:
            with self.subTest(prompt=golden["prompt"]):
                got = self.runtime.greedy(self.packages[8], golden["prompt_ids"], len(golden["new_ids"]))
                self.assertEqual(got, golden["new_ids"])

    def test_logits_at_16_bit_are_those_of_the_float_model(self):
        # The bf16 weights are exact in FP16, both sides compute in float32; thirty layers of it.
        (golden,) = GOLDEN["logits"]
        want = np.array(golden["rows"])
        ids = golden["prompt_ids"]
        got = self.runtime.logits(self.packages[16], ids, len(ids) - 4)[:, ::golden["stride"]]
        error = float(np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2)))
        print(f"\nSmolLM2 at 16 bits: relative RMS {error:.1e}")
        self.assertLess(error, LOGITS_16_BIT)

    def test_the_4_bit_package_answers_sensibly(self):
        answer = subprocess.run([sys.executable, ROOT / "tools" / "ask.py", self.packages[4], "What is the capital of France?"],
                                capture_output=True, text=True, timeout=300, check=True).stdout
        self.assertIn("Paris", answer)

    def test_the_runtime_tokenizer_gives_the_same_ids(self):
        texts = [text for text, _ in GOLDEN["encodings"]]
        got = self.runtime.encode(self.packages[8], texts)
        wrong = [(text, want, ids) for (text, want), ids in zip(GOLDEN["encodings"], got) if ids != want]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(texts)} strings differ")

    def test_the_runtime_renders_the_chat_template_alike(self):
        got = self.runtime.chat(self.packages[8], [c for c, _ in GOLDEN["chats"]])
        self.assertEqual(got, [prompt for _, prompt in GOLDEN["chats"]])


if __name__ == "__main__":
    unittest.main()
