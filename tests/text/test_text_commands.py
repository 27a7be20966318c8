#!/usr/bin/env python3
"""`tokenize` and `template`, as a user calls them, on SmolLM2's checkpoint and on a package made from it.

The checkpoint is what test.sh sets up (build/SmolLM2-135M-Instruct, or the directory in LLM2MNN_SMOLLM2)."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

import tokenizers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import ROOT, TempDirCase, executable, export  # noqa: E402

CHECKPOINT = pathlib.Path(os.environ.get("LLM2MNN_SMOLLM2", ROOT / "build" / "SmolLM2-135M-Instruct"))
CORPUS = [json.loads(line) for line in (ROOT / "tests" / "tokenizer" / "corpus.jsonl").read_text(encoding="utf-8").split("\n") if line]
BROKEN_INPUT, BAD_FLAG, SYSTEM = 3, 2, 5
USER = {"role": "user", "content": "Grüße, 世界"}


def call(*args, stdin=b""):
    """The finished process, with bytes."""
    return subprocess.run([executable(), *map(str, args)], input=stdin, capture_output=True, timeout=120)


class TextCommands(TempDirCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not CHECKPOINT.is_dir():
            raise RuntimeError(f"{CHECKPOINT} does not exist; ./test.sh sets it up")
        cls.package = cls.tmp / "package"
        export(CHECKPOINT, cls.package, "--quant_bit", 4)
        cls.reference = tokenizers.Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))

    def tokenize(self, stdin, *args, path=CHECKPOINT):
        done = call("tokenize", "--path", path, *args, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def ids_of(self, texts, path):
        lines = "".join(json.dumps(text) + "\n" for text in texts).encode()
        out = self.tokenize(lines, "--json_lines", path=path).decode().split("\n")
        self.assertEqual(out.pop(), "")
        return [[int(word) for word in line.split(" ") if word] for line in out]

    def expected(self, text):
        return self.reference.encode(text, add_special_tokens=False).ids

    def test_ids_are_those_of_tokenizers(self):
        for text, got in zip(CORPUS, self.ids_of(CORPUS, CHECKPOINT), strict=True):
            self.assertEqual(got, self.expected(text), text)

    def test_ids_of_a_package_are_those_of_its_runtime(self):
        texts = [text for text in CORPUS if "\x85" not in text]  # no white space to the runtime
        for text, got in zip(texts, self.ids_of(texts, self.package), strict=True):
            self.assertEqual(got, self.expected(text), text)

    def test_lines_end_at_newlines_only(self):
        texts = ["one\rtwo", "", "three\u2028four\x0c", " five "]
        out = self.tokenize("\n".join(texts).encode()).decode()
        self.assertEqual(out, "".join(" ".join(map(str, self.expected(text))) + "\n" for text in texts))
        self.assertEqual(self.tokenize(b""), b"")
        self.assertEqual(self.tokenize(b"\n"), b"\n")

    def test_a_text_file(self):
        file = self.tmp / "text.txt"
        file.write_bytes("Hello wörld\n".encode())
        self.assertEqual(self.tokenize(b"", "--text-file", file), self.tokenize(b"Hello w\xc3\xb6rld"))

    def test_decoding_gives_the_text_back(self):
        for path in (CHECKPOINT, self.package):
            texts = [text for text in CORPUS if "\x00" not in text]
            lines = "".join(" ".join(map(str, ids)) + "\n" for ids in self.ids_of(texts, CHECKPOINT)).encode()
            out = self.tokenize(lines, "--decode", "--json_lines", path=path).decode().split("\n")[:-1]
            self.assertEqual([json.loads(line) for line in out], texts)

    def refused(self, code, mentions, *args, stdin=b""):
        done = call(*args, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr)
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        for word in mentions:
            self.assertIn(word, text)

    def test_refusals_name_the_line(self):
        command = ("tokenize", "--path", CHECKPOINT)
        self.refused(BROKEN_INPUT, ["standard input line 2", "UTF-8"], *command, stdin=b"fine\n\xff\n")
        self.refused(BROKEN_INPUT, ["line 1"], *command, "--json_lines", stdin=b"bare\n")
        self.refused(BROKEN_INPUT, ["line 1", "ids"], *command, "--decode", stdin=b"1,2\n")
        self.refused(BROKEN_INPUT, ["line 2", "99999999"], *command, "--decode", stdin=b"1\n99999999\n")
        self.refused(SYSTEM, ["absent.txt"], *command, "--text_file", self.tmp / "absent.txt")
        self.refused(SYSTEM, ["absent"], "tokenize", "--path", self.tmp / "absent")
        self.refused(BAD_FLAG, ["--path"], "tokenize")

    def prompt(self, document, path):
        file = self.tmp / "messages.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        done = call("template", "--path", path, "--messages", file)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()

    def test_the_prompt_of_a_conversation(self):
        system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        turn = "<|im_start|>user\nGrüße, 世界<|im_end|>\n"
        for path in (CHECKPOINT, self.package):
            self.assertEqual(self.prompt([USER], path), system + turn + "<|im_start|>assistant\n")
            self.assertEqual(self.prompt({"messages": [{"role": "system", "content": "Short."}, USER]}, path),
                             "<|im_start|>system\nShort.<|im_end|>\n" + turn + "<|im_start|>assistant\n")
        self.assertEqual(self.prompt({"messages": [USER], "add_generation_prompt": False}, CHECKPOINT), system + turn)

    def test_refusals_of_template(self):
        file = self.tmp / "broken.json"
        file.write_text('{"tools": []}')
        self.refused(BROKEN_INPUT, ["broken.json", "messages"], "template", "--path", CHECKPOINT, "--messages", file)
        self.refused(BAD_FLAG, ["--messages"], "template", "--path", CHECKPOINT)
        file.write_text(json.dumps({"messages": [USER], "add_generation_prompt": False}))
        self.refused(4, ["add_generation_prompt"], "template", "--path", self.package, "--messages", file)

    def test_lowered_shows_template_and_proof(self):
        done = call("template", "--path", CHECKPOINT, "--lowered")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"proof:", done.stdout)

    def test_weights_are_not_read(self):
        bare = self.tmp / "bare"
        bare.mkdir()
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (bare / name).write_bytes((CHECKPOINT / name).read_bytes())
        self.assertEqual(self.tokenize(b"Hello", path=bare), self.tokenize(b"Hello"))
        self.assertIn("user", self.prompt([USER], bare))


if __name__ == "__main__":
    unittest.main(verbosity=2)
