#!/usr/bin/env python3
"""`convert` of files that are broken, edited or made to hurt: each ends with the right exit code and one line that names what
is wrong, before much memory or time is spent, and leaves nothing behind. What changes no meaning is accepted."""
import json
import os
import pathlib
import shutil
import struct
import sys
import unittest

import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "robustness"))
from sandbox import BAD_FLAG, BROKEN_INPUT, OK, SYSTEM, UNSUPPORTED, SandboxCase, package_faults  # noqa: E402

FIXTURE = "llama_biases"
RECORD = "llm2mnn.config"
MATRIX = "model.layers.1.mlp.down_proj.weight_t"
NORM = "model.norm.weight"
DATA = "llm.onnx.data"


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


class HostileCase(SandboxCase):
    def source(self, *flags):
        """A fresh copy of an export of the fixture."""
        key = self.originals / "-".join(["onnx", *map(str, flags)])
        if not key.exists():
            checkpoint = self.checkpoint(FIXTURE, name=f"ckpt-{key.name}")
            done = self.tool("export", "--path", checkpoint, "--dst_path", key, "--export", "onnx", *flags)
            self.assertEqual(done.code, OK, done.text)
            shutil.rmtree(checkpoint)
        shutil.rmtree(self.box / "onnx", ignore_errors=True)
        return pathlib.Path(shutil.copytree(key, self.box / "onnx"))

    def model(self, directory):
        return onnx.load(str(directory / "llm.onnx"), load_external_data=False)

    def edit(self, change, *flags):
        """A copy whose model went through `change`, in place."""
        directory = self.source(*flags)
        model = self.model(directory)
        change(model)
        (directory / "llm.onnx").write_bytes(model.SerializeToString())
        return directory

    def edit_record(self, change, *flags):
        def edit(model):
            entry = next(p for p in model.metadata_props if p.key == RECORD)
            record = json.loads(entry.value)
            changed = change(record)
            entry.value = changed if isinstance(changed, str) else json.dumps(record)
        return self.edit(edit, *flags)

    def refuses(self, code, mentions, model, *flags):
        return self.refused(code, mentions, "convert", "--model", model, "--dst_path", self.box / "new" / "parents" / "out",
                            *(flags or ("--quant_block", "32")))

    def accepts(self, model):
        out = self.box / "out"
        shutil.rmtree(out, ignore_errors=True)
        done = self.tool("convert", "--model", model, "--dst_path", out, "--quant_block", "32")
        self.assertEqual((done.code, done.stderr), (OK, b""), done.text)
        self.assertEqual(package_faults(out), [])
        return {p.name: p.read_bytes() for p in out.iterdir()}


def tensor(model, name):
    return next(t for t in model.graph.initializer if t.name == name)


def node(model, op_type):
    return next(n for n in model.graph.node if n.op_type == op_type)


def set_external(name, **entries):
    """A change of the external data of a tensor; None removes a key."""
    def change(model):
        for entry in list(tensor(model, name).external_data):
            if entry.key in entries:
                if entries[entry.key] is None:
                    tensor(model, name).external_data.remove(entry)
                else:
                    entry.value = str(entries[entry.key])
    return change


def make_inline(model, name, data):
    """The values of a tensor as raw data."""
    entries = {e.key: e.value for e in tensor(model, name).external_data}
    tensor(model, name).raw_data = data[int(entries["offset"]):][:int(entries["length"])]
    tensor(model, name).ClearField("external_data")
    tensor(model, name).ClearField("data_location")


class FilesTest(HostileCase):
    """What lies where."""

    def test_a_model_that_breaks_off(self):
        directory = self.source()
        whole = (directory / "llm.onnx").read_bytes()
        # Through header, nodes, tensors and metadata.
        for end in sorted({0, 1, 2, 3, 17, len(whole) - 1, *(len(whole) * i // 24 for i in range(1, 24))}):
            with self.subTest(end=end):
                (directory / "llm.onnx").write_bytes(whole[:end])
                self.refuses(BROKEN_INPUT, ["llm.onnx", "ONNX model"], directory)

    def test_a_location_outside(self):
        for location in ("../x", "a/../../x", "/etc/passwd", "..", "", "llm.onnx.data\0x"):
            with self.subTest(location=location):
                self.refuses(BROKEN_INPUT, [MATRIX, "external data"], self.edit(set_external(MATRIX, location=location)))

    def test_a_destination_that_holds_the_source(self):
        directory = self.source()
        link = self.box / "elsewhere"
        link.mkdir()
        for name in directory.iterdir():
            (link / name.name).symlink_to(name)
        for model in (directory, link / "llm.onnx"):
            with self.subTest(model=model):
                self.refused(BAD_FLAG, ["llm.onnx", "choose another --dst_path"], "convert", "--model", model, "--dst_path", directory, "--overwrite",
                             "--quant_block", "32")

    def test_a_data_file_that_is_not_there(self):
        directory = self.source()
        (directory / DATA).unlink()
        self.refuses(SYSTEM, [DATA, "copy both files"], directory)
        self.refuses(SYSTEM, ["no/such/file"], self.edit(set_external(MATRIX, location="no/such/file")))

    def test_a_data_file_that_is_none(self):
        directory = self.source()
        (directory / DATA).unlink()
        os.mkfifo(directory / DATA)
        self.refuses(SYSTEM, [DATA], directory)
        (directory / DATA).unlink()
        (directory / DATA).mkdir()
        self.refuses(SYSTEM, [DATA], directory)

    def test_a_data_file_that_breaks_off(self):
        directory = self.source()
        size = (directory / DATA).stat().st_size
        for end in (0, 1, 4096, size // 2, size - 1):
            with self.subTest(end=end):
                os.truncate(directory / DATA, end)
                self.refuses(BROKEN_INPUT, ["tensor", DATA, f"which has {end}"], directory)
                directory = self.source()

    def test_offsets_and_lengths(self):
        for entries in ({"offset": 10**9}, {"offset": 2**63}, {"offset": 2**64 - 1}, {"offset": 2**64}, {"offset": "-1"}, {"offset": "0x10"},
                        {"offset": ""}, {"offset": "1" * 400}, {"length": 1}, {"length": 2**64 - 1}, {"length": "all"}):
            with self.subTest(entries=entries):
                self.refuses(BROKEN_INPUT, [MATRIX], self.edit(set_external(MATRIX, **entries)))

    def test_tensors_that_share_bytes(self):
        # ONNX allows it; these are then the weights.
        self.accepts(self.edit(set_external(MATRIX, offset="4096")))
        self.accepts(self.edit(set_external(MATRIX, length=None)))

    def test_a_model_of_2_gib(self):
        directory = self.source()
        os.truncate(directory / "llm.onnx", 2**31)
        self.refuses(BROKEN_INPUT, ["llm.onnx", "2 GiB", "external data"], directory)
        # One byte less is read, and zeros are no fields.
        os.truncate(directory / "llm.onnx", 2**31 - 1)
        self.refuses(BROKEN_INPUT, ["llm.onnx"], directory)

    def test_what_the_flag_may_name(self):
        empty = self.box / "empty"
        empty.mkdir()
        self.refuses(SYSTEM, ["--model", "llm.onnx"], empty)
        self.refuses(SYSTEM, ["nothing"], self.box / "nothing")
        os.mkfifo(self.box / "fifo")
        self.refuses(SYSTEM, ["fifo"], self.box / "fifo")
        (empty / "llm.onnx").mkdir()
        self.refuses(SYSTEM, ["llm.onnx"], empty)
        (self.box / "text.onnx").write_text("no model")
        self.refuses(BROKEN_INPUT, ["text.onnx"], self.box / "text.onnx")

    def test_side_files(self):
        for name in ("tokenizer.mtok", "llm_config.json"):
            with self.subTest(missing=name):
                directory = self.source()
                (directory / name).unlink()
                self.refuses(SYSTEM, [name], directory)
                os.mkfifo(directory / name)
                self.refuses(SYSTEM, [name], directory)
        for name in ("config.json", "llm_config.json"):
            for text in ("", "{", "[]", '{"a": 1, "a": 2}', "\xff"):
                with self.subTest(file=name, text=text):
                    directory = self.source()
                    (directory / name).write_text(text, encoding="latin-1")
                    self.refuses(BROKEN_INPUT, [name], directory)
        for name in ("tokenizer.mtok", "tokenizer.txt"):
            directory = self.source()
            whole = (directory / name).read_bytes()
            for text in (b"", whole[:len(whole) // 2], b"<html>not found</html>\n", b"version https://git-lfs.github.com/spec/v1\n"):
                with self.subTest(file=name, text=text[:20]):
                    (directory / name).write_bytes(text)
                    self.refuses(BROKEN_INPUT, [name, "copy the file"], directory)
        directory = self.source()
        (directory / "config.json").unlink()
        (directory / "tokenizer.txt").unlink()
        self.assertNotIn("tokenizer.txt", self.accepts(directory))


class TensorsTest(HostileCase):
    def test_shapes(self):
        for dims, code in (([96], UNSUPPORTED), ([64 * 96], UNSUPPORTED), ([64, 96], UNSUPPORTED), ([1, 96, 64], UNSUPPORTED), ([-1, 96], BROKEN_INPUT),
                           ([2**62, 4], BROKEN_INPUT), ([2**63 - 1, 2**63 - 1], BROKEN_INPUT), ([0, 2**62, 2**62], UNSUPPORTED), ([96, 65], BROKEN_INPUT),
                           ([1] * 9, BROKEN_INPUT), ([1] * 100, UNSUPPORTED), ([], BROKEN_INPUT)):
            def change(model, dims=dims):
                tensor(model, MATRIX).dims[:] = dims
                set_external(MATRIX, length=None)(model)
            with self.subTest(dims=dims):
                directory = self.edit(change)
                if dims in ([96, 65], []):  # as many bytes as the last tensor leaves, so the comparison finds it
                    code = UNSUPPORTED
                self.refuses(code, ["tensor" if len(dims) < 100 else "dimensions"], directory)

    def test_a_shape_that_does_not_fit_the_bytes(self):
        def change(model):
            tensor(model, MATRIX).dims[:] = [96, 65]
        self.refuses(BROKEN_INPUT, [MATRIX, "[96, 65]", "24960", "24576"], self.edit(change))

        def inline(model):
            small = next(t for t in model.graph.initializer if t.raw_data)
            small.raw_data += b"\0"
        self.refuses(BROKEN_INPUT, ["tensor", "bytes"], self.edit(inline))

    def test_a_type(self):
        for elem_type in (0, 8, 99, -1):
            def change(model, elem_type=elem_type):
                tensor(model, MATRIX).data_type = elem_type
            with self.subTest(elem_type=elem_type):
                self.refuses(UNSUPPORTED, [MATRIX, "type"], self.edit(change))
        for name in (MATRIX, NORM):
            def halves(model, name=name):
                tensor(model, name).data_type = TensorProto.INT32
            with self.subTest(name=name):
                self.refuses(UNSUPPORTED, [name, "INT32", "FLOAT"], self.edit(halves))

    def test_a_vector_of_another_type_or_shape(self):
        for elem_type, dims in ((TensorProto.INT8, [64]), (TensorProto.INT8, [256]), (TensorProto.FLOAT, [8, 8]), (TensorProto.FLOAT16, [128]),
                                (TensorProto.FLOAT, [0, 2**62, 2**62])):
            def change(model, elem_type=elem_type, dims=dims):
                norm = tensor(model, NORM)
                size = {TensorProto.INT8: 1, TensorProto.FLOAT16: 2}.get(elem_type, 4)
                count = 0 if 0 in dims else dims[0] * (dims[1] if len(dims) > 1 else 1)
                norm.data_type, norm.raw_data = elem_type, bytes(size * count)
                norm.dims[:] = dims
            with self.subTest(elem_type=elem_type, dims=dims):
                self.refuses(UNSUPPORTED, [NORM, "FLOAT"], self.edit(change))

    def test_typed_fields(self):
        def change(name, key, values, **more):
            def edit(model):
                t = tensor(model, name)
                for gone in ("raw_data", "external_data", "data_location"):
                    t.ClearField(gone)
                getattr(t, key).extend(values)
                for k, v in more.items():
                    setattr(t, k, v)
            return edit
        shape = next(t.name for t in self.model(self.source()).graph.initializer if t.data_type == TensorProto.INT64)
        count = len(onnx.numpy_helper.to_array(tensor(self.model(self.source()), shape)).reshape(-1))
        self.refuses(UNSUPPORTED, [shape, "typed field"], self.edit(change(shape, "int64_data", [1] * count)))
        # Floats are stored in float_data as in raw data; other types are not.
        self.refuses(UNSUPPORTED, [shape, "typed field"], self.edit(change(shape, "float_data", [0.0] * 2 * count)))
        self.refuses(UNSUPPORTED, [NORM, "typed field"], self.edit(change(NORM, "float_data", [1.0] * 64, raw_data=bytes(256))))
        self.accepts(self.edit(change(NORM, "float_data", [1.0] * 64)))

    def test_a_name_that_two_have(self):
        def change(model):
            model.graph.initializer.append(tensor(model, MATRIX))
        self.refuses(BROKEN_INPUT, ["two tensors", MATRIX], self.edit(change))

    def test_a_tensor_too_few_or_too_many(self):
        for name in (MATRIX, NORM, "model.embed_tokens.weight"):
            with self.subTest(name=name):
                self.refuses(UNSUPPORTED, ["tensor", name, "stripped"], self.edit(lambda m, n=name: m.graph.initializer.remove(tensor(m, n))))
                self.refuses(UNSUPPORTED, ["tensor", name, "renamed"], self.edit(lambda m, n=name: setattr(tensor(m, n), "name", "other")))
        self.refuses(UNSUPPORTED, ["tensor 'spare'", "no node"], self.edit(lambda m: m.graph.initializer.append(
            helper.make_tensor("spare", TensorProto.FLOAT, [1], b"\0\0\0\0", raw=True))))

    def test_weights_that_were_stripped(self):
        def all_gone(model):
            model.graph.ClearField("initializer")
        self.refuses(BROKEN_INPUT, ["stripped"], self.edit(all_gone))

        def values_gone(model):
            for t in model.graph.initializer:
                for gone in ("raw_data", "external_data", "data_location"):
                    t.ClearField(gone)
        self.refuses(BROKEN_INPUT, ["tensor", "stripped"], self.edit(values_gone))

    def test_sparse_tensors(self):
        self.refuses(UNSUPPORTED, ["sparse"], self.edit(lambda m: m.graph.sparse_initializer.add().dims.append(1)))

    def test_an_edited_table(self):
        directory = self.source()
        data = bytearray((directory / DATA).read_bytes())
        entry = next(t for t in self.model(directory).graph.initializer if "table_cos_low" in t.name)
        data[int({e.key: e.value for e in entry.external_data}["offset"])] ^= 1
        (directory / DATA).write_bytes(data)
        self.refuses(UNSUPPORTED, [entry.name, "other values"], directory)

        def shape(model):
            small = next(t for t in model.graph.initializer if t.data_type == TensorProto.INT64 and t.raw_data)
            small.raw_data = struct.pack("<q", 77) + small.raw_data[8:]
        self.refuses(UNSUPPORTED, ["tensor 'const/", "other values"], self.edit(shape))

    def test_nan(self):
        directory = self.source()
        data = bytearray((directory / DATA).read_bytes())
        at = int({e.key: e.value for e in tensor(self.model(directory), MATRIX).external_data}["offset"])
        data[at:at + 4] = struct.pack("<f", float("nan"))
        (directory / DATA).write_bytes(data)
        self.refuses(BROKEN_INPUT, [MATRIX, "finite"], directory)

    def test_values_inside_the_model(self):
        # As tools save small models: another place, the same weights.
        directory = self.source()
        want = self.accepts(directory)
        data = (directory / DATA).read_bytes()

        def change(model):
            for t in model.graph.initializer:
                if t.data_location == 1:
                    make_inline(model, t.name, data)
        directory = self.edit(change)
        (directory / DATA).unlink()
        got = self.accepts(directory)
        self.assertEqual({n: b for n, b in got.items() if n != "llm2mnn.json"}, {n: b for n, b in want.items() if n != "llm2mnn.json"})


class GraphTest(HostileCase):
    def refuses_node(self, change, mentions):
        self.refuses(UNSUPPORTED, mentions, self.edit(change))

    def test_nodes(self):
        first = node(self.model(self.source()), "Softmax")
        names = [f"'{first.name}'", "('Softmax')", "other"]

        def edit(**changes):
            def change(model):
                for key, value in changes.items():
                    setattr(node(model, "Softmax"), key, value)
            return change
        self.refuses_node(edit(op_type="LogSoftmax"), [names[0], "LogSoftmax", "Softmax"])
        self.refuses_node(edit(domain="my.domain"), [names[0], "my.domain::Softmax"])
        self.refuses_node(lambda m: node(m, "Softmax").attribute[0].__setattr__("i", 2), names)
        self.refuses_node(lambda m: node(m, "Softmax").attribute[0].__setattr__("name", "axes"), names)
        self.refuses_node(lambda m: node(m, "Softmax").attribute.append(helper.make_attribute("axis", -1)), names)
        self.refuses_node(lambda m: node(m, "Softmax").ClearField("attribute"), names)
        self.refuses_node(lambda m: node(m, "Softmax").output.append("more"), names)
        self.refuses_node(lambda m: node(m, "Softmax").input.__setitem__(0, "input_ids"), names)
        # A name with a comma is no two names.
        self.refuses_node(lambda m: node(m, "Add").input.__delitem__(slice(None)) or node(m, "Add").input.append(
            ",".join(node(self.model(self.source()), "Add").input)), ["('Add')", "other inputs"])

    def test_inputs_that_change_places(self):
        for op_type in ("Sub", "Div", "MatMul", "Concat", "Slice"):
            with self.subTest(op_type):
                def change(model, op_type=op_type):
                    inputs = next(n for n in model.graph.node if n.op_type == op_type and not n.domain and len(set(n.input)) > 1).input
                    inputs[:] = list(reversed(inputs))
                self.refuses_node(change, [f"('{op_type}')", "other inputs"])

    def test_two_matrices_that_change_places(self):
        # Their names say which is which: the same shapes under each other's name are other weights, not another graph.
        def change(model):
            a, b = tensor(model, "model.layers.0.mlp.up_proj.weight_t"), tensor(model, "model.layers.0.mlp.gate_proj.weight_t")
            a.name, b.name = b.name, a.name
        want = self.accepts(self.source())
        got = self.accepts(self.edit(change))
        self.assertEqual(got["llm.mnn"], want["llm.mnn"])
        self.assertNotEqual(got["llm.mnn.weight"], want["llm.mnn.weight"])

    def test_a_node_too_few_or_too_many(self):
        self.refuses_node(lambda m: m.graph.node.remove(node(m, "Softmax")), ["node", "expected"])
        self.refuses_node(lambda m: m.graph.node.pop(), ["node", "lacks"])
        self.refuses_node(lambda m: m.graph.node.append(helper.make_node("Identity", ["logits"], ["spare"], "extra")), ["'extra'", "('Identity')", "too many"])
        self.refuses_node(lambda m: m.graph.ClearField("node"), ["node", "lacks"])

    def test_a_cycle(self):
        def change(model):
            add = [n for n in model.graph.node if n.op_type == "Add"]
            add[3].input[0] = add[-1].output[0]
        self.refuses_node(change, ["('Add')", "other inputs"])

    def test_a_subgraph(self):
        body = helper.make_graph([], "body", [], [])
        self.refuses_node(lambda m: node(m, "Softmax").attribute.append(helper.make_attribute("body", body)), ["Softmax", "subgraph"])

    def test_inputs_and_outputs(self):
        def other_shape(model):
            model.graph.input[3].type.tensor_type.shape.dim[1].dim_value = 7
        self.refuses_node(other_shape, ["input", "past_key_values.0.key", "another type or shape"])
        self.refuses_node(lambda m: setattr(m.graph.output[0], "name", "scores"), ["output", "scores", "logits"])
        self.refuses_node(lambda m: m.graph.output.pop(), ["outputs"])
        self.refuses_node(lambda m: m.graph.input.append(m.graph.input[0]), ["inputs"])

    def test_functions(self):
        want = self.accepts(self.source())
        self.assertEqual(self.accepts(self.edit(lambda m: m.ClearField("functions"))), want)
        self.assertEqual(self.accepts(self.edit(lambda m: m.functions.pop(0))), want)

        def body(model):
            mask = next(f for f in model.functions if "mask" in f.domain)
            next(n for n in mask.node if n.op_type == "LessOrEqual").op_type = "Less"
        self.refuses_node(body, ["('Less')", "LessOrEqual"])
        # The body is the same, and what it is applied to is not.
        def swapped(model):
            model.functions[0].input[:] = list(reversed(model.functions[0].input))
        self.refuses_node(swapped, ["function", self.model(self.source()).functions[0].name, "other inputs"])
        self.refuses_node(lambda m: setattr(m.functions[0].opset_import[0], "version", 13), ["function"])
        self.refuses_node(lambda m: setattr(m.functions[0], "name", "Other"), ["function", "Other"])

    def test_operator_sets(self):
        self.refuses_node(lambda m: setattr(m.opset_import[0], "version", 18), ["operator set", "17"])
        self.refuses_node(lambda m: m.ClearField("opset_import"), ["operator set"])
        self.accepts(self.edit(lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))))

    def test_what_means_nothing(self):
        want = self.accepts(self.source())

        def change(model):
            model.doc_string = "my model"
            model.producer_name = "me"
            model.graph.name = "other"
            model.graph.doc_string = "x" * 1000
            for n in model.graph.node:
                n.name = ""
                n.doc_string = "a node"
            for n in model.graph.node:
                n.attribute.sort(key=lambda a: a.name, reverse=True)
            model.graph.initializer.sort(key=lambda t: t.name)
            model.graph.value_info.append(helper.make_tensor_value_info("hidden_states", TensorProto.FLOAT, ["b", "s", 64]))
            model.metadata_props.add(key="mine", value="yes")
        self.assertEqual(self.accepts(self.edit(change)), want)
        directory = self.source()
        whole = (directory / "llm.onnx").read_bytes()
        # Fields that nobody knows, before and behind what is known.
        (directory / "llm.onnx").write_bytes(field(1000, b"later") + whole + varint(2000 << 3) + varint(2**63) + field(7, field(99, b"in the graph")))
        self.assertEqual(self.accepts(directory), want)


class RecordTest(HostileCase):
    def test_no_record(self):
        self.refuses(UNSUPPORTED, ["llm.onnx", RECORD, "not an ONNX file of llm2mnn"], self.edit(lambda m: m.ClearField("metadata_props")))
        self.refuses(BROKEN_INPUT, [RECORD, "twice"], self.edit(lambda m: m.metadata_props.append(m.metadata_props[0])))

    def test_broken_text(self):
        for text in ("", "{", "null", "[]", "{}", '{"format": 1}', '{"format": "1"}', '{"format": 1, "format": 1}', "[" * 10000):
            with self.subTest(text=text[:30]):
                self.refuses(BROKEN_INPUT, [RECORD], self.edit_record(lambda r, t=text: t))
        self.refuses(UNSUPPORTED, [RECORD, "format 2"], self.edit_record(lambda r: r.update(format=2)))

    def test_members_that_are_gone_or_of_another_kind(self):
        record = json.loads(next(p.value for p in self.model(self.source()).metadata_props if p.key == RECORD))
        for outer, value in record.items():
            with self.subTest(outer):
                self.refuses(BROKEN_INPUT, [RECORD, outer], self.edit_record(lambda r, k=outer: r.__delitem__(k)))
                self.refuses(BROKEN_INPUT, [RECORD], self.edit_record(lambda r, k=outer: r.update({k: True})))
            for inner in value if isinstance(value, dict) else ():
                if (outer, inner) in (("graph", "nodes"), ("graph", "values")):
                    continue
                with self.subTest(outer=outer, inner=inner):
                    self.refuses(BROKEN_INPUT, [RECORD, inner], self.edit_record(lambda r, o=outer, i=inner: r[o].__delitem__(i)))

    def test_sizes(self):
        def op(kind):
            return lambda r: next(n for n in r["graph"]["nodes"] if n[1] == kind)[2]
        changes = {
            "hidden_size": lambda r: r["graph"].update(hidden_size=128),
            "huge hidden_size": lambda r: r["graph"].update(hidden_size=2**62),
            "vocab_size": lambda r: r["facts"].update(vocab_size=2**62),
            "negative": lambda r: r["facts"].update(vocab_size=-1),
            "fraction": lambda r: r["graph"].update(vocab_size=1.5),
            "positions": lambda r: op("RopeTable")(r).update(positions=2**24 + 1),
            "many positions": lambda r: op("RopeTable")(r).update(positions=2**24, inv_freq=[1.0] * 512),
            "frequencies": lambda r: op("RopeTable")(r).update(inv_freq=[1.0] * 5000),
            "a huge frequency": lambda r: op("RopeTable")(r)["inv_freq"].__setitem__(0, 1e300),
            "head_dim": lambda r: op("Attention")(r).update(head_dim=2**40),
            "heads": lambda r: op("Attention")(r).update(kv_heads=3),
            "no heads": lambda r: op("Attention")(r).update(kv_heads=0),
            "a value that is not": lambda r: op("Linear")(r).update(x=10**6),
            "a weight that is not": lambda r: op("Linear")(r).update(weight=10**6),
            "a weight read twice": lambda r: op("Linear")(r).update(weight=op("Norm")(r)["gamma"]),
            "a layer twice": lambda r: [n[2].update(layer=0) for n in r["graph"]["nodes"] if n[1] == "Attention"] and None,
            "a cycle": lambda r: r["graph"]["nodes"].reverse(),
            "no shape": lambda r: r["graph"]["weights"][0].__setitem__(1, []),
            "three dimensions": lambda r: r["graph"]["weights"][0].__setitem__(1, [1, 2, 3]),
            "an op": lambda r: r["graph"]["nodes"][0].__setitem__(1, "Conv"),
            "a role": lambda r: r["roles"].__setitem__(0, "king"),
            "roles": lambda r: r["roles"].__delitem__(0),
            "eps": lambda r: op("Norm")(r).update(eps=1e300),
            "block": lambda r: r["form"].update(weights="matmulnbits", block=128),
            "bits": lambda r: r["form"].update(weights="matmulnbits", bits=5),
            "flavour": lambda r: r["form"].update(flavour="two"),
            "opset": lambda r: r["form"].update(opset=10**12),
            "digest": lambda r: r["xxh128"].update(source="x" * 32),
            "short digest": lambda r: r["xxh128"].update(source="ab"),
        }
        for what, change in changes.items():
            with self.subTest(what):
                self.refuses(BROKEN_INPUT, [RECORD] if what not in ("a layer twice", "block") else ["llm.onnx"], self.edit_record(change))

    def test_a_record_of_another_graph(self):
        # Well formed, and not what the file holds.
        def op(r, kind):
            return next(n for n in r["graph"]["nodes"] if n[1] == kind)[2]
        for what, change, mentions in (
                ("eps", lambda r: op(r, "Norm").update(eps=1e-3), ["node"]),
                ("activation", lambda r: op(r, "GatedUnit").update(kind="relu"), ["node"]),
                ("factor", lambda r: op(r, "RopeTable").update(factor=2.0), ["tensor", "values"]),
                ("flavour", lambda r: r["form"].update(flavour="ort"), ["node"]),
                ("tied", lambda r: r["facts"].update(tie_word_embeddings=True), ["node"]),
                ("rows", lambda r: r["facts"].update(vocab_size=105), ["model.embed_tokens.weight", "[105, 64]"]),
                ("opset", lambda r: r["form"].update(opset=18), ["node"])):
            with self.subTest(what):
                self.refuses(UNSUPPORTED, mentions, self.edit_record(change))

    def test_genai_caches(self):
        flags = ("--onnx_flavour", "genai")
        self.refuses(BROKEN_INPUT, [RECORD, "bytes"], self.edit_record(lambda r: r["facts"].update(max_position_embeddings=2**40), *flags))


class FloodTest(HostileCase):
    """A few megabytes that want to become gigabytes."""

    def refuses_flood(self, content, code=UNSUPPORTED, mentions="memory"):
        path = self.box / "flood.onnx"
        path.write_bytes(content)
        self.refuses(code, ["flood.onnx", mentions], path)

    def test_small_messages(self):
        # Functions, since this process must stay small, too.
        graphs = {
            "nodes": lambda: field(1, b"") * 2_000_000,
            "attributes": lambda: field(1, field(5, b"") * 2_000_000),
            "inputs": lambda: field(1, field(1, b"") * 2_000_000),
            "ints": lambda: field(1, field(5, field(8, b"\1" * 8_000_000))),
            "tensor values": lambda: field(1, field(5, field(5, field(7, b"\1" * 8_000_000)))),
            "initializers": lambda: field(5, b"") * 2_000_000,
            "external data": lambda: field(5, field(13, b"") * 2_000_000),
            "dimensions": lambda: field(11, field(2, field(1, field(2, field(1, b"") * 2_000_000)))),
        }
        for what, graph in graphs.items():
            with self.subTest(what):
                self.refuses_flood(field(7, graph()))
        self.refuses_flood(field(25, field(7, b"") * 2_000_000))
        self.refuses_flood(field(7, b"") + field(14, b"") * 2_000_000)

    def test_fields_that_nobody_knows(self):
        self.refuses_flood(field(7, b"") + b"\xc0\x3e\x00" * 15_000_000)

    def test_deep_messages(self):
        self.refuses_flood(b"\x3b" * 10_000, BROKEN_INPUT, "damaged")  # groups in groups
        deep = b""
        for _ in range(3000):
            deep = field(7, deep)
        self.refuses_flood(deep, UNSUPPORTED, "metadata")  # a field of a graph that nobody knows

    def test_a_long_name(self):
        self.refuses_flood(field(7, field(5, field(8, b"n" * 70_000))), BROKEN_INPUT, "name")

    def test_a_large_record(self):
        def change(model):
            model.metadata_props[0].value = json.dumps({"format": 1, "x": "y" * (20 << 20)})
        self.refuses(BROKEN_INPUT, [RECORD], self.edit(change))
        self.refuses(BROKEN_INPUT, [RECORD], self.edit_record(lambda r: r["graph"]["nodes"].extend([[f"/{i}", "Add", {"a": 0, "b": 0, "y": 0}] for i in range(60_000)])))


if __name__ == "__main__":
    unittest.main()
