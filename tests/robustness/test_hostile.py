#!/usr/bin/env python3
"""Broken checkpoints: each gives one clear line, the right exit code, and nothing on the disk."""
import json
import os
import pathlib
import pickle
import socket
import struct
import unittest
import zipfile

import numpy as np

from sandbox import BROKEN_INPUT, SYSTEM, UNSUPPORTED, BAD_FLAG, SandboxCase, config_of, is_root, make_fixture

MODEL = "model.safetensors"
INDEX = "model.safetensors.index.json"
NORM = "model.layers.1.input_layernorm.weight"
MATRIX = "model.layers.2.mlp.down_proj.weight"
BIAS = "model.layers.0.self_attn.q_proj.bias"
EMBEDDING = "model.embed_tokens.weight"
ABSENT = object()
BYTES_OF = {"F32": 4, "F16": 2, "BF16": 2}


def read_weights(path):
    """(header dict, data bytes) of a safetensors file."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def write_raw(path, header, data=b"", length=None):
    """Any bytes as header, any number as its length."""
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


class WeightsCase(SandboxCase):
    def edit(self, change, file=MODEL, fixture=None, form=None):
        """A checkpoint whose header went through `change(header)` (in place, or a new value, or bytes)."""
        ckpt = self.checkpoint(fixture, form)
        header, data = read_weights(ckpt / file)
        changed = change(header)
        header = header if changed is None else changed
        write_raw(ckpt / file, header if isinstance(header, bytes) else json.dumps(header).encode(), data)
        return ckpt

    def poison(self, name, value, row=-1, col=-1, fixture=None):
        """A checkpoint with `value` in one element of a tensor. @return (directory, row as a number)."""
        ckpt = self.checkpoint(fixture)
        header, data = read_weights(ckpt / MODEL)
        entry = header[name]
        at, end = entry["data_offsets"]
        shape = entry["shape"]
        index = np.ravel_multi_index([n % s for n, s in zip((row, col), shape)], shape)
        encoded = {"BF16": lambda: struct.pack("<f", value)[2:], "F16": lambda: np.float16(value).tobytes(),
                   "F32": lambda: struct.pack("<f", value)}[entry["dtype"]]()
        at += int(index) * len(encoded)
        write_raw(ckpt / MODEL, json.dumps(header).encode(), data[:at] + encoded + data[at + len(encoded):])
        return ckpt, row % shape[0]


class SafetensorsTest(WeightsCase):
    """The container."""

    def broken_file(self, content, mentions, code=BROKEN_INPUT):
        ckpt = self.checkpoint()
        (ckpt / MODEL).write_bytes(content)
        self.refuses_export(code, [MODEL, *([mentions] if isinstance(mentions, str) else mentions)], ckpt)

    def refused_header(self, change, *mentions, code=BROKEN_INPUT):
        self.refuses_export(code, [MODEL, *mentions], self.edit(change))

    def test_an_empty_file(self):
        self.broken_file(b"", "0 bytes")

    def test_a_file_of_seven_bytes(self):
        self.broken_file(b"1234567", "7 bytes")

    def test_a_length_without_a_header(self):
        self.broken_file(struct.pack("<Q", 100), "100 bytes")

    def test_a_huge_header_length(self):
        self.broken_file(struct.pack("<Q", 2**64 - 1) + b"{}", str(2**64 - 1))

    def test_a_header_length_just_over_the_file(self):
        self.broken_file(struct.pack("<Q", 3) + b"{}", "3 bytes")

    def test_an_html_page(self):
        self.broken_file(b"<!DOCTYPE html><html>404 not found</html>", "not a safetensors file")

    def test_a_git_lfs_pointer(self):
        self.broken_file(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n", "git lfs pull")

    def test_a_header_of_zeros(self):
        self.broken_file(struct.pack("<Q", 64) + bytes(64), "header")

    def test_a_header_length_of_zero(self):
        self.broken_file(bytes(8), "header")

    def test_a_sparse_terabyte_of_header(self):
        ckpt = self.checkpoint()
        with open(ckpt / MODEL, "wb") as file:
            file.write(struct.pack("<Q", 2**39))
            file.truncate(2**40)
        self.refuses_export(BROKEN_INPUT, [MODEL, str(2**39)], ckpt)

    def test_a_sparse_header_of_ninety_megabytes(self):
        ckpt = self.checkpoint()
        with open(ckpt / MODEL, "wb") as file:
            file.write(struct.pack("<Q", 90_000_000) + b'{"a": ')
            file.truncate(90_000_100)
        self.refuses_export(BROKEN_INPUT, [MODEL, "header"], ckpt)

    def test_a_header_of_a_million_brackets(self):
        self.broken_file(struct.pack("<Q", 10**6) + b"[" * 10**6, "header")

    def test_a_header_of_nested_objects(self):
        text = b'{"a":' * 1000 + b"1" + b"}" * 1000
        self.broken_file(struct.pack("<Q", len(text)) + text, "header")

    def test_a_header_that_is_an_array(self):
        self.broken_file(struct.pack("<Q", 2) + b"[]", "must be a JSON object")

    def test_a_header_that_is_cut(self):
        self.refused_header(lambda h: json.dumps(h).encode()[:-5], "header")

    def test_a_header_with_a_bom(self):
        self.refused_header(lambda h: b"\xef\xbb\xbf" + json.dumps(h).encode(), "header")

    def test_a_header_with_invalid_utf8(self):
        self.refused_header(lambda h: json.dumps(h).encode().replace(b"norm", b"n\xff\xferm"), "UTF-8")

    def test_a_header_with_text_behind_it(self):
        self.refused_header(lambda h: json.dumps(h).encode() + b"{}", "header")

    def test_no_tensors(self):
        self.broken_file(struct.pack("<Q", 2) + b"{}", "no tensors")

    def test_a_tensor_twice(self):
        entry = b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
        text = b'{"twin":' + entry + b',"twin":' + entry + b"}"
        self.broken_file(struct.pack("<Q", len(text)) + text + bytes(4), "twin")

    def test_an_empty_twin_of_a_tensor(self):
        text = (b'{"twin":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
                b'"twin":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
        self.broken_file(struct.pack("<Q", len(text)) + text + bytes(4), "twin")

    def test_a_key_twice_within_a_tensor(self):
        text = b'{"t":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}'
        self.broken_file(struct.pack("<Q", len(text)) + text + bytes(4), ["'t'", "'dtype' appears twice"])

    def test_offsets_beyond_the_file(self):
        self.refused_header(lambda h: h[NORM].update(data_offsets=[0, 2**40]), NORM, str(2**40))

    def test_offsets_that_wrap_around(self):
        self.refused_header(lambda h: h[NORM].update(data_offsets=[2**63 - 64, 2**63 - 1]), NORM)

    def test_offsets_over_64_bits(self):
        self.refused_header(lambda h: h[NORM].update(data_offsets=[0, 2**65]), NORM)

    def test_offsets_the_wrong_way_round(self):
        self.refused_header(lambda h: h[NORM]["data_offsets"].reverse(), NORM)

    def test_negative_offsets(self):
        self.refused_header(lambda h: h[NORM].update(data_offsets=[-128, 0]), NORM)

    def test_offsets_that_are_floats(self):
        self.refused_header(lambda h: h[NORM].update(data_offsets=[0.5, 128.5]), NORM)

    def test_offsets_in_quotes(self):
        self.refused_header(lambda h: h[NORM].update(data_offsets=["0", "128"]), NORM, "whole numbers")

    def test_three_offsets(self):
        self.refused_header(lambda h: h[NORM]["data_offsets"].append(1), NORM, "two numbers")

    def test_overlapping_tensors(self):
        def overlap(header):
            header["other"] = dict(header[NORM])
        self.refused_header(overlap, "overlap")

    def test_a_hole(self):
        self.refused_header(lambda h: h.pop(NORM) and None, "hole")

    def test_bytes_behind_the_last_tensor(self):
        ckpt = self.checkpoint()
        with open(ckpt / MODEL, "ab") as file:
            file.write(b"\0" * 16)
        self.refuses_export(BROKEN_INPUT, [MODEL, "16 bytes behind"], ckpt)

    def test_data_that_is_cut(self):
        ckpt = self.checkpoint()
        os.truncate(ckpt / MODEL, (ckpt / MODEL).stat().st_size - 1)
        self.refuses_export(BROKEN_INPUT, [MODEL, "download it again"], ckpt)

    def test_a_dtype_that_lies(self):
        self.refused_header(lambda h: h[NORM].update(dtype="F32"), NORM, "F32")

    def test_a_shape_that_lies(self):
        self.refused_header(lambda h: h[NORM].update(shape=[65]), NORM)

    def test_a_shape_whose_product_wraps(self):
        self.refused_header(lambda h: h[NORM].update(shape=[2**32, 2**32, 64]), NORM)

    def test_a_negative_shape(self):
        self.refused_header(lambda h: h[NORM].update(shape=[-64]), NORM)

    def test_a_shape_of_a_thousand_dimensions(self):
        self.refused_header(lambda h: h[NORM].update(shape=[64] + [1] * 1000), NORM, "dimensions")

    def test_an_unknown_dtype(self):
        self.refused_header(lambda h: h[NORM].update(dtype="F4_E2M1_NOT_YET"), NORM, "F4_E2M1_NOT_YET", code=UNSUPPORTED)

    def test_a_missing_dtype(self):
        self.refused_header(lambda h: h[NORM].pop("dtype") and None, NORM, "dtype")

    def test_a_null_tensor(self):
        self.refused_header(lambda h: h.update({NORM: None}), NORM)

    def test_metadata_of_the_wrong_kind(self):
        self.refused_header(lambda h: h.update(__metadata__={"format": 3}), "__metadata__")

    def test_weights_that_no_model_computes_with(self):
        ckpt = self.edit(lambda h: h[NORM].update(dtype="I16"))
        self.refuses_export(UNSUPPORTED, [NORM, "I16"], ckpt)

    def test_a_name_made_to_deceive_a_terminal(self):
        ckpt = self.edit(lambda h: h.update({"\x1b[2Jgone\n\u202eevil'%s{}": h.pop(NORM)}))
        self.refuses_export(BROKEN_INPUT, [], ckpt)

    def test_a_name_of_a_megabyte(self):
        ckpt = self.edit(lambda h: h.update({"n" * 10**6: h.pop(NORM)}))
        self.refuses_export(BROKEN_INPUT, [], ckpt)


class TensorsTest(WeightsCase):
    """Which tensors there are, and of what shape."""

    def test_a_missing_tensor(self):
        for name in (NORM, MATRIX, BIAS, EMBEDDING, "lm_head.weight", "model.norm.weight"):
            with self.subTest(name):
                self.setUp()
                ckpt = self.edit(lambda h: h.update({"spare": h.pop(name)}))
                self.refuses_export(BROKEN_INPUT, name, ckpt)

    def test_a_left_over_tensor(self):
        def add(header):
            end = max(e["data_offsets"][1] for n, e in header.items() if n != "__metadata__")
            header["model.layers.0.mlp.secret.weight"] = {"dtype": "BF16", "shape": [0, 4], "data_offsets": [end, end]}
        self.refuses_export(BROKEN_INPUT, "model.layers.0.mlp.secret.weight", self.edit(add))

    def test_a_layer_too_many(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["num_hidden_layers"] = 2
        self.refuses_export(BROKEN_INPUT, "model.layers.2.", ckpt)

    def test_a_layer_too_few(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["num_hidden_layers"] = 4
        self.refuses_export(BROKEN_INPUT, "model.layers.3.", ckpt)

    def test_a_matrix_that_stands_on_its_head(self):
        ckpt = self.edit(lambda h: h[MATRIX]["shape"].reverse())
        self.refuses_export(BROKEN_INPUT, [MATRIX, "[96, 64]", "[64, 96]"], ckpt)

    def test_a_norm_with_two_dimensions(self):
        ckpt = self.edit(lambda h: h[NORM].update(shape=[8, 8]))
        self.refuses_export(BROKEN_INPUT, [NORM, "[8, 8]"], ckpt)

    def test_a_matrix_with_one_dimension(self):
        ckpt = self.edit(lambda h: h[MATRIX].update(shape=[64 * 96]))
        self.refuses_export(BROKEN_INPUT, [MATRIX, "[6144]"], ckpt)

    def test_an_embedding_of_another_vocabulary(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["vocab_size"] = 105
        self.refuses_export(BROKEN_INPUT, [EMBEDDING, "105"], ckpt)

    def test_biases_that_the_config_does_not_announce(self):
        ckpt = self.checkpoint()
        with config_of(ckpt) as config:
            config["attention_bias"] = False
        self.refuses_export(BROKEN_INPUT, "bias", ckpt)


class ValuesTest(WeightsCase):
    """NaN, Inf and values beyond the target."""

    WIDTHS = ((), ("--quant_bit", "2"), ("--quant_bit", "8", "--quant_block", "0", "--sym"), ("--quant_bit", "16"),
              ("--quant_bit", "32"), ("--scale_bit", "32"))

    def refused_value(self, name, value, *flags, row=-1, fixture=None, says_row=True):
        ckpt, row = self.poison(name, value, row, fixture=fixture)
        self.refuses_export(BROKEN_INPUT, [name, *([f"row {row}"] if says_row else [])], ckpt, *flags)

    def test_a_matrix(self):
        for value in (float("nan"), float("inf"), float("-inf")):
            for flags in self.WIDTHS:
                for row in (0, -1):
                    with self.subTest(value=value, flags=flags, row=row):
                        self.setUp()
                        self.refused_value(MATRIX, value, *flags, row=row)

    def test_a_norm(self):
        for value in (float("nan"), float("inf")):
            for flags in self.WIDTHS:
                with self.subTest(value=value, flags=flags):
                    self.setUp()
                    self.refused_value(NORM, value, *flags, says_row=False)

    def test_a_bias(self):
        for flags in self.WIDTHS:
            with self.subTest(flags=flags):
                self.setUp()
                self.refused_value(BIAS, float("nan"), *flags, says_row=False)

    def test_a_head_norm(self):
        self.refused_value("model.layers.1.self_attn.q_norm.weight", float("nan"), fixture="qwen3_attention_bias_f32", says_row=False)

    def test_an_embedding(self):
        for flags in ((), ("--embed_bit", "8"), ("--embed_bit", "4"), ("--quant_bit", "32"), ("--compat", "3.1")):
            for value in (float("nan"), float("inf")):
                with self.subTest(flags=flags, value=value):
                    self.setUp()
                    self.refused_value(EMBEDDING, value, *flags)

    def test_a_tied_embedding(self):
        for flags in ((), ("--seperate_embed",), ("--quant_bit", "8"), ("--quant_bit", "16")):
            with self.subTest(flags=flags):
                self.setUp()
                self.refused_value(EMBEDDING, float("nan"), *flags, fixture="mistral_window_rope_parameters_tied")

    def test_float32_sources(self):
        for value in (float("nan"), float("inf")):
            with self.subTest(value=value):
                self.setUp()
                self.refused_value("model.layers.0.mlp.up_proj.weight", value, fixture="llama_mha_tied_f32")

    def test_float16_sources(self):
        for value in (float("nan"), float("-inf")):
            with self.subTest(value=value):
                self.setUp()
                self.refused_value("model.layers.0.mlp.up_proj.weight", value, fixture="llama_mqa_head_dim_f16")

    def test_a_weight_beyond_fp16(self):
        self.refused_value(MATRIX, 1e5, "--quant_bit", "16")

    def test_a_scale_beyond_fp16(self):
        self.refused_value(MATRIX, 1e9, "--quant_bit", "4")

    def test_an_offset_beyond_fp16(self):
        self.refused_value(MATRIX, -2e5, "--quant_bit", "8")

    def test_a_scale_beyond_float32(self):
        ckpt, _ = self.poison(MATRIX, 3e38, row=3, col=0)
        header, data = read_weights(ckpt / MODEL)
        at = header[MATRIX]["data_offsets"][0] + (3 * 96 + 1) * 2
        write_raw(ckpt / MODEL, json.dumps(header).encode(), data[:at] + struct.pack("<f", -3e38)[2:] + data[at + 2:])
        self.refuses_export(BROKEN_INPUT, MATRIX, ckpt, "--scale_bit", "32")

    def test_an_embedding_beyond_bf16(self):
        self.refused_value(EMBEDDING, 3.4028234e38, "--seperate_embed", fixture="llama_mha_tied_f32")


class FilesTest(WeightsCase):
    """What stands where a file should be."""

    FILES = ("config.json", MODEL, "tokenizer.json", "tokenizer_config.json")

    def each_file(self, replace, code, mention=None, files=FILES):
        for name in files:
            with self.subTest(name):
                self.setUp()
                ckpt = self.checkpoint()
                os.unlink(ckpt / name)
                replace(ckpt / name)
                self.refuses_export(code, [name, *([mention] if mention else [])], ckpt)

    def test_nothing(self):
        self.each_file(lambda path: None, SYSTEM, files=("config.json", MODEL, "tokenizer.json"))

    def test_a_fifo(self):
        self.each_file(os.mkfifo, SYSTEM, "not a regular file")

    def test_a_directory(self):
        self.each_file(os.mkdir, SYSTEM)

    def test_a_link_to_itself(self):
        self.each_file(lambda path: path.symlink_to(path.name), SYSTEM, "symbolic links")

    def test_a_dangling_link(self):
        self.each_file(lambda path: path.symlink_to("../blobs/gone"), SYSTEM)

    def test_a_device(self):
        for device in ("/dev/zero", "/dev/null", "/dev/full", "/dev/tty"):
            if os.path.exists(device):
                self.each_file(lambda path, device=device: path.symlink_to(device), SYSTEM)

    def test_a_socket(self):
        def bind(path):
            with socket.socket(socket.AF_UNIX) as s:
                here = os.open(path.parent, os.O_RDONLY)
                os.fchdir(here)  # the path of a socket has at most 107 bytes
                s.bind(path.name)
                os.chdir("/")
                os.close(here)
        self.each_file(bind, SYSTEM)

    def test_proc_mem(self):
        self.each_file(lambda path: path.symlink_to("/proc/self/mem"), BROKEN_INPUT, files=(MODEL,))

    def test_an_empty_file(self):
        self.each_file(lambda path: path.touch(), BROKEN_INPUT)

    def test_a_file_without_permission(self):
        ckpt = self.checkpoint()
        os.chmod(ckpt / MODEL, 0)
        options = {}
        if is_root():
            nobody = 65534
            options = {"user": nobody, "group": nobody, "extra_groups": []}
            if not os.access(self.box, os.X_OK):
                self.skipTest("the temporary directory is closed to other users")
            for folder in (self.box, self.box / "cwd"):
                os.chmod(folder, 0o777)
        self.refuses_export(SYSTEM, [MODEL, "permission denied"], ckpt, **options)

    def test_a_checkpoint_that_is_not_there(self):
        self.refuses_export(SYSTEM, "absent", self.box / "absent")

    def test_a_checkpoint_that_is_a_file(self):
        self.refuses_export(SYSTEM, MODEL, self.checkpoint() / MODEL)

    def test_an_empty_checkpoint(self):
        (self.box / "ckpt").mkdir()
        self.refuses_export(SYSTEM, "config.json", self.box / "ckpt")

    def test_a_file_that_shrinks_behind_its_header(self):
        # The bytes are there when headers are read; the data of a sparse file costs nothing, so a hole stands in.
        ckpt = self.checkpoint(form="sharded")
        shard = sorted(ckpt.glob("*.safetensors"))[-1]
        os.truncate(shard, shard.stat().st_size - 100)
        self.refuses_export(BROKEN_INPUT, [shard.name, "cut off"], ckpt)


class IndexTest(WeightsCase):
    def refused_index(self, change, code, *mentions):
        ckpt = self.checkpoint(form="sharded")
        index = json.loads((ckpt / INDEX).read_text())
        changed = change(index)
        (ckpt / INDEX).write_text(changed if isinstance(changed, str) else json.dumps(index))
        self.refuses_export(code, [INDEX, *mentions], ckpt)

    def name_of_shard(self, name, *mentions):
        self.refused_index(lambda i: i["weight_map"].update({NORM: name}), BROKEN_INPUT, NORM, "plain file name", *mentions)

    def test_a_missing_shard(self):
        ckpt = self.checkpoint(form="sharded")
        os.unlink(ckpt / "model-00002-of-00003.safetensors")
        self.refuses_export(SYSTEM, [INDEX, "model-00002-of-00003.safetensors"], ckpt)

    def test_a_name_with_parents(self):
        self.name_of_shard("../ckpt/model-00001-of-00003.safetensors")

    def test_an_absolute_name(self):
        self.name_of_shard("/etc/passwd")

    def test_a_name_in_a_folder(self):
        self.name_of_shard("sub/model.safetensors")

    def test_a_name_with_nul(self):
        self.name_of_shard("model-00001-of-00003.safetensors\0.txt")

    def test_an_empty_name(self):
        self.name_of_shard("")

    def test_a_name_of_a_thousand_bytes(self):
        self.name_of_shard("m" * 1000)

    def test_a_name_that_is_a_number(self):
        self.refused_index(lambda i: i["weight_map"].update({NORM: 1}), BROKEN_INPUT, NORM)

    def test_a_tensor_in_the_wrong_shard(self):
        self.refused_index(lambda i: i["weight_map"].update({EMBEDDING: "model-00003-of-00003.safetensors"}), BROKEN_INPUT, EMBEDDING)

    def test_a_tensor_in_no_shard(self):
        self.refused_index(lambda i: i["weight_map"].update({"ghost": "model-00001-of-00003.safetensors"}), BROKEN_INPUT, "ghost")

    def test_a_tensor_that_the_map_lacks(self):
        self.refused_index(lambda i: i["weight_map"].pop(NORM) and None, BROKEN_INPUT, NORM)

    def test_a_tensor_twice_in_the_map(self):
        self.refused_index(lambda i: json.dumps(i).replace('"weight_map": {', '"weight_map": {"%s": "model-00001-of-00003.safetensors", ' % NORM),
                           BROKEN_INPUT, NORM, "twice")

    def test_a_tensor_in_two_shards(self):
        ckpt = self.checkpoint(form="sharded")
        (ckpt / "model-00002-of-00003.safetensors").write_bytes((ckpt / "model-00001-of-00003.safetensors").read_bytes())
        self.refuses_export(BROKEN_INPUT, [INDEX, "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"], ckpt)

    def test_no_map(self):
        self.refused_index(lambda i: i.pop("weight_map") and None, BROKEN_INPUT, "weight_map")

    def test_an_empty_map(self):
        self.refused_index(lambda i: i["weight_map"].clear(), BROKEN_INPUT, "weight_map")

    def test_a_map_that_is_an_array(self):
        self.refused_index(lambda i: i.update(weight_map=list(i["weight_map"])), BROKEN_INPUT, "weight_map")

    def test_an_index_that_is_cut(self):
        self.refused_index(lambda i: json.dumps(i)[:-9], BROKEN_INPUT)

    def test_an_index_that_is_a_fifo(self):
        ckpt = self.checkpoint()
        os.mkfifo(ckpt / INDEX)
        self.refuses_export(SYSTEM, [INDEX, "not a regular file"], ckpt)

    def test_a_dangling_index_is_not_passed_over(self):
        ckpt = self.checkpoint()
        (ckpt / INDEX).symlink_to("gone")
        self.refuses_export(SYSTEM, INDEX, ckpt)


class Command:
    """What a hostile pickle runs."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class PickleTest(WeightsCase):
    BIN = "pytorch_model.bin"

    def refused_bin(self, content, *mentions, code=BROKEN_INPUT):
        ckpt = self.checkpoint(form="bin")
        (ckpt / self.BIN).write_bytes(content)
        return self.refuses_export(code, [self.BIN, *mentions], ckpt)

    def zipped(self, pickled, **entries):
        path = self.box / "tmp" / "made.bin"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("pytorch_model/data.pkl", pickled)
            for name, data in entries.items():
                archive.writestr(f"pytorch_model/{name}", data)
        content = path.read_bytes()
        path.unlink()
        return content

    def test_os_system(self):
        mark = self.box / "pwned"
        for protocol in (2, 4):
            with self.subTest(protocol):
                self.setUp()
                self.refused_bin(self.zipped(pickle.dumps(Command(os.system, f"touch {mark}"), protocol)), "system", code=UNSUPPORTED)
        self.assertFalse(mark.exists())

    def test_os_system_in_the_oldest_protocol(self):
        self.refused_bin(self.zipped(pickle.dumps(Command(os.system, "true"), 0)))

    def test_eval(self):
        self.refused_bin(self.zipped(pickle.dumps(Command(eval, "1"), 2)), "eval", code=UNSUPPORTED)

    def test_a_bare_pickle(self):
        self.refused_bin(pickle.dumps({"a": 1}, 2), "bare pickle", code=UNSUPPORTED)

    def test_a_bare_pickle_that_calls_os_system(self):
        self.refused_bin(pickle.dumps(Command(os.system, "true"), 2), "bare pickle", code=UNSUPPORTED)

    def test_not_a_zip(self):
        self.refused_bin(b"nothing of the kind " * 100)

    def test_an_empty_zip(self):
        self.refused_bin(b"PK\x05\x06" + bytes(18))

    def test_a_cut_zip(self):
        ckpt = self.checkpoint(form="bin")
        os.truncate(ckpt / self.BIN, (ckpt / self.BIN).stat().st_size - 30)
        self.refuses_export(BROKEN_INPUT, self.BIN, ckpt)

    def test_a_billion_memo_entries(self):
        self.refused_bin(self.zipped(b"\x80\x02" + b"]r\xff\xff\xff\xff" * 1000 + b"."), code=UNSUPPORTED)

    def test_a_tower_of_tuples(self):
        self.refused_bin(self.zipped(b"\x80\x02)" + b"\x85" * 10**6 + b"."), code=UNSUPPORTED)

    def test_a_list_that_doubles(self):
        self.refused_bin(self.zipped(b"\x80\x02]q\x00" + b"h\x00h\x00\x86q\x00" * 10000 + b"."), code=UNSUPPORTED)

    def test_a_pickle_without_an_end(self):
        self.refused_bin(self.zipped(b"\x80\x02}"))

    def test_nan_in_a_bin(self):
        ckpt = self.checkpoint(form="bin")
        source = {n: v for n, (_, v) in make_fixture.Fixture("llama_biases").source().items()}
        source[MATRIX] = source[MATRIX].copy()
        source[MATRIX][5, 7] = np.inf
        make_fixture.write_torch_bin(ckpt / self.BIN, list(source.items()), "f32")
        self.refuses_export(BROKEN_INPUT, [MATRIX, "row 5"], ckpt)


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

    def test_kinds_of_later_versions(self):
        for kind in ("Unigram", "WordPiece", "WordLevel"):
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

    def test_a_directory_without_a_tokenizer(self):
        (self.box / "cwd" / "empty").mkdir()
        self.refuses_export(SYSTEM, "tokenizer.json", self.checkpoint(), "--tokenizer_path", "empty")

    def test_a_tokenizer_path_that_is_not_there(self):
        self.refuses_export(SYSTEM, "absent", self.checkpoint(), "--tokenizer_path", "absent")


if __name__ == "__main__":
    unittest.main()
