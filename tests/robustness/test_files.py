#!/usr/bin/env python3
"""What stands where a file should be, and pickles that would run commands."""
import os
import pickle
import socket
import unittest
import zipfile

import numpy as np

from edits import MATRIX, MODEL, WeightsCase
from sandbox import BROKEN_INPUT, SYSTEM, UNSUPPORTED, is_root, make_fixture


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
        self.each_file(lambda path: path.symlink_to("../blobs/gone"), SYSTEM, "not there")

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


if __name__ == "__main__":
    unittest.main()
