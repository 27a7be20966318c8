#!/usr/bin/env python3
"""Signals at random moments and exports that race: a package is complete or absent, and litter does not stay."""
import os
import pathlib
import random
import shutil
import signal
import time
import unittest

from sandbox import BAD_FLAG, BROKEN_INPUT, OK, SYSTEM, SandboxCase, finish, interrupt, launch, line_faults, package_faults, running

# A float32 checkpoint of about 70 MB: its export takes a few hundred milliseconds on one thread.
BIG = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "num_key_value_heads": 8, "num_hidden_layers": 4}
ROUNDS = 12
SECONDS_PER_KIND = 12


def default_signals():
    """A parent that ignores INT (a background job of a script) would hand that on."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


class InterruptTest(SandboxCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        seed = int(os.environ.get("LLM2MNN_SEED", time.time_ns() % 10**9))
        print(f"seed: LLM2MNN_SEED={seed}", flush=True)
        cls.random = random.Random(seed)

    def setUp(self):
        super().setUp()
        self.big = self.originals / "big"
        if not self.big.exists():
            shutil.move(self.checkpoint("llama_mha_tied_f32", name="big", **BIG), self.big)
        self.out = self.box / "parent" / "of" / "out"
        self.fresh = set(os.listdir(self.box))
        self.duration()

    def start(self, *args):
        return launch("export", "--path", self.big, "--dst_path", self.out, "--threads", "1", *args, cwd=self.box / "cwd",
                      env=self.environment(), preexec=default_signals)

    def duration(self):
        """Seconds of an undisturbed export."""
        if not hasattr(type(self), "seconds"):
            done = finish(self.start())
            self.assertEqual(done.code, OK, done.text)
            type(self).seconds = done.seconds
            shutil.rmtree(self.box / "parent")
        return self.seconds

    def interrupted(self, how, *args):
        process = self.start(*args)
        time.sleep(self.random.uniform(0, 1.1 * self.duration()))
        interrupt(process, how)
        return finish(process)

    def rounds(self):
        self.duration()
        end = time.monotonic() + SECONDS_PER_KIND
        for count in range(ROUNDS):
            if time.monotonic() > end and count >= 3:  # a slow machine
                return
            yield count

    def litter(self):
        parent = self.out.parent
        return [name for name in os.listdir(parent) if name != "out"] if parent.exists() else []

    def test_stop_of_a_fresh_export(self):
        outcomes = set()
        for how, code in (("SIGTERM", 143), ("SIGINT", 130)):
            for count in self.rounds():
                with self.subTest(how=how, count=count):
                    done = self.interrupted(how)
                    outcomes.add(done.code)
                    if done.code == OK:
                        self.assertEqual(package_faults(self.out), [])
                        self.assertEqual(self.litter(), [])
                        shutil.rmtree(self.box / "parent")
                    elif done.code == code:
                        self.assertEqual(line_faults(done.text), [])
                        self.assertIn("nothing was written", done.text)
                        self.assertEqual(set(os.listdir(self.box)), self.fresh, "created parents or litter remain")
                    else:
                        # Before its handler is there, a signal ends any program; nothing can have been made by then.
                        self.assertEqual(done.code, -getattr(signal, how), done.text)
                        self.assertEqual(set(os.listdir(self.box)), self.fresh)
        self.assertTrue(outcomes & {143, 130}, f"no round was stopped in the middle: {outcomes}")

    def test_stop_of_an_overwrite(self):
        self.duration()
        self.assertEqual(finish(self.start("--quant_bit", "8")).code, OK)
        for how in ("SIGTERM", "SIGINT", "SIGKILL"):
            for count in self.rounds():
                with self.subTest(how=how, count=count):
                    done = self.interrupted(how, "--overwrite", "--quant_bit", str(4 + count % 2))
                    self.assertEqual(package_faults(self.out), [], f"exit code {done.code}")
                    if how != "SIGKILL":
                        self.assertEqual(self.litter(), [])
        self.assertEqual(finish(self.start("--overwrite")).code, OK)
        self.assertEqual(self.litter(), [])

    def test_kill_of_a_fresh_export(self):
        for count in self.rounds():
            with self.subTest(count):
                self.interrupted("SIGKILL")
                if self.out.exists():
                    self.assertEqual(package_faults(self.out), [])
                    shutil.rmtree(self.out)
                if count % 3 == 2:
                    done = finish(self.start())
                    self.assertEqual(done.code, OK, done.text)
                    self.assertEqual(package_faults(self.out), [])
                    self.assertEqual(self.litter(), [])
                    shutil.rmtree(self.box / "parent")

    def test_a_hang_up(self):
        for _ in range(3):
            process = self.start()
            time.sleep(self.random.uniform(0.2, 0.6) * self.duration())
            interrupt(process, "SIGHUP")
            done = finish(process)
            self.assertIn(done.code, (OK, 129, -signal.SIGHUP))
            self.assertEqual(self.litter(), [])
            shutil.rmtree(self.box / "parent", ignore_errors=True)

    def test_many_signals(self):
        process = self.start()
        for _ in range(20):
            time.sleep(self.duration() / 40)
            interrupt(process, self.random.choice(("SIGTERM", "SIGINT")))
        done = finish(process)
        self.assertIn(done.code, (143, 130, -signal.SIGTERM, -signal.SIGINT))
        self.assertEqual(set(os.listdir(self.box)), self.fresh)

    def test_a_stop_without_permission_to_linger(self):
        # nohup: HUP is ignored by whoever started the tool, and so it must stay.
        process = launch("export", "--path", self.big, "--dst_path", self.out, "--threads", "1", cwd=self.box / "cwd", env=self.environment(),
                         preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        time.sleep(0.3 * self.duration())
        interrupt(process, "SIGHUP")
        self.assertEqual(finish(process).code, OK)

    def test_weights_that_change_while_they_are_read(self):
        def rewrite_in_place(path):
            with open(path, "r+b") as file:
                file.seek(-2, os.SEEK_END)
                file.write(b"\0\0")

        for spoil in (lambda path: os.truncate(path, path.stat().st_size // 4), lambda path: os.truncate(path, 0), rewrite_in_place):
            moving = pathlib.Path(shutil.copytree(self.big, self.box / "moving"))
            process = launch("export", "--path", moving, "--dst_path", self.out, "--threads", "1", cwd=self.box / "cwd")
            while running(process) and not self.litter():
                pass
            spoil(moving / "model.safetensors")
            done = finish(process)
            if done.code == OK:  # all had been read by then
                self.assertEqual(package_faults(self.out), [])
            else:
                self.assertEqual(done.code, SYSTEM, done.text)
                self.assertEqual(line_faults(done.text), [])
                self.assertIn("model.safetensors", done.text)
                self.assertFalse((self.box / "parent").exists())
            shutil.rmtree(moving)
            shutil.rmtree(self.box / "parent", ignore_errors=True)

    def race(self, count, *args):
        done = [finish(p) for p in [self.start(*args) for _ in range(count)]]
        codes = [d.code for d in done]
        self.assertIn(OK, codes, [d.text for d in done])
        for d in done:
            if d.code != OK:
                self.assertEqual(line_faults(d.text), [], d.text)
        self.assertEqual(package_faults(self.out), [])
        self.assertEqual(self.litter(), [])
        return codes

    def test_a_race_for_a_fresh_destination(self):
        for _ in range(3):
            codes = self.race(4)
            self.assertEqual(sorted(set(codes)), [OK, BAD_FLAG], "the losers must say that something is in the way")
            shutil.rmtree(self.box / "parent")

    def test_failing_neighbours_in_one_new_parent(self):
        # An export that fails removes the parents that it made, while others are about to use them.
        good = self.checkpoint()
        broken = self.checkpoint(name="broken")
        with open(broken / "model.safetensors", "r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(b"\xc0\x7f")  # NaN in bf16
        for _ in range(25):
            processes = [launch("export", "--path", path, "--dst_path", self.out.parent / name, "--quant_block", "32", cwd=self.box / "cwd")
                         for name, path in (("b0", broken), ("g1", good), ("b2", broken), ("g3", good), ("b4", broken))]
            done = [finish(p) for p in processes]
            self.assertEqual([d.code for d in done], [BROKEN_INPUT, OK, BROKEN_INPUT, OK, BROKEN_INPUT], [d.text for d in done])
            self.assertEqual(sorted(os.listdir(self.out.parent)), ["g1", "g3"])
            shutil.rmtree(self.box / "parent")

    def test_a_race_with_overwrite(self):
        self.assertEqual(finish(self.start()).code, OK)
        for _ in range(3):
            self.race(4, "--overwrite")

    def test_a_race_of_small_exports(self):
        small = self.checkpoint()
        for _ in range(8):
            processes = [launch("export", "--path", small, "--dst_path", self.out, "--quant_block", "32", cwd=self.box / "cwd") for _ in range(6)]
            done = [finish(p) for p in processes]
            self.assertIn(OK, [d.code for d in done], [d.text for d in done])
            self.assertEqual(package_faults(self.out), [])
            self.assertEqual(self.litter(), [])
            shutil.rmtree(self.box / "parent")


if __name__ == "__main__":
    unittest.main()
