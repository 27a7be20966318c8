#!/usr/bin/env python3
"""Broken containers: each gives one clear line, the right exit code, and nothing on the disk."""
import json
import os
import struct
import unittest

from edits import EMBEDDING, MODEL, NORM, WeightsCase
from sandbox import BROKEN_INPUT, SYSTEM, UNSUPPORTED

INDEX = "model.safetensors.index.json"


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

    def test_a_header_of_millions_of_empty_tensors(self):
        text = b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(310_000)) + b"}"
        self.broken_file(struct.pack("<Q", len(text)) + text, "tensors", code=UNSUPPORTED)

    def test_metadata_of_sixty_megabytes(self):
        ckpt = self.checkpoint()
        part = b'"k":"%s",' % (b"v" * 1000)
        count = 60_000
        with open(ckpt / MODEL, "wb") as file:
            file.write(struct.pack("<Q", 17 + count * len(part) + 8))
            file.write(b'{"__metadata__":{')
            for _ in range(count):
                file.write(part)
            file.write(b'"z":""}}')
        self.refuses_export(BROKEN_INPUT, [MODEL], ckpt)

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


if __name__ == "__main__":
    unittest.main()
