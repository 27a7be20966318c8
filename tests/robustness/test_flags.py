#!/usr/bin/env python3
"""Bad command lines: each is one line that names the flag, exit code 2 (4 for what a later version may do), no output."""
import os
import unittest

from sandbox import BAD_FLAG, BROKEN_INPUT, OK, SYSTEM, UNSUPPORTED, SandboxCase

# Flags of MNN's llmexport that are refused by name, with a value where they take one.
REFUSED = ("--skip_weight", "--awq", "--smooth", "--omni", ("--omni_epochs", "3"), ("--omni_lr", "1"), ("--omni_wd", "1"),
           ("--act_bit", "16"), "--act_sym", ("--calib_data", "x"), ("--quant_config", "x"), ("--lora_path", "x"), "--lora_split",
           ("--gptq_path", "x"), ("--eagle_path", "x"), ("--dflash_path", "x"), ("--test", "hello"), "--ppl", ("--visual_quant_bit", "4"),
           ("--visual_quant_block", "64"), "--visual_sym", "--generate_for_npu", "--disable_transformer_c4")
# Accepted, and the summary says that they do nothing.
WITHOUT_EFFECT = (("--mnnconvert", "x"), "--onnx_slim", "--transformer_fuse", "--group_conv_native", "--disable_fuse_qkv",
                  "--disable_fuse_gate_up", "--disable_fuse_ln", "--disable_fuse_linear_attn_gate")
NUMBER_FLAGS = ("--quant_bit", "--quant_block", "--lm_quant_bit", "--lm_quant_block", "--embed_bit", "--scale_bit", "--threads")
NO_NUMBERS = ("-4", "+4", "4.0", "4e0", "0x4", "04", " 4", "4 ", "4,0", "x", "nan", "inf", "٤", "４", "4\n", "\x1b[31m4", "4;rm", "%d", "{}")
VALUE_FLAGS = NUMBER_FLAGS + ("--method", "--path", "--dst_path", "--export", "--type", "--family", "--tokenizer_path", "--compat", "--chat_template")
PLAIN_FLAGS = ("--sym", "--hqq", "--seperate_embed", "--dry_run", "--overwrite", "--json", "--quiet", "--verbose", "--allow_tokenizer_mismatch")


def words(flag):
    return (flag,) if isinstance(flag, str) else flag


class FlagsTest(SandboxCase):
    def setUp(self):
        super().setUp()
        self.ckpt = self.checkpoint()

    def refuses(self, mentions, *args, code=BAD_FLAG):
        """With a good checkpoint in front, unless `args` bring their own --path."""
        path = () if any(a.startswith("--path") for a in args) else ("--path", self.ckpt)
        self.refused(code, mentions, "export", *path, *args)

    def test_no_number(self):
        for flag in NUMBER_FLAGS:
            for value in NO_NUMBERS:
                with self.subTest(flag=flag, value=value):
                    self.refuses([flag, "decimal digits"], flag, value)

    def test_a_number_out_of_range(self):
        for flag, values in {"--quant_bit": ("0", "1", "9", "15", "17", "31", "33", "9" * 100), "--lm_quant_bit": ("1", "64"),
                             "--quant_block": ("1", "8", "65", "9" * 30), "--lm_quant_block": ("17", str(2**63)),
                             "--embed_bit": ("0", "2", "5", "32"), "--scale_bit": ("0", "8", "17", "64"), "--threads": ("0", "1025", "9" * 40)}.items():
            for value in values:
                with self.subTest(flag=flag, value=value):
                    self.refuses(flag, flag, value)

    def test_methods_that_do_not_exist_or_do_not_fit(self):
        self.refuses(["--method", "hqq or rtn or search"], "--method", "best")
        self.refuses(["--hqq", "--method 'search'"], "--hqq", "--method", "search")
        self.refuses(["--sym", "hqq"], "--hqq", "--sym")
        for args in (("--hqq",), ("--method", "search")):
            self.refuses(["--method", "--quant_bit 16"], *args, "--quant_bit", "16")
            self.refuses([args[0], "--export mnn"], *args, "--export", "onnx")

    def test_an_empty_value(self):
        for flag in VALUE_FLAGS:
            for args in ((flag, ""), (flag + "=",)):
                with self.subTest(args):
                    self.refuses([flag, "empty"], *args)

    def test_a_missing_value(self):
        for flag in VALUE_FLAGS:
            for args in ((flag,), (flag, "--dry_run"), (flag, "-x")):
                with self.subTest(args):
                    self.refuses([flag, "missing"], *args)

    def test_a_flag_given_twice(self):
        for flag, value in {"--path": "x", "--dst_path": "x", "--quant_bit": "4", "--quant_block": "32", "--type": "llama"}.items():
            for again in (flag, flag.replace("_", "-")):
                with self.subTest(again):
                    self.refuses([flag, "twice"], flag, value, again, value)

    def test_a_value_for_a_flag_that_takes_none(self):
        for flag in PLAIN_FLAGS:
            for value in ("false", "0", "off", "true", "1", "maybe", ""):
                with self.subTest(flag=flag, value=value):
                    self.refuses([flag, "takes no value"], f"{flag}={value}")

    def test_a_misspelt_flag_has_a_suggestion(self):
        for wrong, right in {"--quant_bt": "--quant_bit", "--quantbit": "--quant_bit", "--dstpath": "--dst_path", "--pth": "--path",
                             "--overwrit": "--overwrite", "--separate_embed": "--seperate_embed", "--dryrun": "--dry_run",
                             "--Quant_Bit": "--quant_bit", "--thread": "--threads", "--lm-quant-bits": "--lm_quant_bit", "--symm": "--sym"}.items():
            with self.subTest(wrong):
                self.refuses(["unknown flag", f"did you mean '{right}'"], wrong, "4")

    def test_a_flag_that_nobody_knows(self):
        for flag in ("--frobnicate", "-x", "-path", "---path", "--no-sym", "--=4", "-\x1b[31m", "--" + "a" * 5000, "--%s%n", "--{}"):
            with self.subTest(flag[:20]):
                self.refuses("unknown flag", flag)

    def test_words_that_belong_nowhere(self):
        for args in (("extra",), ("--", "extra"), ("--dry_run", "4"), ("@file",), ("-",)):
            with self.subTest(args):
                self.refuses("belongs to no flag", *args)

    def test_contradictions(self):
        self.refuses(["--seperate_embed", "--embed_bit"], "--seperate_embed", "--embed_bit", "8")
        self.refuses(["--quiet", "--verbose"], "--quiet", "--verbose")
        self.refused(BAD_FLAG, ["--messages", "--lowered"], "template", "--path", self.ckpt, "--lowered", "--messages", "x")
        self.refused(BAD_FLAG, ["--add_special_tokens", "--decode"], "tokenize", "--path", self.ckpt, "--decode", "--add_special_tokens")

    def test_a_broken_file_of_a_chat_template(self):
        file = self.ckpt.parent / "chat.jinja"
        for content, reason in ((b"", "empty"), (b"\xff", "UTF-8")):
            file.write_bytes(content)
            self.refuses(["--chat_template", "chat.jinja", reason], "--quant_block", "32", "--chat_template", str(file), code=BROKEN_INPUT)
        file.unlink()
        self.refuses(["--chat_template", "chat.jinja", "chatml, llama3"], "--quant_block", "32", "--chat_template", str(file))
        self.refuses(["--chat_template"], "--quant_block", "32", "--chat_template", str(self.ckpt), code=SYSTEM)

    def test_the_help_names_the_built_in_templates(self):
        done = self.tool("export", "--path", self.ckpt, "--quant_block", "32", "--chat_template", "x")
        names = done.text.strip().split("built-in templates ")[1].split(", ")
        shown = " ".join(self.tool("export", "--help").stdout.decode().split())
        self.assertIn(", ".join(names[:-1]) + " or " + names[-1], shown)

    def test_formats(self):
        for value in ("MNN", "gguf", "mnn,onnx", "\x1b[31m"):
            self.refuses("--export", "--export", value)
        for value in ("3", "3.0", "3.1.0", "2.9", "x"):
            self.refuses(["--compat", "3.1"], "--compat", value)

    def test_flags_of_onnx(self):
        onnx = ("--export", "onnx")
        for flag, value in (("--onnx_flavour", "genai"), ("--onnx_opset", "17"), ("--onnx_quant", "qdq"), ("--dtype", "fp16"), ("--accuracy_level", "4")):
            self.refuses([flag, "--export onnx"], flag, value)
        for flag, value in (("--lm_quant_bit", "8"), ("--scale_bit", "32"), ("--embed_bit", "8"), ("--compat", "3.1")):
            self.refuses([flag, "--export mnn"], *onnx, flag, value)
        for flag in ("--sym", "--seperate_embed"):
            self.refuses([flag, "--export mnn"], *onnx, flag)
        for flag, value in (("--quant_bit", "4"), ("--quant_block", "32"), ("--accuracy_level", "0")):
            self.refuses([flag, "--onnx_quant"], *onnx, flag, value)
        for flag, value, remedy in (("--onnx_flavour", "both", "genai"), ("--onnx_opset", "16", "17"), ("--onnx_opset", "24", "23"),
                                    ("--dtype", "fp8", "fp16"), ("--onnx_quant", "gptq", "matmulnbits"), ("--dtype", "fp16", "--onnx_flavour")):
            self.refuses([flag, remedy], *onnx, flag, value)
        self.refuses(["--dtype", "bf16"], *onnx, "--dtype", "bf16", code=UNSUPPORTED)
        for args, mentions in ((("matmulnbits", "--quant_bit", "5"), "--quant_bit"), (("matmulnbits", "--quant_block", "48"), "--quant_block"),
                               (("qdq", "--onnx_opset", "20"), "--onnx_opset"), (("qdq", "--accuracy_level", "4"), "--accuracy_level"),
                               (("matmulnbits", "--accuracy_level", "3"), "--accuracy_level")):
            self.refuses(mentions, *onnx, "--onnx_quant", *args)

    def test_flags_of_the_incumbent_that_are_refused(self):
        for flag in REFUSED:
            with self.subTest(flag):
                name, *value = words(flag)
                self.refuses(name + ":", name, *value, code=UNSUPPORTED)
                self.refuses(name + ":", name.replace("_", "-"), *value, code=UNSUPPORTED)

    def test_flags_of_the_incumbent_that_have_no_effect(self):
        args = [word for flag in WITHOUT_EFFECT for word in words(flag)]
        done = self.tool("export", "--path", self.ckpt, "--quant_block", "32", "--dry_run", *args)
        self.assertEqual((done.code, done.stderr), (OK, b""))
        for flag in WITHOUT_EFFECT:
            self.assertIn(f"{words(flag)[0]} has no effect", done.stdout.decode())

    def test_flags_of_the_incumbent_are_quiet_when_something_else_is_wrong(self):
        self.refuses("--quant_bit", "--onnx_slim", "--quant_bit", "99")

    def test_commands(self):
        for name in ("verify", "eval"):
            self.refused(UNSUPPORTED, name, name, "x")
        for name in ("expotr", "Export", "", "x" * 5000, "\x1b]0;evil\x07", "💥", "help"):
            with self.subTest(name[:20]):
                self.refused(BAD_FLAG, "unknown command", name)
        self.refused(BAD_FLAG, "did you mean 'inspect'?", "inspct", "x")
        self.refused(BAD_FLAG, "no command")

    def test_what_is_missing(self):
        self.refused(BAD_FLAG, "--path", "export")
        self.refused(BAD_FLAG, "--path", "--quant_bit", "4")
        self.refused(BAD_FLAG, "path", "inspect")
        self.refused(BAD_FLAG, "--path", "tokenize")
        self.refused(BAD_FLAG, "--path", "template")
        self.refused(BAD_FLAG, "one argument too many", "inspect", "a", "b")

    def test_invalid_utf8(self):
        for args in ((b"--\xff\xfe",), (b"\xff",), (b"export", b"--path", b"/\xff/\xfe"), (b"inspect", b"\xc3\x28"),
                     (b"export", b"--path", os.fsencode(self.ckpt), b"--type", b"\xff")):
            with self.subTest(args):
                before = self.tool(*args)
                self.assertIn(before.code, (BAD_FLAG, UNSUPPORTED, SYSTEM))
                self.refused(before.code, "\\x", *args)

    def test_a_command_line_of_a_thousand_words(self):
        self.refused(BAD_FLAG, "twice", "export", *["--path", "x"] * 1000)

    def test_a_block_that_does_not_divide(self):
        self.refuses(["--quant_block 64", "down_proj", "96", "16", "32", "0 (whole rows)"], "--quant_block", "64")
        self.refuses(["--quant_block 48", "q_proj", "64"], "--quant_block", "48")
        self.refuses(["lm_head", "48"], "--quant_block", "32", "--lm_quant_block", "48")

    def test_types(self):
        for value in ("nope", "LLAMA", "qwen9", "\x1b[2J", "a" * 3000):
            with self.subTest(value[:10]):
                self.refuses("--type", "--type", value, "--quant_block", "32")

    def test_family_files(self):
        cwd = self.box / "cwd"
        (cwd / "dir").mkdir()
        os.mkfifo(cwd / "fifo")
        (cwd / "broken.toml").write_text("model_types = [\n")
        (cwd / "typo.toml").write_text('model_types = ["x"]\ninherits = "llama"\n[attentoin]\nscale = "1"\n')
        (cwd / "noparent.toml").write_text('model_types = ["x"]\ninherits = "nobody"\n')
        (cwd / "binary.toml").write_bytes(bytes(range(256)))
        (cwd / "deep.toml").write_text("a = " + "[" * 100000 + "]" * 100000)
        (cwd / "empty.toml").touch()
        for name, code, mention in (("absent.toml", SYSTEM, "absent.toml"), ("dir", SYSTEM, "dir"), ("fifo", SYSTEM, "not a regular file"),
                                    ("/dev/zero", SYSTEM, "zero"), ("broken.toml", BROKEN_INPUT, "broken.toml"), ("typo.toml", BROKEN_INPUT, "attentoin"),
                                    ("noparent.toml", BROKEN_INPUT, "nobody"), ("binary.toml", BROKEN_INPUT, "binary.toml"),
                                    ("deep.toml", BROKEN_INPUT, "deep.toml"), ("empty.toml", BROKEN_INPUT, "empty.toml")):
            with self.subTest(name):
                self.refuses(mention, "--family", name, "--quant_block", "32", code=code)
                self.refused(code, mention, "families", "--family", name)


if __name__ == "__main__":
    unittest.main()
