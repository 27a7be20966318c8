#!/usr/bin/env python3
"""The promises of the command line itself: cost, streams, help, JSON, terminals, strange surroundings."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

from sandbox import BAD_FLAG, OK, SYSTEM, SandboxCase, finish, is_root, launch, line_faults, package_faults
from support import tool

COMMANDS = ("export", "inspect", "families")
# Runs argv as a child of a process of 10 MB, so that the peak which the system reports is the child's own.
MEASURE = """
import os, sys, time
begin = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, (time.perf_counter() - begin), usage.ru_utime + usage.ru_stime)
"""
BIG = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "num_key_value_heads": 8, "num_hidden_layers": 4}


def measured(*args):
    """(exit code, peak bytes, seconds, processor seconds) of one run."""
    text = subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, tool.executable(), *map(str, args)], capture_output=True, text=True,
                          check=True).stdout
    return [float(word) for word in text.split()]


class CostTest(SandboxCase):
    def test_version_is_cheap(self):
        runs = [measured("--version") for _ in range(9)]
        self.assertEqual({r[0] for r in runs}, {0})
        self.assertLess(min(r[1] for r in runs), 15e6)
        # Processor time: on a busy machine the clock on the wall measures the others.
        self.assertLess(statistics.median(r[3] for r in runs), 0.020)

    def test_a_refusal_is_cheap(self):
        code, peak, _, _ = measured("export", "--path", self.box / "absent")
        self.assertEqual(code, SYSTEM)
        self.assertLess(peak, 30e6)


    def test_caches_of_many_positions_are_not_held(self):
        """Rotary caches of flavour genai, 262144 positions of 64 frequencies, are 134 MB of the file."""
        checkpoint = self.checkpoint(max_position_embeddings=1 << 18, head_dim=128)
        onnx = self.box / "onnx"
        for arguments in (("export", "--path", checkpoint, "--dst_path", onnx, "--export", "onnx", "--onnx_flavour", "genai"),
                          ("convert", "--model", onnx, "--dst_path", self.box / "out", "--quant_block", 32)):
            with self.subTest(command=arguments[0]):
                code, peak, _, _ = measured(*arguments, "--threads", 1)
                self.assertEqual(code, OK)
                self.assertLess(peak, 60e6)
        self.assertGreater((onnx / "llm.onnx.data").stat().st_size, 134e6)


class OutputTest(SandboxCase):
    def setUp(self):
        super().setUp()
        self.ckpt = self.checkpoint()
        self.out = self.box / "out"

    def run_export(self, *args, **options):
        return self.tool("export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32", *args, **options)

    def test_help(self):
        for command in COMMANDS:
            for args in ((command, "--help"), (command, "-h"), (command, "--nonsense", "--help")):
                with self.subTest(args):
                    done = self.tool(*args)
                    self.assertEqual((done.code, done.stderr), (OK, b""))
                    text = done.stdout.decode()
                    self.assertIn("Exit codes:", text)
                    self.assertRegex(text, rf"Example:\n\s+llm2mnn {command}")
                    for code in ("2 ", "3 ", "4 ", "5 ", "6 ", "70 ", "130 ", "143 "):
                        self.assertIn(code, text)
        general = self.tool("--help")
        self.assertEqual((general.code, general.stderr), (OK, b""))
        for command in COMMANDS:
            self.assertIn(command, general.stdout.decode())

    def test_every_flag_of_the_help_is_understood(self):
        for command in COMMANDS:
            flags = set(re.findall(r"--[a-z_]+", self.tool(command, "--help").stdout.decode().split("Example:")[0]))
            self.assertGreaterEqual(len(flags), 4)
            for flag in flags - {"--help"}:
                self.assertNotIn(b"unknown flag", self.tool(command, flag).stderr, flag)

    def test_version(self):
        done = self.tool("--version")
        self.assertEqual((done.code, done.stderr), (OK, b""))
        self.assertRegex(done.stdout.decode(), r"^llm2mnn \d+\.\d+\.\d+\n$")

    def test_dashes_and_underscores(self):
        for form in (("--dst-path", "--quant-bit", "--quant-block", "--dry-run"), ("--dst_path", "--quant_bit", "--quant_block", "--dry_run"),
                     ("--dst-path", "--quant_bit", "--quant-block", "--dry_run")):
            done = self.tool("export", "--path", self.ckpt, form[0], "x", form[1], "8", form[2], "32", form[3])
            self.assertEqual((done.code, done.stderr), (OK, b""))
            self.assertIn(b"8 bit, block 32", done.stdout)

    def test_no_command_means_export(self):
        with_word = self.tool("export", "--path", self.ckpt, "--quant_block", "32", "--dry_run")
        without = self.tool("--path", self.ckpt, "--quant_block", "32", "--dry_run")
        self.assertEqual((without.code, without.stdout), (OK, with_word.stdout))

    def test_a_dry_run_touches_nothing_and_is_right(self):
        for flags in ((), ("--quant_bit", "3"), ("--quant_bit", "16"), ("--sym", "--scale_bit", "32"), ("--embed_bit", "4"), ("--compat", "3.1"),
                      ("--quant_bit", "8", "--quant_block", "0")):
            with self.subTest(flags):
                flags = ("--quant_block", "32", *flags) if "--quant_block" not in flags else flags
                args = ("export", "--path", self.ckpt, "--dst_path", self.out, *flags)
                planned = self.tool(*args, "--dry_run", "--json")
                self.assertEqual((planned.code, planned.stderr, self.out.exists()), (OK, b"", False))
                planned = json.loads(planned.stdout)
                exported = json.loads(self.tool(*args, "--json").stdout)
                self.assertEqual((planned.pop("status"), exported.pop("status")), ("planned", "exported"))
                self.assertEqual(planned, exported)
                sizes = {f["name"]: f["bytes"] for f in planned["files"]}
                self.assertEqual(sizes, {p.name: p.stat().st_size for p in self.out.iterdir()})
                shutil.rmtree(self.out)

    def test_json_of_inspect_and_families(self):
        self.assertEqual(self.run_export().code, OK)
        for args in (("inspect", self.ckpt), ("inspect", self.out), ("families",)):
            done = self.tool(*args, "--json")
            self.assertEqual((done.code, done.stderr), (OK, b""))
            json.loads(done.stdout)

    def test_inspect_finds_a_damaged_package(self):
        self.assertEqual(self.run_export().code, OK)
        os.truncate(self.out / "llm.mnn.weight", 100)
        done = self.tool("inspect", self.out)
        self.assertEqual(done.code, 3)
        self.assertEqual(line_faults(done.text), [])
        self.assertIn("llm.mnn.weight", done.text)

    def test_quiet(self):
        for args in (("--quiet", "--dry_run"), ("--quiet",)):
            done = self.run_export(*args)
            self.assertEqual((done.code, done.stdout, done.stderr), (OK, b"", b""))
        for args in (("inspect", self.ckpt), ("inspect", self.out), ("families",)):
            self.assertEqual(self.tool(*args, "--quiet").stdout, b"")

    def test_the_summary_names_the_minimum_runtime(self):
        done = self.run_export()
        self.assertEqual((done.code, done.stderr), (OK, b""))
        self.assertRegex(done.stdout.decode(), r"MNN 3\.\d+\.\d+ or later")

    def test_stderr_is_silent_for_five_seconds(self):
        # A whole export of a second or two is shorter than that.
        big = self.checkpoint("llama_mha_tied_f32", name="big", **BIG)
        done = self.tool("export", "--path", big, "--dst_path", self.out, "--threads", "1")
        self.assertEqual(done.code, OK)
        if done.seconds < 5:
            self.assertEqual(done.stderr, b"")

    def test_a_full_stdout(self):
        for args in (("export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32"), ("families",), ("families", "--json"), ("inspect", self.ckpt),
                     ("--help",), ("export", "--help"), ("--version",)):
            with self.subTest(args), open("/dev/full", "wb") as full:
                done = self.tool(*args, stdout=full)
                self.assertEqual(done.code, SYSTEM, done.text)
                self.assertEqual(line_faults(done.text), [])
                self.assertIn("standard output", done.text)
        self.assertEqual(package_faults(self.out), [], "the package is made all the same")

    def test_a_reader_that_goes_away(self):
        for args in (("families",), ("inspect", self.ckpt, "--verbose", "--json"), ("export", "--help"),
                     ("export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32")):
            with self.subTest(args):
                reader, writer = os.pipe()
                os.close(reader)
                done = self.tool(*args, stdout=writer)
                os.close(writer)
                self.assertEqual((done.code, done.stderr), (OK, b""))
        self.assertEqual(package_faults(self.out), [])

    def test_closed_streams(self):
        # The first file that is opened must not become the standard output.
        for closed in ((0,), (1,), (2,), (1, 2), (0, 1, 2)):
            with self.subTest(closed):
                done = self.run_export(preexec=lambda: [os.close(fd) for fd in closed])
                self.assertEqual(done.code, OK, done.text)
                self.assertEqual(package_faults(self.out), [])
                shutil.rmtree(self.out)
                done = self.tool("export", "--path", "absent", preexec=lambda: [os.close(fd) for fd in closed])
                self.assertEqual(done.code, SYSTEM)

    def test_a_full_stderr(self):
        with open("/dev/full", "wb") as full:
            process = subprocess.run([tool.executable(), "export", "--path", "absent"], stderr=full, stdout=subprocess.DEVNULL, check=False)
        self.assertEqual(process.returncode, SYSTEM)


class SurroundingsTest(SandboxCase):
    def setUp(self):
        super().setUp()
        self.ckpt = self.checkpoint()
        self.out = self.box / "out"

    def test_paths_of_every_form(self):
        cwd = self.box / "cwd"
        shutil.copytree(self.ckpt, cwd / "my model ü")
        for path, out in (("my model ü", "plain"), ("./my model ü/", "./slash/"), ("../cwd/my model ü//", "../cwd/up"), (self.ckpt, cwd / "absolute//"),
                          (f"{self.ckpt}/.", "a/b/c/"), ("my model ü", "out ü/with spaces")):
            with self.subTest(path=path, out=out):
                self.exports(path, out)

    def test_the_default_destination(self):
        done = self.tool("export", "--path", self.ckpt, "--quant_block", "32")
        self.assertEqual(done.code, OK, done.text)
        self.assertEqual(package_faults(self.box / "cwd" / "model"), [])

    def test_a_hugging_face_cache(self):
        blobs, snapshot = self.box / "hub" / "blobs", self.box / "hub" / "snapshots" / "0123abcd"
        blobs.mkdir(parents=True)
        snapshot.mkdir(parents=True)
        for number, file in enumerate(sorted(self.checkpoint(form="sharded", name="sharded").iterdir())):
            file.rename(blobs / f"{number:040x}")
            (snapshot / file.name).symlink_to(f"../../blobs/{number:040x}")
        self.exports(snapshot, self.out)

    def test_a_checkpoint_behind_a_link(self):
        (self.box / "link").symlink_to("ckpt")
        self.exports(self.box / "link", self.out)

    def test_other_files_are_never_opened(self):
        for name in ("pytorch_model.bin", "model-00001-of-00002.safetensors", "optimizer.pt", "README.md", "consolidated.safetensors"):
            os.mkfifo(self.ckpt / name)
        self.exports(self.ckpt, self.out)

    def test_a_checkpoint_that_is_read_only(self):
        for file in self.ckpt.iterdir():
            file.chmod(0o444)
        self.ckpt.chmod(0o555)
        options = {}
        if is_root():
            options = {"user": 65534, "group": 65534, "extra_groups": []}
            (self.box / "public").mkdir()
            (self.box / "public").chmod(0o777)
            for folder in (self.box, self.box / "cwd"):
                folder.chmod(0o755)
        self.exports(self.ckpt, self.box / ("public" if is_root() else ".") / "out", **options)
        self.ckpt.chmod(0o755)

    def test_a_working_directory_that_cannot_be_written(self):
        self.exports(self.ckpt, self.out, cwd="/proc/self")

    def test_umask(self):
        for mask in (0o022, 0o077, 0o027, 0o002):
            with self.subTest(oct(mask)):
                self.exports(self.ckpt, self.out, preexec=lambda: os.umask(mask))
                self.assertEqual(self.out.stat().st_mode & 0o777, 0o777 & ~mask)
                for file in self.out.iterdir():
                    self.assertEqual(file.stat().st_mode & 0o777, 0o666 & ~mask)
                shutil.rmtree(self.out)

    def test_few_descriptors(self):
        sharded = self.checkpoint(form="sharded", name="sharded")
        self.exports(sharded, self.out, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))

    def test_more_shards_than_descriptors(self):
        # One tensor in each of 51 shards, of which a few stay open; the rest of the 64 are for the output and the system.
        import make_fixture
        source = [(name, values) for name, (_, values) in make_fixture.Fixture("llama_biases").source().items()]
        os.unlink(self.ckpt / "model.safetensors")
        weight_map = {}
        for number, (name, values) in enumerate(source):
            file = f"model-{number:05}.safetensors"
            make_fixture.write_safetensors(self.ckpt / file, [(name, values)], "bf16")
            weight_map[name] = file
        (self.ckpt / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        self.exports(self.ckpt, self.out, "--threads", "8", preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        self.exports(self.checkpoint(name="single"), self.box / "single_out")
        for file in self.out.iterdir():
            self.assertEqual(file.read_bytes(), (self.box / "single_out" / file.name).read_bytes(), file.name)

    def test_no_descriptors(self):
        done = self.tool("export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32",
                         preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8)))
        self.assertEqual(done.code, SYSTEM, done.text)
        self.assertEqual(line_faults(done.text), [])
        self.assertFalse(self.out.exists())

    def test_many_threads(self):
        self.exports(self.ckpt, self.out, "--threads", "64")
        self.exports(self.ckpt, self.box / "one", "--threads", "1")
        for file in self.out.iterdir():
            self.assertEqual(file.read_bytes(), (self.box / "one" / file.name).read_bytes(), file.name)

    def test_no_more_threads_to_be_had(self):
        # The stacks of 500 threads do not fit into this address space; the export goes on with fewer.
        self.exports(self.ckpt, self.out, "--threads", "500", preexec=lambda: resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20)))

    def test_no_memory(self):
        done = self.tool("export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32",
                         preexec=lambda: resource.setrlimit(resource.RLIMIT_AS, (40 << 20, 40 << 20)))
        if done.code > 0:  # the loader itself may fail in so small a space
            self.assertFalse(self.out.exists())

    def test_locales(self):
        for locale in ("C", "de_DE.UTF-8", "tr_TR.UTF-8", "nonsense"):
            done = self.tool("export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32", "--dry_run", env={"LC_ALL": locale, "LANG": locale})
            self.assertEqual((done.code, done.stderr), (OK, b""))
            self.assertIn(b"5.00 bits per weight", done.stdout)

    def test_an_empty_environment(self):
        process = subprocess.run([tool.executable(), "export", "--path", self.ckpt, "--dst_path", self.out, "--quant_block", "32"], env={},
                                 capture_output=True, check=False)
        self.assertEqual((process.returncode, process.stderr), (OK, b""))


class TerminalTest(SandboxCase):
    """The bar on a terminal."""

    def on_terminal(self, *args, columns=80, hang_up=False):
        """(exit code, what a terminal as stderr received)."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with open(os.devnull, "wb") as null:
            process = subprocess.Popen([tool.executable(), *map(str, args)], stdout=null, stderr=slave, stdin=subprocess.DEVNULL)
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while True:
                if select.select([master], [], [], 60)[0]:
                    part = os.read(master, 65536)
                    if not part:
                        break
                    seen += part
                    if hang_up and b"%" in seen:
                        break
        os.close(master)
        return process.wait(timeout=60), seen

    def setUp(self):
        super().setUp()
        self.out = self.box / "out"
        self.big = self.originals / "big"
        if not self.big.exists():
            shutil.move(self.checkpoint("llama_mha_tied_f32", name="big", **BIG, vocab_size=20000), self.big)

    def test_the_bar_comes_and_goes(self):
        code, seen = self.on_terminal("export", "--path", self.big, "--dst_path", self.out, "--threads", "1", "--quant_bit", "3")
        self.assertEqual(code, OK)
        frames = seen.decode().split("\r\x1b[K")
        self.assertGreater(len(frames), 1, seen)
        self.assertEqual(frames[0], "")
        self.assertEqual(frames[-1], "", "the bar must not stay")
        for frame in frames[1:-1]:
            self.assertRegex(frame, r"^\[[#.]+\] +\d+ %  ")
            self.assertLess(len(frame), 80)
            self.assertNotIn("\n", frame)

    def test_a_narrow_terminal(self):
        for columns in (0, 1, 20, 40):
            with self.subTest(columns):
                code, seen = self.on_terminal("export", "--path", self.big, "--dst_path", self.out, "--threads", "1", "--overwrite", columns=columns)
                self.assertEqual(code, OK)
                self.assertTrue(seen.endswith(b"\r\x1b[K"), seen)
                if columns:
                    for frame in seen.decode().split("\r\x1b[K"):
                        self.assertLess(len(frame), max(columns, 2), "a frame that wraps leaves its first line behind")

    def test_quiet(self):
        self.assertEqual(self.on_terminal("export", "--path", self.big, "--dst_path", self.out, "--quiet"), (OK, b""))

    def test_an_error_after_the_bar(self):
        code, seen = self.on_terminal("export", "--path", self.box / "absent", "--dst_path", self.out)
        self.assertEqual(code, SYSTEM)
        self.assertEqual(seen.count(b"\n"), 1)

    def test_a_terminal_that_goes_away(self):
        code, _ = self.on_terminal("export", "--path", self.big, "--dst_path", self.out, "--threads", "1", hang_up=True)
        self.assertEqual(code, OK)
        self.assertEqual(package_faults(self.out), [])


if __name__ == "__main__":
    unittest.main()
