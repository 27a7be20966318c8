#!/usr/bin/env python3
"""Broken config.json files: wrong kinds, wild numbers, keys that would change the computation."""
import json
import os
import unittest

from sandbox import BROKEN_INPUT, OK, UNSUPPORTED, SandboxCase, config_of

REMOVE = object()


class ConfigCase(SandboxCase):
    def refused_config(self, code, mentions, fixture=None, **changes):
        """Changes keys of a fixture's config (REMOVE removes) and expects a refusal."""
        ckpt = self.checkpoint(fixture)
        with config_of(ckpt) as config:
            for key, value in changes.items():
                if value is REMOVE:
                    config.pop(key)
                else:
                    config[key] = value
        return self.refuses_export(code, mentions, ckpt)

    def refused_text(self, text, mentions=(), code=BROKEN_INPUT):
        ckpt = self.checkpoint()
        (ckpt / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        self.refuses_export(code, ["config.json", *([mentions] if isinstance(mentions, str) else mentions)], ckpt)

    def text(self):
        return (self.checkpoint(name="for_text") / "config.json").read_text()


class ContainerTest(ConfigCase):
    def test_no_json(self):
        for text in ("", " ", "{", "nope", "{'a': 1}", '{"a": 1,}', "\0", '{"a": NaN}', '{"a": 1} {"b": 2}', "// c\n{}", "<html>"):
            with self.subTest(text):
                self.setUp()
                self.refused_text(text)

    def test_no_object(self):
        for text in ("[]", "3", "null", '"llama"', "true", "[{}]"):
            with self.subTest(text):
                self.setUp()
                self.refused_text(text, "JSON object")

    def test_a_bom(self):
        self.refused_text(b"\xef\xbb\xbf" + self.text().encode())

    def test_utf16(self):
        self.refused_text(self.text().encode("utf-16"))

    def test_nul_inside(self):
        self.refused_text(self.text().replace("llama", "lla\0ma"))

    def test_invalid_utf8(self):
        self.refused_text(self.text().encode().replace(b"silu", b"si\xff\xfelu"), "UTF-8")

    def test_a_lone_surrogate(self):
        self.refused_text(self.text().replace('"silu"', '"\\ud800"'))

    def test_a_key_twice(self):
        self.refused_text(self.text().replace('"vocab_size"', '"rms_norm_eps": 1e-6, "vocab_size"'), "rms_norm_eps")

    def test_a_key_twice_in_disguise(self):
        self.refused_text(self.text().replace('"vocab_size"', '"\\u0068idden_size": 65, "vocab_size"'), "hidden_size")

    def test_a_key_twice_deep_down(self):
        self.refused_text(self.text().replace('"rope_scaling": null', '"rope_scaling": {"rope_type": "linear", "factor": 2, "factor": 4}'), "factor")

    def test_deep_nesting(self):
        for depth in (100, 10**6):
            with self.subTest(depth):
                self.setUp()
                self.refused_text('{"x": ' + "[" * depth + "]" * depth + "}")

    def test_twenty_megabytes(self):
        self.refused_text('{"x": "' + "a" * 20 * 10**6 + '"}', "limit")

    def test_millions_of_small_values(self):
        # Below the limit of bytes; each becomes something much larger in memory.
        for item in ("0", "[]", '""', '{"a":0}', "1e1", '"\\n"'):
            with self.subTest(item):
                self.setUp()
                self.refused_text('{"x": [' + ",".join([item] * (15 * 10**6 // (len(item) + 1))) + "]}")

    def test_hundreds_of_thousands_of_keys(self):
        self.refused_text("{" + ",".join(f'"k{i}":1' for i in range(10**6)) + "}")

    def test_a_sparse_terabyte(self):
        ckpt = self.checkpoint()
        os.truncate(ckpt / "config.json", 2**40)
        self.refuses_export(BROKEN_INPUT, "config.json", ckpt)


class KeysTest(ConfigCase):
    # Keys that are numbers. Where transformers has a default (heads, layers, epsilon), a missing one is no fault.
    NUMBERS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size", "rms_norm_eps")

    def test_a_missing_key(self):
        for key in ("model_type", "hidden_size", "intermediate_size", "vocab_size"):
            with self.subTest(key):
                self.setUp()
                self.refused_config(BROKEN_INPUT, key, **{key: REMOVE})

    def test_wrong_kinds(self):
        for key in self.NUMBERS:
            for value in ("64", [64], {}, True):
                with self.subTest(key=key, value=value):
                    self.setUp()
                    self.refused_config(BROKEN_INPUT, key, **{key: value})

    def test_wild_numbers(self):
        for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers", "vocab_size",
                    "max_position_embeddings"):
            for text in ("-1", "0", "1.5", "1e400", "-1e400", "1e18", "9223372036854775807", "18446744073709551616", "1" * 1000):
                if (key, text) == ("max_position_embeddings", "1e18"):
                    continue
                with self.subTest(key=key, text=text[:30]):
                    self.setUp()
                    ckpt = self.checkpoint()
                    config = json.loads((ckpt / "config.json").read_text())
                    config[key] = "@"
                    (ckpt / "config.json").write_text(json.dumps(config).replace('"@"', text))
                    done = self.tool("export", "--path", ckpt, "--dst_path", self.box / "probe", "--quant_block", "32", "--dry_run")
                    self.assertIn(done.code, (BROKEN_INPUT, UNSUPPORTED), f"{key} {text}: {done.text}")
                    self.refuses_export(done.code, [], ckpt)

    def test_huge_but_possible_numbers(self):
        for key in ("num_hidden_layers", "vocab_size", "hidden_size", "intermediate_size", "num_attention_heads"):
            for value in (2**20, 2**31 - 1, 2**31, 2**40):
                with self.subTest(key=key, value=value):
                    self.setUp()
                    ckpt = self.checkpoint()
                    with config_of(ckpt) as config:
                        config[key] = value
                    done = self.tool("export", "--path", ckpt, "--dst_path", self.box / "probe", "--quant_block", "32", "--dry_run")
                    self.refuses_export(done.code or BROKEN_INPUT, [], ckpt)

    def test_a_negative_epsilon(self):
        self.refused_config(BROKEN_INPUT, "eps", rms_norm_eps=-1e-5)

    def test_heads_that_do_not_divide(self):
        self.refused_config(BROKEN_INPUT, "num_key_value_heads", num_key_value_heads=3)

    def test_heads_that_disagree_with_the_tensors(self):
        self.refused_config(BROKEN_INPUT, "proj", num_attention_heads=8, head_dim=16)

    def test_an_odd_head(self):
        self.refused_config(BROKEN_INPUT, [], head_dim=15)

    def test_a_model_type_that_is_not_known(self):
        for value in ("mamba", "rwkv", "", "../llama", "\x1b[31m", "l" * 10000):
            with self.subTest(value[:10]):
                self.setUp()
                self.refused_config(UNSUPPORTED, "model_type", model_type=value)

    def test_a_model_type_that_is_no_string(self):
        for value in (3, None, ["llama"], {}):
            with self.subTest(value):
                self.setUp()
                self.refused_config(BROKEN_INPUT, "model_type", model_type=value)

    def test_a_quantised_checkpoint(self):
        for method in ("gptq", "awq", "fp8", "bitsandbytes"):
            with self.subTest(method):
                self.setUp()
                self.refused_config(UNSUPPORTED, "quantization_config", quantization_config={"quant_method": method, "bits": 4})

    def test_keys_that_would_change_the_computation(self):
        for key, value in {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "embedding_multiplier": 12.0,
                           "residual_multiplier": 0.22, "attention_multiplier": 0.5, "logits_scaling": 8.0, "num_experts": 8,
                           "num_local_experts": 8, "clip_qkv": 8.0, "partial_rotary_factor": 0.5, "sliding_window": 4096,
                           "use_qk_norm": True, "attention_sink": True, "parallel_attn": True, "my_new_attention_trick": 1,
                           "rope_something": 2, "hidden_act": "swiglu_mystery", "mlp_bias": "yes", "alibi": True, "layernorm_type": "pre"}.items():
            with self.subTest(key):
                self.setUp()
                ckpt = self.checkpoint()
                with config_of(ckpt) as config:
                    config[key] = value
                done = self.tool("export", "--path", ckpt, "--dst_path", self.box / "probe", "--quant_block", "32", "--dry_run")
                self.assertIn(done.code, (BROKEN_INPUT, UNSUPPORTED), f"{key}: {done.text} {done.stdout}")
                self.refuses_export(done.code, key, ckpt)

    def test_an_unread_key_made_to_deceive(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["\x1b[2Jwiped\n"] = 1
        done = self.tool("export", "--path", ckpt, "--dst_path", "x", "--quant_block", "32", "--dry_run")
        self.assertEqual(done.code, OK, done.text)
        self.assertNotIn(b"\x1b", done.stdout)
        self.assertIn(b"wiped", done.stdout)

    def test_tied_but_stored_apart(self):
        # lm_head is in the file although the config ties it: which one would count?
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["tie_word_embeddings"] = True
        done = self.tool("export", "--path", ckpt, "--dst_path", "x", "--quant_block", "32", "--dry_run")
        if done.code != OK:
            self.refuses_export(done.code, "lm_head", ckpt)

    def test_stop_ids_of_the_wrong_kind(self):
        for value in ("2", [2, "3"], {}, 1.5, [[2]]):
            with self.subTest(value):
                self.setUp()
                self.refused_config(BROKEN_INPUT, "eos_token_id", eos_token_id=value)


class RopeTest(ConfigCase):
    def refused_rope(self, code, mentions, rope, fixture=None):
        self.setUp()
        self.refused_config(code, mentions, fixture, rope_scaling=rope)

    def test_scaling_of_the_wrong_kind(self):
        for value in ("linear", 2, [], True):
            with self.subTest(value):
                self.refused_rope(BROKEN_INPUT, "rope_scaling", value)

    def test_a_scaling_that_is_not_known(self):
        for kind in ("mrope", "ntk", "\x1b[0m"):
            with self.subTest(kind):
                self.refused_rope(UNSUPPORTED, "rope", {"rope_type": kind, "factor": 2.0})

    def test_a_scaling_without_its_factors(self):
        for kind in ("longrope", "su"):
            with self.subTest(kind):
                self.refused_rope(BROKEN_INPUT, "short_factor", {"rope_type": kind, "factor": 2.0})

    def test_no_kind(self):
        self.refused_rope(BROKEN_INPUT, "rope", {"factor": 2.0})

    def test_two_kinds_that_disagree(self):
        self.refused_rope(BROKEN_INPUT, "type", {"rope_type": "linear", "type": "dynamic", "factor": 2.0})

    def test_a_factor_that_cannot_be(self):
        for value in (0, -2, "2", None, 1e308 * 10, [2]):
            with self.subTest(value):
                if value == float("inf"):
                    self.setUp()
                    ckpt = self.checkpoint()
                    text = (ckpt / "config.json").read_text().replace('"rope_scaling": null', '"rope_scaling": {"rope_type": "linear", "factor": 1e400}')
                    (ckpt / "config.json").write_text(text)
                    self.refuses_export(BROKEN_INPUT, "factor", ckpt)
                else:
                    self.refused_rope(BROKEN_INPUT, "factor", {"rope_type": "linear", "factor": value})

    def test_a_missing_factor(self):
        for kind in ("linear", "dynamic", "llama3"):
            with self.subTest(kind):
                self.refused_rope(BROKEN_INPUT, "factor", {"rope_type": kind})

    def test_llama3_with_its_bounds_swapped(self):
        self.refused_rope(BROKEN_INPUT, "freq_factor", {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0,
                                                        "original_max_position_embeddings": 32})

    def test_llama3_with_equal_bounds(self):
        self.refused_rope(BROKEN_INPUT, "freq_factor", {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 2.0,
                                                        "original_max_position_embeddings": 32})

    def test_a_key_of_another_kind(self):
        self.refused_rope(UNSUPPORTED, "beta_fast", {"rope_type": "linear", "factor": 2.0, "beta_fast": 32})

    def test_theta(self):
        for value in (0, -1, "10000", [1], 0.5e-320):
            with self.subTest(value):
                self.setUp()
                self.refused_config(BROKEN_INPUT, "theta", rope_theta=value)

    def test_both_spellings_that_disagree(self):
        self.refused_config(BROKEN_INPUT, "rope", rope_parameters={"rope_type": "default", "rope_theta": 5.0}, rope_theta=10000.0)


class FamilyDefaultsTest(ConfigCase):
    def test_a_rope_dictionary_that_the_class_would_make_up(self):
        for value in (None, REMOVE):
            with self.subTest(str(value)):
                self.setUp()
                self.refused_config(BROKEN_INPUT, "rope_scaling", "apertus_xielu", rope_scaling=value)


class WindowTest(ConfigCase):
    def test_a_window_that_cannot_be(self):
        for value in (-4, "4", 1.5):
            with self.subTest(value):
                self.setUp()
                self.refused_config(BROKEN_INPUT, "sliding_window", "mistral_window", sliding_window=value)

    def test_layer_types(self):
        for code, value in ((BROKEN_INPUT, ["full_attention"]), (BROKEN_INPUT, ["nonsense"] * 2), (BROKEN_INPUT, [1, 2]),
                            (BROKEN_INPUT, ["full_attention"] * 100), (UNSUPPORTED, "full_attention"), (BROKEN_INPUT, {})):
            with self.subTest(value=str(value)[:30]):
                self.setUp()
                self.refused_config(code, "layer_types", "qwen2_layer_types", layer_types=value)


if __name__ == "__main__":
    unittest.main()
