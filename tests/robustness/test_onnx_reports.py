#!/usr/bin/env python3
"""`inspect` of ONNX files, and `--dump_ir`."""
import json
import os
import unittest

import onnx
import onnx.numpy_helper

from edits import WeightsCase
from sandbox import BAD_FLAG, BROKEN_INPUT, OK, SYSTEM


def floats_of(directory):
    """The float32 initializers of an ONNX export."""
    tensors = onnx.load(directory / "llm.onnx").graph.initializer
    return [onnx.numpy_helper.to_array(t) for t in tensors if t.data_type == onnx.TensorProto.FLOAT]


class InspectOnnxTest(WeightsCase):
    def onnx(self, *arguments):
        out = self.box / "onnx"
        done = self.tool("export", "--path", self.checkpoint(), "--dst_path", out, "--export", "onnx", *arguments)
        self.assertEqual((done.code, done.stderr), (OK, b""), done.text)
        return out

    def test_a_file_and_its_directory(self):
        out = self.onnx()
        for path in (out / "llm.onnx", out):
            with self.subTest(path.name):
                done = self.tool("inspect", path)
                self.assertEqual((done.code, done.stderr), (OK, b""))
                for word in ("flavour", "one", "opset 17", "input_ids INT64 [batch, seq]", "org.llm2mnn::Dropout", "FLOAT:", "llm.onnx.data"):
                    self.assertIn(word, done.stdout.decode())
                report = json.loads(self.tool("inspect", path, "--json").stdout)
                self.assertEqual((report["kind"], report["flavour"], report["opsets"][""]), ("onnx", "one", 17))
                self.assertEqual(report["producer"].split()[0], "llm2mnn")
                self.assertEqual(report["inputs"][0], {"name": "input_ids", "type": "INT64 [batch, seq]"})
                self.assertEqual({f["name"]: f["bytes"] for f in report["files"]},
                                 {n: (out / n).stat().st_size for n in ("llm.onnx", "llm.onnx.data")})
                self.assertEqual(report["tensors"]["FLOAT"]["bytes"], sum(t.nbytes for t in floats_of(out)))
                self.assertEqual(sum(report["operators"].values()), len(onnx.load(out / "llm.onnx", load_external_data=False).graph.node))

    def test_flags_of_checkpoints(self):
        out = self.onnx()
        package = self.box / "package"
        self.exports(self.box / "ckpt", package)
        for path, what in ((out, "an ONNX file"), (out / "llm.onnx", "an ONNX file"), (package, "a package")):
            for flag in ("--type", "--family"):
                with self.subTest(path=path.name, flag=flag):
                    self.refused(BAD_FLAG, [flag, what], "inspect", path, flag, "llama")

    def test_long_lists_on_request(self):
        out = self.onnx()
        self.assertNotIn(b"past_key_values.2.value", self.tool("inspect", out).stdout)
        self.assertIn(b"past_key_values.2.value", self.tool("inspect", out, "--verbose").stdout)

    def test_quantised_files_say_so(self):
        done = self.tool("inspect", self.onnx("--onnx_quant", "matmulnbits", "--quant_block", "32", "--accuracy_level", "4"))
        self.assertIn(b"4 bit, block 32 (MatMulNBits, int8 activations)", done.stdout)
        self.assertIn(b"UINT8:", done.stdout)

    def test_damage_is_found(self):
        out = self.onnx()
        os.truncate(out / "llm2mnn.json", 0)
        self.refused(BROKEN_INPUT, "llm2mnn.json", "inspect", out)
        os.truncate(out / "llm.onnx.data", 100)
        self.refused(BROKEN_INPUT, ["llm.onnx", "llm.onnx.data"], "inspect", out / "llm.onnx")
        os.unlink(out / "llm.onnx.data")
        self.refused(SYSTEM, ["llm.onnx", "llm.onnx.data"], "inspect", out / "llm.onnx")
        os.truncate(out / "llm.onnx", 1000)
        self.refused(BROKEN_INPUT, "llm.onnx", "inspect", out)


class DumpTest(WeightsCase):
    def test_the_graph_before_and_after(self):
        ckpt = self.checkpoint()
        for arguments, words in (((), ("# llm.mnn", "= Attention(", "= Convolution(")),
                                 (("--export", "onnx"), ("# llm.onnx", "= Softmax(", "org.llm2mnn::Dropout(")),
                                 (("--compat", "3.1"), ("# llm.mnn", "= LayerNorm("))):
            with self.subTest(arguments):
                dump = self.box / "graph.txt"
                block = () if "onnx" in arguments else ("--quant_block", "32")
                done = self.tool("export", "--path", ckpt, *block, *arguments, "--dry_run", "--dump_ir", dump)
                self.assertEqual((done.code, done.stderr), (OK, b""))
                text = dump.read_text()
                for word in ("# The semantic graph", "/layers.0/self_attn/q_proj: ", "Linear(", *words):
                    self.assertIn(word, text)
                dump.unlink()

    def test_nothing_is_overwritten(self):
        ckpt, dump = self.checkpoint(), self.box / "mine.txt"
        dump.write_text("mine")
        out = self.box / "out"
        self.refused(SYSTEM, "mine.txt", "export", "--path", ckpt, "--quant_block", "32", "--dst_path", out, "--dump_ir", dump)
        self.assertEqual(dump.read_text(), "mine")
        self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
