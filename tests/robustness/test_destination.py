#!/usr/bin/env python3
"""Where a package may go: what is refused, what is replaced, and names made to deceive."""
import fcntl
import json
import os
import resource
import shutil
import unittest

from sandbox import BAD_FLAG, OK, SYSTEM, SandboxCase, is_root, package_faults, run, snapshot


class DestinationTest(SandboxCase):
    def setUp(self):
        super().setUp()
        self.ckpt = self.checkpoint()
        self.out = self.box / "out"

    def refuses(self, code, mentions, out, *args, **options):
        self.refused(code, mentions, "export", "--path", self.ckpt, "--dst_path", out, "--quant_block", "32", *args, **options)

    def test_a_file(self):
        self.out.write_text("mine")
        for args in ((), ("--overwrite",)):
            self.refuses(BAD_FLAG, ["--dst_path", "not a directory"], self.out, *args)

    def test_a_fifo_or_a_device(self):
        os.mkfifo(self.out)
        for out in (self.out, "/dev/null"):
            self.refuses(BAD_FLAG, "not a directory", out, "--overwrite")

    def test_below_a_file(self):
        self.out.write_text("mine")
        self.refuses(BAD_FLAG, "--dst_path", self.out / "package")

    def test_a_directory_of_somebody(self):
        self.out.mkdir()
        (self.out / "thesis.txt").write_text("years of work")
        self.refuses(BAD_FLAG, "not empty", self.out)
        self.refuses(BAD_FLAG, "only a package of ours", self.out, "--overwrite")

    def test_a_hidden_file_counts(self):
        self.out.mkdir()
        (self.out / ".git").mkdir()
        self.refuses(BAD_FLAG, "not empty", self.out)

    def test_the_checkpoint_itself(self):
        for args in ((), ("--overwrite",)):
            self.refuses(BAD_FLAG, "--dst_path", self.ckpt, *args)

    def test_root_and_the_working_directory(self):
        (self.box / "cwd" / "file").touch()
        for out in ("/", ".", "./", "./."):
            for args in ((), ("--overwrite",)):
                self.refuses(BAD_FLAG, "--dst_path", out, *args)

    def test_mount_points(self):
        for out in ("/proc", "/dev"):
            self.refuses(BAD_FLAG, "mount point", out, "--overwrite")

    def test_where_nothing_can_be_made(self):
        self.refuses(SYSTEM, "--dst_path", "/proc/self/package")

    def test_a_package_needs_overwrite(self):
        self.exports(self.ckpt, self.out)
        self.refuses(BAD_FLAG, "--overwrite", self.out)

    def test_a_package_with_something_else_in_it(self):
        for intruder in ("notes.txt", ".hidden", "llm.mnn.weight.bak", "\x1b[31m\nname"):
            with self.subTest(intruder):
                shutil.rmtree(self.out, ignore_errors=True)
                self.exports(self.ckpt, self.out)
                (self.out / intruder).touch()
                self.refuses(BAD_FLAG, "not part of the package", self.out, "--overwrite")

    def test_a_package_with_a_directory_or_a_link_in_a_files_place(self):
        for make in (os.mkdir, lambda path: os.symlink("/etc/passwd", path)):
            shutil.rmtree(self.out, ignore_errors=True)
            self.exports(self.ckpt, self.out)
            os.unlink(self.out / "config.json")
            make(self.out / "config.json")
            self.refuses(BAD_FLAG, "config.json", self.out, "--overwrite")

    def test_a_manifest_that_is_no_manifest(self):
        for text in ("", "{}", "[]", '{"tool": "llm2mnn"}', '{"tool": "other", "files": []}', '{"tool": "llm2mnn", "files": 3}',
                     '{"tool": "llm2mnn", "files": [{"name": 3}]}', '{"tool": 1, "files": []}', "[" * 10000, "\0"):
            with self.subTest(text[:40]):
                shutil.rmtree(self.out, ignore_errors=True)
                self.out.mkdir()
                (self.out / "llm2mnn.json").write_text(text)
                self.refuses(BAD_FLAG, "llm2mnn.json", self.out, "--overwrite")

    def test_a_manifest_that_claims_files_elsewhere(self):
        victim = self.box / "cwd" / "victim"
        victim.write_text("precious")
        self.exports(self.ckpt, self.out)
        manifest = json.loads((self.out / "llm2mnn.json").read_text())
        manifest["files"] += [{"name": "../cwd/victim", "bytes": 8, "xxh128": "0" * 32}, {"name": str(victim)}, {"name": ".."}, {"name": ""}]
        (self.out / "llm2mnn.json").write_text(json.dumps(manifest))
        self.exports(self.ckpt, self.out, "--overwrite")
        self.assertEqual(victim.read_text(), "precious")

    def test_a_manifest_that_is_a_fifo(self):
        self.out.mkdir()
        os.mkfifo(self.out / "llm2mnn.json")
        self.refuses(BAD_FLAG, "llm2mnn.json", self.out, "--overwrite")

    def test_overwrite_of_nothing(self):
        self.exports(self.ckpt, self.out, "--overwrite")

    def test_overwrite_replaces_a_package_of_other_files(self):
        self.exports(self.ckpt, self.out, "--embed_bit", "8")
        before = set(os.listdir(self.out))
        self.exports(self.ckpt, self.out, "--overwrite", "--embed_bit", "4")
        self.assertIn("embeddings_int8.bin", before)
        self.assertEqual(set(os.listdir(self.box)), {"cwd", "home", "tmp", "ckpt", "out"})

    def test_a_failed_overwrite_leaves_the_package(self):
        self.exports(self.ckpt, self.out)
        broken = self.checkpoint(name="broken")
        with open(broken / "model.safetensors", "r+b") as file:
            size = file.seek(0, 2)
            for at in range(size - 4096, size, 2):
                file.seek(at)
                file.write(b"\xc0\x7f")  # NaN in bf16
        before = snapshot(self.out)
        self.refused(3, "NaN", "export", "--path", broken, "--dst_path", self.out, "--quant_block", "32", "--overwrite")
        self.assertEqual(snapshot(self.out), before)

    def test_an_empty_directory(self):
        self.out.mkdir()
        self.exports(self.ckpt, self.out)

    def test_a_link_to_an_empty_directory_stays_a_link(self):
        (self.box / "real").mkdir()
        self.out.symlink_to("real")
        self.exports(self.ckpt, self.out)
        self.assertTrue(self.out.is_symlink())
        self.assertEqual(package_faults(self.box / "real"), [])

    def test_a_link_to_nothing(self):
        self.out.symlink_to("gone")
        self.refuses(BAD_FLAG, "a link to nothing", self.out)

    def test_a_link_to_itself(self):
        self.out.symlink_to("out")
        self.refuses(BAD_FLAG, "--dst_path", self.out)
        self.refuses(BAD_FLAG, "--dst_path", self.out / "package")

    def test_parents_beyond_a_link_to_nothing(self):
        self.out.symlink_to("gone")
        self.refuses(SYSTEM, "--dst_path", self.out / "a" / "b")

    def test_a_path_back_out_of_a_link(self):
        # The system reads link/../x as a neighbour of the link's target.
        (self.box / "far" / "away").mkdir(parents=True)
        (self.box / "link").symlink_to("far/away")
        self.exports(self.ckpt, self.box / "link" / ".." / "package")
        self.assertTrue((self.box / "far" / "package" / "llm.mnn").exists())

    def test_names_that_are_too_long(self):
        self.refuses(BAD_FLAG, "file name too long", self.box / ("n" * 300))
        self.refuses(BAD_FLAG, "file name too long", self.box / ("n" * 300) / "out")
        self.refuses(BAD_FLAG, "file name too long", "/".join(["d" * 200] * 30))

    def test_strange_names(self):
        for name in ("two words", "new\nline", "\x1b[31mred", "quo'te", 'dou"ble', "back\\slash", "100%s%n", "{}", "💥é", "-dash", "..x", " ",
                     "n" * 255, "\u202egpj.exe"):
            with self.subTest(name):
                done = self.exports(self.ckpt, os.fsencode(self.box / name))
                self.assertEqual(done.stdout.count(b"\x1b"), 0)
                self.assertEqual(self.tool("inspect", os.fsencode(self.box / name)).code, OK)
                self.refuses(BAD_FLAG, "not empty", self.box / name)

    def test_a_name_that_is_not_utf8(self):
        out = os.fsencode(self.box) + b"/\xff\xfe"
        self.exports(self.ckpt, out)
        self.refuses(BAD_FLAG, "not empty", out)
        done = self.tool("export", "--path", self.ckpt, "--dst_path", out, "--overwrite", "--json", "--quant_block", "32")
        self.assertEqual(done.code, OK)
        json.loads(done.stdout)

    def test_a_destination_inside_the_checkpoint(self):
        before = set(os.listdir(self.ckpt))
        self.exports(self.ckpt, self.ckpt / "mnn")
        self.assertEqual(set(os.listdir(self.ckpt)) - before, {"mnn"})

    def test_no_permission(self):
        options = {}
        if is_root():
            options = {"user": 65534, "group": 65534, "extra_groups": []}
        for folder in (self.box, self.box / "cwd"):
            os.chmod(folder, 0o755)
        locked = self.box / "locked"
        locked.mkdir(mode=0o555)
        self.refuses(SYSTEM, "permission denied", locked / "out", **options)
        self.refuses(SYSTEM, "permission denied", locked / "a" / "b", **options)
        locked.chmod(0)
        self.refuses(SYSTEM, "permission denied", locked / "out", **options)

    def test_a_working_directory_that_cannot_be_written(self):
        self.refused(SYSTEM, "model", "export", "--path", self.ckpt, "--quant_block", "32", cwd="/proc/self")

    def test_a_working_directory_that_is_gone(self):
        gone = self.box / "gone"
        gone.mkdir()
        done = run("export", "--path", self.ckpt, "--quant_block", "32", cwd=gone, preexec=lambda: gone.rmdir())
        self.assertEqual(done.code, SYSTEM, done.text)
        self.assertIn("--dst_path", done.text)
        self.assertEqual(done.text.count("\n"), 1)

    def test_a_file_size_limit(self):
        # `ulimit -f`: the signal must not kill the tool in the middle.
        self.refuses(SYSTEM, "file too large", self.out, preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))

    def test_litter_of_a_dead_run_is_removed(self):
        dead = self.box / ".llm2mnn-0123456789abcdef.partial"
        dead.mkdir()
        (dead / "llm.mnn.weight").write_bytes(b"half")
        look_alikes = [".llm2mnn-short.partial", ".llm2mnn-0123456789abcdef.partial.txt", "llm2mnn-0123456789abcdef.partial"]
        for name in look_alikes:
            (self.box / name).mkdir()
        self.exports(self.ckpt, self.out)
        self.assertFalse(dead.exists())
        for name in look_alikes:
            self.assertTrue((self.box / name).exists(), name)

    def test_litter_of_a_live_run_stays(self):
        alive = self.box / ".llm2mnn-00000000000000ff.partial"
        alive.mkdir()
        lock = os.open(alive, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self.exports(self.ckpt, self.out)
        self.assertTrue(alive.exists())
        os.close(lock)

    def test_a_name_that_a_later_run_would_remove(self):
        self.refuses(BAD_FLAG, "leftovers", self.box / ".llm2mnn-0123456789abcdef.partial")

    def test_a_link_that_looks_like_litter(self):
        victim = self.box / "victim"
        victim.mkdir()
        (victim / "precious").write_text("x")
        (self.box / ".llm2mnn-0123456789abcdef.partial").symlink_to("victim")
        self.exports(self.ckpt, self.out)
        self.assertTrue((victim / "precious").exists())


if __name__ == "__main__":
    unittest.main()
