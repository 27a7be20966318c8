#!/usr/bin/env python3
"""Broken tokenizers and the small files beside them."""
import json
import os
import pathlib
import shutil
import unittest

from edits import WeightsCase
from sandbox import BROKEN_INPUT, SYSTEM, UNSUPPORTED


class TokenizerTest(WeightsCase):
    def refused_tokenizer(self, change, code, *mentions, raw=False):
        ckpt = self.checkpoint()
        path = ckpt / "tokenizer.json"
        value = path.read_bytes() if raw else json.loads(path.read_text())
        changed = change(value)
        if raw:
            path.write_bytes(changed)
        else:
            path.write_text(json.dumps(value if changed is None else changed))
        return self.refuses_export(code, ["tokenizer", *mentions], ckpt)

    def test_a_cut_file(self):
        self.refused_tokenizer(lambda raw: raw[:-20], BROKEN_INPUT, raw=True)

    def test_a_bom(self):
        self.refused_tokenizer(lambda raw: b"\xef\xbb\xbf" + raw, BROKEN_INPUT, raw=True)

    def test_no_object(self):
        self.refused_tokenizer(lambda t: [], BROKEN_INPUT)

    def test_no_model(self):
        self.refused_tokenizer(lambda t: t.pop("model") and None, BROKEN_INPUT, "model")

    def test_a_kind_whose_vocabulary_has_another_form(self):
        self.refused_tokenizer(lambda t: t["model"].update(type="Unigram"), BROKEN_INPUT, "model.vocab")

    def test_kinds_whose_members_are_others(self):
        for kind in ("WordPiece", "WordLevel"):
            with self.subTest(kind):
                self.setUp()
                self.refused_tokenizer(lambda t: t["model"].update(type=kind), UNSUPPORTED, kind)

    def test_a_kind_that_nobody_knows(self):
        self.refused_tokenizer(lambda t: t["model"].update(type="\x1b[31mEvil"), UNSUPPORTED)

    def test_a_normalizer_that_is_not_known(self):
        self.refused_tokenizer(lambda t: t.update(normalizer={"type": "Rot13"}), UNSUPPORTED, "Rot13")

    def test_a_pre_tokenizer_that_is_not_known(self):
        self.refused_tokenizer(lambda t: t.update(pre_tokenizer={"type": "Telepathy"}), UNSUPPORTED, "Telepathy")

    def test_a_vocabulary_with_a_negative_id(self):
        def change(t):
            t["model"]["vocab"][next(iter(t["model"]["vocab"]))] = -1
        self.refused_tokenizer(change, BROKEN_INPUT)

    def test_a_vocabulary_with_a_huge_id(self):
        def change(t):
            t["model"]["vocab"]["far"] = 2**31 - 2
        ckpt_line = self.refused_tokenizer(change, BROKEN_INPUT)
        self.assertIn("2147483646", ckpt_line)

    def test_a_vocabulary_with_an_id_twice(self):
        def change(t):
            t["model"]["vocab"]["another"] = 5
        self.refused_tokenizer(change, BROKEN_INPUT)

    def test_a_merge_of_unknown_tokens(self):
        self.refused_tokenizer(lambda t: t["model"]["merges"].append("nope neither"), BROKEN_INPUT)

    def test_a_merge_of_one_word(self):
        self.refused_tokenizer(lambda t: t["model"]["merges"].append("lonely"), BROKEN_INPUT, "lonely")

    def test_a_vocabulary_that_is_an_array(self):
        self.refused_tokenizer(lambda t: t["model"].update(vocab=["a", "b"]), BROKEN_INPUT)

    def test_added_tokens_that_are_numbers(self):
        self.refused_tokenizer(lambda t: t.update(added_tokens=[1, 2]), BROKEN_INPUT, "added_tokens")

    def refused_small_file(self, name, content, *mentions, code=BROKEN_INPUT):
        self.setUp()
        ckpt = self.checkpoint()
        (ckpt / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.refuses_export(code, [name, *mentions], ckpt)

    def test_small_files_that_are_no_json(self):
        for name in ("tokenizer_config.json", "generation_config.json", "special_tokens_map.json"):
            for content in ("", "{", "[]", "3", "\0", "[" * 100000, b"\xff\xfe{\0}\0", '{"a":1}{"a":1}', "null"):
                with self.subTest(name=name, content=content[:20]):
                    self.refused_small_file(name, content)

    def test_wild_sampling_values(self):
        for key in ("temperature", "top_p", "top_k", "repetition_penalty", "min_p"):
            for value in ("1e400", "-1e400"):
                with self.subTest(key=key, value=value):
                    ckpt = self.checkpoint(name=f"{key}{value}")
                    (ckpt / "generation_config.json").write_text(f'{{"{key}": {value}}}')
                    self.refuses_export(BROKEN_INPUT, ["generation_config.json", key], ckpt)

    def test_sampling_values_of_the_wrong_kind(self):
        for key, content in (("temperature", '{"temperature": "hot"}'), ("top_p", '{"top_p": []}'), ("top_k", '{"top_k": {}}'),
                             ("min_p", '{"min_p": true}')):
            with self.subTest(content):
                self.refused_small_file("generation_config.json", content, key)

    def test_sampling_values_that_are_absent(self):
        ckpt = self.checkpoint()
        (ckpt / "generation_config.json").write_text('{"temperature": null, "top_k": null}')
        self.exports(ckpt, self.box / "out")

    def test_stop_ids_that_cannot_be(self):
        for content in ('{"eos_token_id": "2"}', '{"eos_token_id": [[2]]}', '{"eos_token_id": 1.5}', '{"eos_token_id": -1}', '{"eos_token_id": 99999999999999999999}'):
            with self.subTest(content):
                self.refused_small_file("generation_config.json", content, "eos_token_id")

    def test_stop_ids_of_the_checkpoint_hold_with_another_tokenizer_path(self):
        ckpt = self.checkpoint()
        (ckpt / "generation_config.json").write_text('{"eos_token_id": [5, 7]}')
        apart = pathlib.Path(shutil.copytree(ckpt, self.box / "apart"))
        (apart / "generation_config.json").unlink()
        self.exports(ckpt, self.box / "out")
        self.exports(ckpt, self.box / "out_apart", "--tokenizer_path", apart)
        for name in ("tokenizer.txt", "tokenizer.mtok"):
            self.assertEqual((self.box / "out" / name).read_bytes(), (self.box / "out_apart" / name).read_bytes())

    def test_templates_of_the_wrong_kind(self):
        for content in ('{"chat_template": 3}', '{"chat_template": {"a": 1}}', '{"chat_template": [1]}', '{"chat_template": [{"name": 1}]}'):
            with self.subTest(content):
                self.refused_small_file("tokenizer_config.json", content, "chat_template")

    def test_a_template_of_hundreds_of_megabytes(self):
        ckpt = self.checkpoint()
        with open(ckpt / "chat_template.jinja", "wb") as file:
            file.truncate(300 << 20)
        self.refuses_export(BROKEN_INPUT, "chat_template.jinja", ckpt)

    def test_a_template_that_is_no_text(self):
        self.refused_small_file("chat_template.jinja", b"{{ \xff\xfe }}", "UTF-8")

    def test_a_tokenizer_of_a_terabyte(self):
        ckpt = self.checkpoint()
        os.truncate(ckpt / "tokenizer.json", 2**40)
        self.refuses_export(BROKEN_INPUT, "tokenizer.json", ckpt)

    def test_a_tokenizer_of_millions_of_small_values(self):
        for item in (b"0", b"[]", b'""', b'["a","b"]', b'{"id":0}'):
            for key in (b"added_tokens", b"x"):
                with self.subTest(item=item, key=key):
                    self.setUp()
                    ckpt = self.checkpoint()
                    with open(ckpt / "tokenizer.json", "wb") as file:
                        file.write(b'{"%s": [' % key)
                        for _ in range(390):
                            file.write((item + b",") * (100_000 // (len(item) + 1)))
                        file.write(item + b"]}")
                    self.refuses_export(BROKEN_INPUT, "tokenizer.json", ckpt)

    def test_a_vocabulary_of_the_longest_kind(self):
        ckpt = self.checkpoint()
        with open(ckpt / "tokenizer.json", "w", encoding="utf-8") as file:
            file.write('{"pre_tokenizer": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "merges": [], "vocab": {')
            for i in range(2 * 10**6):
                file.write(f'"t{i}":{i},')
            file.write('"": 0}}}')
        self.refuses_export(BROKEN_INPUT, "tokenizer", ckpt)

    def test_a_directory_without_a_tokenizer(self):
        (self.box / "cwd" / "empty").mkdir()
        self.refuses_export(SYSTEM, "tokenizer.json", self.checkpoint(), "--tokenizer_path", "empty")

    def test_a_tokenizer_path_that_is_not_there(self):
        self.refuses_export(SYSTEM, "absent", self.checkpoint(), "--tokenizer_path", "absent")


if __name__ == "__main__":
    unittest.main()
