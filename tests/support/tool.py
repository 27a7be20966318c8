"""Calls the executable under test."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))

import make_fixture  # noqa: E402

FAMILIES = ROOT / "tests" / "fixtures" / "families"
# A fixture export takes milliseconds; this only ends a hang.
TIMEOUT_SECONDS = 120


def executable():
    """The path in LLM2MNN, else the newest build in the tree."""
    if os.environ.get("LLM2MNN"):
        return os.environ["LLM2MNN"]
    found = [p for pattern in ("build*/llm2mnn", "build*/*/llm2mnn", "build*/*/*/llm2mnn") for p in ROOT.glob(pattern) if p.is_file()]
    if not found:
        raise RuntimeError("llm2mnn is not built; build it, or set LLM2MNN to its path")
    return str(max(found, key=lambda p: p.stat().st_mtime))


def run(*args, env=None, timeout=TIMEOUT_SECONDS):
    """The finished process of `llm2mnn ARGS`, with text output."""
    full = {**os.environ, **(env or {})}
    return subprocess.run([executable(), *map(str, args)], capture_output=True, text=True, timeout=timeout, env=full)


def export(path, out, *args, env=None, timeout=TIMEOUT_SECONDS):
    """Exports and returns stdout. @raises AssertionError with the tool's message."""
    done = run("export", "--path", path, "--dst_path", out, *args, env=env, timeout=timeout)
    if done.returncode != 0:
        raise AssertionError(f"export of {path} with {' '.join(map(str, args))}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def export_json(path, out, *args, **kwargs):
    return json.loads(export(path, out, *args, "--json", **kwargs))


class TempDirCase(unittest.TestCase):
    """A test case with a temporary directory `self.tmp` for the class."""

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="llm2mnn-test-")
        cls.tmp = pathlib.Path(cls.holder.name)

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def checkpoint(self, name, mutate=None, form=None, reorder=False, **changes):
        """The directory of a fixture's checkpoint, made once per class; arguments as in make_fixture.make."""
        parts = ["checkpoint", name, mutate, form, "reordered" if reorder else None, *(f"{k}_{v}" for k, v in changes.items())]
        out = self.tmp / "-".join(filter(None, parts))
        if not out.exists():
            make_fixture.make(name, out, mutate, form, reorder, **changes)
        return out


def family_arguments(fixture):
    """`--family FILE` for a fixture whose family is not built in, `--text_only` for one of several models."""
    family = ["--family", FAMILIES / fixture.meta["family"]] if "family" in fixture.meta else []
    return family + (["--text_only"] if fixture.meta.get("text_only") else [])
