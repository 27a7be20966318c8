#!/usr/bin/env python3
"""`tokenize` and `template`, as a user calls them, on a checkpoint and on a package made from it: SmolLM2's, and a tiny
model with a tokenizer that puts a BOS in front of a text.

SmolLM2 is what test.sh sets up (build/SmolLM2-135M-Instruct, or the directory in LLM2MNN_SMOLLM2)."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import tokenizers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import ROOT, TempDirCase, executable, export  # noqa: E402
import make_fixture  # noqa: E402  (support.tool puts its folder on the path)

SMOLLM2 = pathlib.Path(os.environ.get("LLM2MNN_SMOLLM2", ROOT / "build" / "SmolLM2-135M-Instruct"))
MODELS = ROOT / "tests" / "tokenizer" / "models"
CORPUS = [json.loads(line) for line in (ROOT / "tests" / "tokenizer" / "corpus.jsonl").read_text(encoding="utf-8").split("\n") if line]
BROKEN_INPUT, BAD_FLAG, UNSUPPORTED, SYSTEM = 3, 2, 4, 5
USER = {"role": "user", "content": "Grüße, 世界"}


def call(*args, stdin=b""):
    """The finished process, with bytes."""
    return subprocess.run([executable(), *map(str, args)], input=stdin, capture_output=True, timeout=120)


class TextCase(TempDirCase):
    """A checkpoint, a package made from it, and what both are asked."""

    def tokenize(self, stdin, *args, path=None):
        done = call("tokenize", "--path", path or self.source, *args, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def refused(self, code, mentions, *args, stdin=b""):
        done = call(*args, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr)
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        for word in mentions:
            self.assertIn(word, text)

    def prompt(self, document, path):
        file = self.tmp / "messages.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        done = call("template", "--path", path, "--messages", file)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()


def tiny_checkpoint(out, tokenizer):
    """A model of a few thousand weights with the tokenizer of the folder `tokenizer`."""
    make_fixture.make("llama_gqa", out)
    for file in tokenizer.iterdir():
        (out / file.name).write_bytes(file.read_bytes())


class CommonTests:
    """With `source`, `package` and `reference`."""

    def ids_of(self, texts, path, *args):
        lines = "".join(json.dumps(text) + "\n" for text in texts).encode()
        out = self.tokenize(lines, "--json_lines", *args, path=path).decode().split("\n")
        self.assertEqual(out.pop(), "")
        return [[int(word) for word in line.split(" ") if word] for line in out]

    def expected(self, text, special=False):
        return self.reference.encode(text, add_special_tokens=special).ids

    def test_ids_are_those_of_tokenizers(self):
        for text, got in zip(CORPUS, self.ids_of(CORPUS, self.source), strict=True):
            self.assertEqual(got, self.expected(text), text)

    def test_ids_of_a_package_are_those_of_its_runtime(self):
        texts = [text for text in CORPUS if not set("\x85\u2028\u2029") & set(text)]  # no white space to the runtime
        for text, got in zip(texts, self.ids_of(texts, self.package), strict=True):
            self.assertEqual(got, self.expected(text), text)

    def test_special_tokens_are_added_on_demand(self):
        texts = ["", "Hello", " two words"]
        for path in (self.source, self.package):
            got = self.ids_of(texts, path, "--add_special_tokens")
            self.assertEqual(got, [self.expected(text, special=True) for text in texts], path)

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
        for path in (self.source, self.package):
            texts = [text for text in CORPUS if "\x00" not in text]
            lines = "".join(" ".join(map(str, ids)) + "\n" for ids in self.ids_of(texts, self.source)).encode()
            out = self.tokenize(lines, "--decode", "--json_lines", path=path).decode().split("\n")[:-1]
            self.assertEqual([json.loads(line) for line in out], texts)

    def test_a_part_of_a_character_is_a_replacement(self):
        first = self.ids_of(["\U0001F9FF"], self.source)[0][:1]
        for path in (self.source, self.package):
            out = self.tokenize((" ".join(map(str, first)) + "\n").encode(), "--decode", "--json_lines", path=path)
            self.assertEqual(set(json.loads(out)), {"\ufffd"})

    def test_refusals_name_the_line(self):
        command = ("tokenize", "--path", self.source)
        self.refused(BROKEN_INPUT, ["standard input line 2", "UTF-8"], *command, stdin=b"fine\n\xff\n")
        self.refused(BROKEN_INPUT, ["line 1"], *command, "--json_lines", stdin=b"bare\n")
        self.refused(BROKEN_INPUT, ["line 1", "ids"], *command, "--decode", stdin=b"1,2\n")
        self.refused(BROKEN_INPUT, ["line 2", "99999999"], *command, "--decode", stdin=b"1\n99999999\n")
        self.refused(SYSTEM, ["absent.txt"], *command, "--text_file", self.tmp / "absent.txt")
        self.refused(SYSTEM, ["absent"], "tokenize", "--path", self.tmp / "absent")
        self.refused(BAD_FLAG, ["--path"], "tokenize")

    def test_refusals_of_template(self):
        file = self.tmp / "broken.json"
        file.write_text('{"tools": []}')
        self.refused(BROKEN_INPUT, ["broken.json", "messages"], "template", "--path", self.source, "--messages", file)
        self.refused(BAD_FLAG, ["--messages"], "template", "--path", self.source)
        file.write_text(json.dumps({"messages": [USER], "add_generation_prompt": False}))
        self.refused(UNSUPPORTED, ["add_generation_prompt"], "template", "--path", self.package, "--messages", file)

    def test_lowered_shows_template_and_proof(self):
        done = call("template", "--path", self.source, "--lowered")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertIn(b"proof:", done.stdout)

    def test_weights_are_not_read(self):
        bare = self.tmp / "bare"
        bare.mkdir()
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (bare / name).write_bytes((self.source / name).read_bytes())
        self.assertEqual(self.tokenize(b"Hello", path=bare), self.tokenize(b"Hello"))
        self.assertIn("user", self.prompt([USER], bare))


class SmolLm2(CommonTests, TextCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = SMOLLM2
        if not SMOLLM2.is_dir():
            raise RuntimeError(f"{SMOLLM2} does not exist; ./test.sh sets it up")
        cls.package = cls.tmp / "package"
        export(cls.source, cls.package, "--quant_bit", 4)
        cls.reference = tokenizers.Tokenizer.from_file(str(cls.source / "tokenizer.json"))

    def test_the_prompt_of_a_conversation(self):
        system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        turn = "<|im_start|>user\nGrüße, 世界<|im_end|>\n"
        for path in (self.source, self.package):
            self.assertEqual(self.prompt([USER], path), system + turn + "<|im_start|>assistant\n")
            self.assertEqual(self.prompt({"messages": [{"role": "system", "content": "Short."}, USER]}, path),
                             "<|im_start|>system\nShort.<|im_end|>\n" + turn + "<|im_start|>assistant\n")
        self.assertEqual(self.prompt({"messages": [USER], "add_generation_prompt": False}, self.source), system + turn)


class WithBos(CommonTests, TextCase):
    """The tokenizer prints a BOS by itself, and so does its template."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.tmp / "checkpoint"
        tiny_checkpoint(cls.source, MODELS / "llama_like")
        cls.package = cls.tmp / "package"
        export(cls.source, cls.package, "--quant_block", 32)
        cls.reference = tokenizers.Tokenizer.from_file(str(cls.source / "tokenizer.json"))

    def test_the_prompt_has_its_bos_from_the_tokenizer(self):
        turn = "<|start_header_id|>user<|end_header_id|>\n\nGrüße, 世界<|eot_id|>"
        self.assertEqual(self.prompt([USER], self.source), "<|begin_of_text|>" + turn)
        self.assertEqual(self.prompt([USER], self.package), turn)
        self.assertEqual(json.loads((self.package / "llm_config.json").read_text())["jinja"]["context"], {"bos_token": ""})
        ids = self.ids_of([turn], self.package, "--add_special_tokens")[0]
        self.assertEqual(ids, self.expected("<|begin_of_text|>" + turn))

    def test_variables_of_the_package(self):
        package = self.tmp / "changed"
        shutil.copytree(self.package, package)
        config = json.loads((package / "llm_config.json").read_text())
        config["jinja"] = {"chat_template": "{{ bos_token }}|{{ eos_token }}|{{ mood }}|{{ messages[0].content }}", "eos": "E",
                           "context": {"mood": "fine"}}
        (package / "llm_config.json").write_text(json.dumps(config))
        self.assertEqual(self.prompt([USER], package), "<|begin_of_text|>|E|fine|" + USER["content"])

    def test_a_template_of_the_user(self):
        file = self.tmp / "mine.jinja"
        file.write_text("{% for message in messages %}<{{ message.content }}>{% endfor %}")
        package = self.tmp / "mine"
        export(self.source, package, "--quant_block", 32, "--chat_template", file)
        self.assertEqual(self.prompt([USER], package), f"<{USER['content']}>")
        self.assertTrue(json.loads((package / "llm2mnn.json").read_text())["options"]["chat_template"])


class FamilyTemplates(TextCase):
    """The checkpoint's template prints what the runtime has nothing for; a built-in one is offered, and taken by its name."""
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.tmp / "checkpoint"
        tiny_checkpoint(cls.source, MODELS / "qwen_like")
        config = json.loads((cls.source / "tokenizer_config.json").read_text(encoding="utf-8"))
        config["chat_template"] = config["chat_template"].replace(
            "message.content", "(message.content if message.content is string else '%r'|format(message.content))")
        (cls.source / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")

    def exported(self, *args, cwd=None):
        package = self.tmp / "-".join(["package", *args]).replace("/", "_")
        done = subprocess.run([executable(), "export", "--path", self.source, "--dst_path", package, "--quant_block", "32", *args],
                              capture_output=True, text=True, timeout=120, cwd=cwd)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return package, done.stdout

    def test_the_note_gives_the_flag(self):
        _, said = self.exported()
        self.assertIn("--chat_template chatml takes a simple template", said)
        done = call("template", "--path", self.source, "--lowered")
        self.assertIn(b"--chat_template chatml", done.stdout)

    def test_a_name_is_a_built_in_template(self):
        package, said = self.exported("--chat_template", "chatml")
        self.assertNotIn("differs", said)
        self.assertEqual(self.prompt([USER], package), f"<|im_start|>user\n{USER['content']}<|im_end|>\n<|im_start|>assistant\n")

    def test_a_file_of_that_name_wins(self):
        folder = self.tmp / "here"
        (folder / "phi3").mkdir(parents=True)  # no file
        (folder / "zephyr").write_text("of the file")
        package, _ = self.exported("--chat_template", "zephyr", cwd=folder)
        self.assertEqual(self.prompt([USER], package), "of the file")
        package, _ = self.exported("--chat_template", "phi3", cwd=folder)
        self.assertIn("<|user|>", self.prompt([USER], package))


class Mismatch(TextCase):
    def test_ids_that_no_limit_explains_end_the_export(self):
        source = self.tmp / "checkpoint"
        tiny_checkpoint(source, MODELS / "llama_like")
        document = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
        document["normalizer"] = {"type": "Replace", "pattern": {"Regex": "o+"}, "content": "0"}  # the runtime has literal ones only
        (source / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
        package = self.tmp / "package"
        args = ("export", "--path", source, "--dst_path", package, "--quant_block", 32)
        self.refused(UNSUPPORTED, ["tokenizer.mtok", "--allow_tokenizer_mismatch"], *args)
        self.assertFalse(package.exists())
        done = call(*args, "--allow_tokenizer_mismatch")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        manifest = json.loads((package / "llm2mnn.json").read_text(encoding="utf-8"))
        self.assertTrue(manifest["options"]["allow_tokenizer_mismatch"])
        mtok = manifest["tokenizer"]["self_test"][0]
        self.assertIn(None, [difference["reason"] for difference in mtok["differences"]])
        # The package of --compat 3.1 names tokenizer.txt, an approximation whose other ids are known.
        old = self.tmp / "old"
        export(source, old, "--quant_block", 32, "--compat", "3.1")
        self.assertEqual(json.loads((old / "config.json").read_text())["tokenizer_file"], "tokenizer.txt")


if __name__ == "__main__":
    unittest.main(verbosity=2)
