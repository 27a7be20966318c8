#!/usr/bin/env python3
"""A disk that is full from the start, and one that another writer fills after the check."""
import ctypes
import os
import re
import shutil
import threading
import unittest

from sandbox import DISK_FULL, OK, SandboxCase, finish, is_root, launch, line_faults, package_faults, running

BIG = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "num_key_value_heads": 8, "num_hidden_layers": 2}
LIBC = ctypes.CDLL(None, use_errno=True)
# CLONE_NEWNS, MS_REC | MS_PRIVATE: mounts of this process that nobody else sees and that end with it.
CLONE_NEWNS, MS_PRIVATE_ALL = 0x20000, 0x44000


def mount_tmpfs(where, options):
    if LIBC.mount(b"tmpfs", os.fsencode(where), b"tmpfs", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def private_mounts():
    """A reason why this process may not mount, or None after it has a mount table of its own."""
    if not is_root():
        return "mounting a tmpfs needs root"
    if LIBC.unshare(CLONE_NEWNS) != 0 or LIBC.mount(b"none", b"/", None, MS_PRIVATE_ALL, None) != 0:
        return f"no mount table of its own: {os.strerror(ctypes.get_errno())}"
    return None


class FullDiskTest(SandboxCase):
    @classmethod
    def setUpClass(cls):
        reason = private_mounts()
        if reason:
            raise unittest.SkipTest(reason)
        super().setUpClass()

    def disk(self, options):
        where = self.box / "disk"
        where.mkdir()
        try:
            mount_tmpfs(where, options)
        except OSError as error:
            self.skipTest(f"a tmpfs cannot be mounted here: {error}")
        self.addCleanup(lambda: LIBC.umount2(os.fsencode(where), 2))
        return where

    def big(self):
        kept = self.originals / "big"
        if not kept.exists():
            shutil.move(self.checkpoint("llama_mha_tied_f32", name="made", **BIG), kept)
        return kept

    def export(self, checkpoint, out, *args):
        return self.tool("export", "--path", checkpoint, "--dst_path", out, "--quant_block", "32", *args)

    def assert_full(self, done, disk, kept=()):
        self.assertEqual(done.code, DISK_FULL, done.text)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(line_faults(done.text), [], done.text)
        self.assertEqual(sorted(os.listdir(disk)), sorted(kept), "something was left on the full disk")

    def test_too_small_from_the_start(self):
        disk = self.disk("size=1m")
        done = self.export(self.big(), disk / "new" / "parents" / "out")
        self.assert_full(done, disk)
        self.assertIn("--dst_path", done.text)
        figures = [int(n) for n in re.findall(r"(\d+) bytes|has (\d+)", done.text) for n in n if n]
        self.assertEqual(len(figures), 2, done.text)
        self.assertGreater(figures[0], figures[1])
        self.assertLessEqual(figures[1], 1 << 20)

    def test_room_for_the_bytes_but_not_for_the_blocks(self):
        # The package's bytes fit, rounded up to pages they do not.
        small = self.checkpoint()
        bytes_needed = sum(p.stat().st_size for p in self.exported(small).iterdir())
        pages = -(-bytes_needed // 4096)
        disk = self.disk(f"size={4096 * (pages + 1)}")
        done = self.export(small, disk / "out")
        if done.code == OK:
            self.assertEqual(package_faults(disk / "out"), [])
        else:
            self.assert_full(done, disk)

    def exported(self, checkpoint):
        out = self.box / "measured"
        self.assertEqual(self.export(checkpoint, out).code, OK)
        return out

    def test_every_size_up_to_enough(self):
        small = self.checkpoint()
        enough = sum(-(-p.stat().st_size // 4096) for p in self.exported(small).iterdir()) + 2
        disk = self.disk("size=4k")
        codes = []
        for pages in range(1, enough + 1):
            self.assertEqual(LIBC.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 32, f"size={4096 * pages}".encode()), 0)  # MS_REMOUNT
            done = self.export(small, disk / "a" / "out")
            codes.append(done.code)
            if done.code == OK:
                self.assertEqual(package_faults(disk / "a" / "out"), [])
                break
            self.assert_full(done, disk)
        self.assertEqual(codes[-1], OK, "the last size is enough")

    def test_no_inodes_left(self):
        small = self.checkpoint()
        self.exported(small)
        for inodes in range(2, 12):
            with self.subTest(inodes):
                where = self.box / "disk"
                shutil.rmtree(where, ignore_errors=True)
                disk = self.disk(f"size=64m,nr_inodes={inodes}")
                done = self.export(small, disk / "a" / "out")
                if done.code == OK:
                    self.assertEqual(package_faults(disk / "a" / "out"), [])
                else:
                    self.assert_full(done, disk)
                LIBC.umount2(os.fsencode(disk), 2)

    def test_another_writer_takes_the_space(self):
        big = self.big()
        need = sum(p.stat().st_size for p in self.exported(big).iterdir())
        disk = self.disk(f"size={need + (1 << 20)}")
        stop = threading.Event()

        def fill():
            with open(disk / "other", "ab", buffering=0) as file:
                while not stop.is_set():
                    try:
                        file.write(bytes(1 << 16))
                    except OSError:
                        stop.wait(0.001)

        for _ in range(4):
            stop.clear()
            process = launch("export", "--path", big, "--dst_path", disk / "out", "--threads", "1", "--quant_block", "32", cwd=self.box / "cwd")
            # The other writer starts when the tool has made its first file, after its check.
            while not any(n.startswith(".llm2mnn-") for n in os.listdir(disk)) and running(process):
                pass
            filler = threading.Thread(target=fill)
            filler.start()
            done = finish(process)
            stop.set()
            filler.join()
            if done.code == OK:  # the tool had reserved its space first
                self.assertEqual(package_faults(disk / "out"), [])
                shutil.rmtree(disk / "out")
            else:
                self.assert_full(done, disk, ["other"])
            os.unlink(disk / "other")

    def test_the_old_package_survives_a_full_disk(self):
        small = self.checkpoint()
        need = sum(-(-p.stat().st_size // 4096) for p in self.exported(small).iterdir())
        disk = self.disk(f"size={4096 * (need + need // 2)}")
        self.assertEqual(self.export(small, disk / "out").code, OK)
        done = self.export(small, disk / "out", "--overwrite", "--quant_bit", "5")
        self.assert_full(done, disk, ["out"])
        self.assertEqual(package_faults(disk / "out"), [])

    def test_a_full_disk_that_was_freed(self):
        small = self.checkpoint()
        disk = self.disk("size=8m")
        (disk / "other").write_bytes(bytes(8 << 20))
        self.assert_full(self.export(small, disk / "out"), disk, ["other"])
        os.unlink(disk / "other")
        self.assertEqual(self.export(small, disk / "out").code, OK)

    def test_a_mount_point_is_no_destination(self):
        disk = self.disk("size=8m")
        self.refused(2, "mount point", "export", "--path", self.checkpoint(), "--dst_path", disk, "--quant_block", "32")

    def test_a_read_only_disk(self):
        disk = self.disk("size=8m")
        self.assertEqual(LIBC.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 32 | 1, b"size=8m"), 0)  # MS_REMOUNT | MS_RDONLY
        self.refused(5, ["--dst_path", "read-only"], "export", "--path", self.checkpoint(), "--dst_path", disk / "a" / "out", "--quant_block", "32")


if __name__ == "__main__":
    unittest.main()
