#!/usr/bin/env python3
"""onnxruntime-genai runs what `--onnx_flavour genai` writes as it stands, and llm.onnx of flavour one beside the same files:
logits are Hugging Face's, greedy ids those of onnxruntime, generation stops at an end, token ids are those of tokenizers."""
import json
import pathlib
import shutil
import sys
import unittest

import tokenizers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from parity import tolerances  # noqa: E402
from parity.compare import PREFILL, load_golden, relative_rms  # noqa: E402
from support.genai_decoder import GenaiDecoder  # noqa: E402
from support.onnx_case import OnnxCase  # noqa: E402
from support.onnx_decoder import OnnxDecoder  # noqa: E402
from support.tool import export, make_fixture  # noqa: E402

# MHA, GQA and MQA, tied and not, biases, scaled rotary, no window, one window, both masks, q and k norms.
MODELS = ("llama_biases", "deepseek_v3_groups", "llama_mha_tied_f32", "llama_yarn_mscale", "mistral_window", "qwen2_rope_parameters_dynamic_mqa",
          "qwen3_layer_types_sharded", "qwen3_tied")
GREEDY = 8


class Genai(OnnxCase):
    def package(self, name, flavour, *arguments):
        """What genai loads: the export of flavour genai, or that with llm.onnx of `flavour`."""
        checkpoint = self.stored_checkpoint(name)
        genai = self.export_onnx(name, checkpoint, "--onnx_flavour", "genai", *arguments)
        if flavour == "genai":
            return genai
        out = self.tmp / "-".join(["genai-files", name, flavour, *map(str, arguments)])
        shutil.copytree(self.export_onnx(name, checkpoint, "--onnx_flavour", flavour, *arguments), out)
        for file in genai.iterdir():
            if not (out / file.name).exists():
                shutil.copyfile(file, out / file.name)
        return out

    def test_logits_and_greedy_ids(self):
        for name in MODELS:
            for flavour in ("genai", "one", "ort"):
                with self.subTest(model=name, flavour=flavour):
                    directory = self.package(name, flavour)
                    golden = load_golden(make_fixture.Fixture(name), make_fixture.Fixture(name).golden)
                    decoder = GenaiDecoder(directory)
                    got = decoder.logits(golden["ids"], PREFILL)
                    self.assertLess(relative_rms(got, golden["logits_16"][PREFILL - 1:]), tolerances.LOGITS_16_BIT)
                    ids = golden["ids"][:PREFILL]
                    self.assertEqual(decoder.greedy(ids, GREEDY), OnnxDecoder(directory).greedy(ids, GREEDY))

    def test_quantised_and_fp16_files(self):
        for arguments in (("--onnx_quant", "matmulnbits", "--quant_bit", 4), ("--onnx_quant", "matmulnbits", "--quant_bit", 8),
                          ("--dtype", "fp16")):
            with self.subTest(arguments=arguments):
                directory = self.package("qwen3_tied", "genai", *arguments)
                ids = make_fixture.token_ids(make_fixture.Fixture("qwen3_tied").config["vocab_size"])[:PREFILL]
                self.assertEqual(GenaiDecoder(directory).greedy(ids, GREEDY), OnnxDecoder(directory).greedy(ids, GREEDY))

    def edited_checkpoint(self, name, tag, file, edit):
        """A copy of a checkpoint of which `edit` has changed the object in a JSON file."""
        checkpoint = self.tmp / f"edited-{name}-{tag}"
        shutil.copytree(self.stored_checkpoint(name), checkpoint)
        values = json.loads((checkpoint / file).read_text())
        edit(values)
        (checkpoint / file).write_text(json.dumps(values))
        return checkpoint

    def test_generation_stops_at_each_end(self):
        """With its own second id, or a list with that id, as the model's end, a greedy decode has two ids."""
        name = "llama_biases"
        directory = self.package(name, "genai")
        ids = make_fixture.token_ids(make_fixture.Fixture(name).config["vocab_size"])[:PREFILL]
        first, second = GenaiDecoder(directory).greedy(ids, 2)
        self.assertNotEqual(first, second)
        for end in (second, [1, second]):
            with self.subTest(end=end):
                checkpoint = self.edited_checkpoint(name, f"end-{end}", "config.json", lambda c, end=end: c.update(eos_token_id=end))
                package = self.export_onnx(name, checkpoint, "--onnx_flavour", "genai")
                self.assertEqual(GenaiDecoder(package).greedy(ids, GREEDY), [first, second])

    def test_ids_that_the_model_does_not_have(self):
        """genai loads no model with an end beyond its logits, and takes a padding of -1 for one."""
        vocab_size = make_fixture.Fixture("llama_gqa").config["vocab_size"]
        for ids in ({"pad_token_id": -1}, {"eos_token_id": [2, vocab_size]}, {"bos_token_id": vocab_size, "pad_token_id": vocab_size}):
            with self.subTest(ids=ids):
                checkpoint = self.edited_checkpoint("llama_gqa", f"ids-{ids}".replace(" ", ""), "config.json", lambda c, ids=ids: c.update(ids))
                package = self.export_onnx("llama_gqa", checkpoint, "--onnx_flavour", "genai")
                model = json.loads((package / "genai_config.json").read_text())["model"]
                self.assertEqual({k: model.get(k) for k in ("eos_token_id", "pad_token_id")}, {"eos_token_id": 2, "pad_token_id": 2})
                self.assertEqual(len(GenaiDecoder(package).greedy([5, 6, 7], 1)), 1)

    def test_the_template_that_was_chosen(self):
        own = self.tmp / "own.jinja"
        own.write_text("{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}")
        entries = [{"name": name, "template": text} for name, text in (("default", own.read_text()), ("tool_use", "of tools"))]
        listed = self.edited_checkpoint("llama_gqa", "list", "tokenizer_config.json", lambda c: c.update(chat_template=entries))
        for checkpoint, arguments in ((self.stored_checkpoint("llama_gqa"), ("--chat_template", own)), (listed, ())):
            with self.subTest(arguments=arguments):
                decoder = GenaiDecoder(self.export_onnx("llama_gqa", checkpoint, "--onnx_flavour", "genai", *arguments))
                self.assertEqual(decoder.chat([[{"role": "user", "content": "hi"}]]), ["<user>hi"])

    def test_a_checkpoint_without_tokenizer_json(self):
        """genai reads no other tokenizer; the export says so, and ids it takes all the same."""
        checkpoint = self.tmp / "vocab-and-merges"
        shutil.copytree(self.stored_checkpoint("llama_gqa"), checkpoint)
        model = json.loads((checkpoint / "tokenizer.json").read_text())["model"]
        (checkpoint / "vocab.json").write_text(json.dumps(model["vocab"]))
        (checkpoint / "merges.txt").write_text("\n".join(m if isinstance(m, str) else " ".join(m) for m in model["merges"]))
        (checkpoint / "tokenizer.json").unlink()
        config = json.loads((checkpoint / "tokenizer_config.json").read_text())
        (checkpoint / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "GPT2Tokenizer"}))
        printed = export(checkpoint, self.tmp / "ids-only", "--export", "onnx", "--onnx_flavour", "genai")
        self.assertIn("onnxruntime-genai reads tokenizer.json only", printed)
        self.assertEqual(len(GenaiDecoder(self.tmp / "ids-only").greedy([5, 6, 7], 3)), 3)

    def test_token_ids_and_prompts(self):
        directory = self.package("llama_gqa", "genai")
        reference = tokenizers.Tokenizer.from_file(str(make_fixture.TOKENIZER / "tokenizer.json"))
        texts = ["hello world", "a b  c", "x<|im_end|>y", ""]
        self.assertEqual(GenaiDecoder(directory).encode(texts), [reference.encode(t).ids for t in texts])
        (prompt,) = GenaiDecoder(directory).chat([[{"role": "user", "content": "hi"}]])
        self.assertEqual(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")


if __name__ == "__main__":
    unittest.main()
