#!/usr/bin/env python3
"""Multimodal checkpoints: without --text_only a refusal that says what would be left out, with it the package of the language model
stored alone."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from families.test_from_disk import contents  # noqa: E402
from support.tool import TempDirCase, export, make_fixture, run  # noqa: E402

UNSUPPORTED = 4
COMPOSITES = [name for name in make_fixture.fixture_names() if make_fixture.Fixture(name).meta.get("text_only")]
# model_type of a text config -> that of the language model stored alone, where it is another.
TYPES = {"qwen2_5_vl": "qwen2", "qwen2_vl_text": "qwen2", "qwen3_vl_text": "qwen3", "qwen2_5_omni_text": "qwen2"}


class Containers(TempDirCase):
    def alone(self, name):
        """The checkpoint of a fixture's language model, as its own class would store it."""
        fixture = make_fixture.Fixture(name)
        prefix, own = fixture.meta["text_prefix"]
        config = {"tie_word_embeddings": fixture.tied, **{k: v for k, v in fixture.text_config.items() if k not in ("architectures", "vision_config")}}
        config["model_type"] = TYPES.get(config["model_type"], config["model_type"])
        for key in ("eos_token_id", "quantization_config"):
            if key in fixture.config:
                config.setdefault(key, fixture.config[key])
        tensors = fixture.stored_parts({own + n.removeprefix(prefix) if n.startswith(prefix) else n: (role, v)
                                        for n, (role, v) in fixture.uncoded().items() if role != "tower"})
        out = self.tmp / f"{name}-alone"
        out.mkdir()
        make_fixture.write(fixture, out)
        for file in out.glob("model*"):
            file.unlink()
        make_fixture.write_weights(out, tensors, fixture.meta["dtype"], "single")
        (out / "config.json").write_text(json.dumps(config))
        return out

    def test_the_package_is_that_of_the_language_model(self):
        for name in COMPOSITES:
            with self.subTest(name):
                package, want = self.tmp / f"{name}-package", self.tmp / f"{name}-want"
                options = ["--quant_block", make_fixture.Fixture(name).meta["quant_block"]]
                export(self.checkpoint(name), package, "--text_only", *options)
                export(self.alone(name), want, *options)
                digests = [json.loads((d / "llm2mnn.json").read_text())["source"]["xxh128"] for d in (package, want)]
                self.assertEqual(*digests)
                got, expected = contents(package), contents(want)
                self.assertEqual(got.keys(), expected.keys())
                # The manifest has the note of what was left out.
                self.assertEqual([n.name for n in got if got[n] != expected[n]], ["llm2mnn.json"])

    def test_the_towers_are_named(self):
        for name in COMPOSITES:
            for arguments in ([], ["--dry_run"], ["--export", "onnx"]):
                with self.subTest(name, arguments=arguments):
                    out = self.tmp / "refused"
                    done = run("export", "--path", self.checkpoint(name), "--dst_path", out, *arguments)
                    self.assertEqual(done.returncode, UNSUPPORTED)
                    self.assertEqual(len(done.stderr.splitlines()), 1)
                    self.assertRegex(done.stderr, r"(vision|audio) tower \(\d tensors?, \d+ bytes\).*--text_only")
                    self.assertFalse(out.exists())

    def test_the_flag_changes_nothing_elsewhere(self):
        checkpoint = self.checkpoint("llama_gqa")
        plain, flagged = self.tmp / "plain", self.tmp / "flagged"
        export(checkpoint, plain)
        export(checkpoint, flagged, "--text_only")
        self.assertTrue(contents(plain) == contents(flagged))

    def test_models_that_are_no_decoder_of_text(self):
        for model_type in ("paligemma", "mllama"):
            checkpoint = self.tmp / model_type
            make_fixture.make("llava_mistral", checkpoint)
            config = json.loads((checkpoint / "config.json").read_text())
            (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
            done = run("export", "--path", checkpoint, "--dst_path", self.tmp / "refused", "--text_only")
            self.assertEqual(done.returncode, UNSUPPORTED)
            self.assertIn(f"model_type '{model_type}' is not supported: it", done.stderr)


if __name__ == "__main__":
    unittest.main()
