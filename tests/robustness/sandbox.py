"""A closed place to run the tool in: every run is checked for litter, time, memory and the form of its one line."""
import atexit
import contextlib
import errno
import functools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import tool  # noqa: E402
import make_fixture  # noqa: E402  (support.tool puts its folder on the path)
import xxhash  # noqa: E402

# Exit codes, as --help lists them.
OK, BAD_FLAG, BROKEN_INPUT, UNSUPPORTED, SYSTEM, DISK_FULL, INTERNAL = 0, 2, 3, 4, 5, 6, 70
# What a refusal promises.
MAX_SECONDS = 5
MAX_RSS_BYTES = 200 * 10**6
MAX_LINE = 500
# Ends a hang; a refusal that takes longer than MAX_SECONDS has failed long before.
HANG_SECONDS = 60

# What must never reach a user: C++ names, addresses, errno macros, words of the library underneath.
FORBIDDEN = re.compile(r"std::|(?<!org\.)llm2mnn::|CLI::|fmt::|basic_string|filesystem error|terminate called|what\(\)|St\d+|"
                       r"simdjson|nlohmann|toml::|mu::|0x[0-9a-f]{6,}|unexpected failure|internal error|exception|"
                       + "|".join(rf"\b{name}\b" for name in errno.errorcode.values()))


class Finished:
    """What a run left: code, stdout and stderr as bytes, seconds, peak resident bytes."""

    def __init__(self, code, stdout, stderr, seconds, rss):
        self.code, self.stdout, self.stderr, self.seconds, self.rss = code, stdout, stderr, seconds, rss

    @property
    def text(self):
        return self.stderr.decode(errors="replace")


@functools.lru_cache(1)
def executable_for_others():
    """A copy of the tool that other users may run: the tree may lie in a home directory that is closed to them."""
    folder = tempfile.mkdtemp(prefix="llm2mnn-test-tool-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chmod(folder, 0o755)
    return shutil.copy(tool.executable(), folder)


def launch(*args, cwd=None, env=None, preexec=None, stdout=None, **popen):
    """Starts the tool with `args` (str, bytes or path). stdout and stderr go to unnamed files."""
    out = stdout or tempfile.TemporaryFile()
    err = tempfile.TemporaryFile()
    program = executable_for_others() if "user" in popen else tool.executable()
    process = subprocess.Popen([program, *[a if isinstance(a, bytes) else str(a) for a in args]], stdin=subprocess.DEVNULL,
                               stdout=out, stderr=err, cwd=cwd, env={**os.environ, **(env or {})}, preexec_fn=preexec, **popen)
    process.captured = (None if stdout else out, err)
    process.started = time.monotonic()
    return process


def running(process):
    """Whether a process of `launch` has not ended; `finish` can still be called."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def finish(process):
    """Waits for a process of `launch`. @raises AssertionError when it hangs."""
    hung = threading.Event()
    timer = threading.Timer(HANG_SECONDS, lambda: (hung.set(), process.kill()))
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    seconds = time.monotonic() - process.started
    process.returncode = os.waitstatus_to_exitcode(status)
    texts = []
    for file in process.captured:
        if file is None:
            texts.append(b"")
            continue
        file.seek(0)
        texts.append(file.read())
        file.close()
    if hung.is_set():
        raise AssertionError(f"no end after {HANG_SECONDS} s")
    return Finished(process.returncode, *texts, seconds, usage.ru_maxrss * 1024)


def run(*args, **options):
    return finish(launch(*args, **options))


def block_for(args):
    """`args` with a block that divides the fixtures' rows, unless they name one."""
    return args if "--quant_block" in args else ("--quant_block", "32", *args)


def snapshot(root):
    """{path: what it is} of everything below `root`, links not followed."""
    found = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in [b"."] + names + files:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            link = os.readlink(path) if stat.S_ISLNK(info.st_mode) else b""
            size = info.st_size if stat.S_ISREG(info.st_mode) else 0
            found[path] = (info.st_mode, info.st_ino, size, link, info.st_mtime_ns if stat.S_ISREG(info.st_mode) else 0)
    return found


def package_faults(directory):
    """One line for each way in which `directory` is not the complete package of its manifest."""
    directory = pathlib.Path(directory)
    try:
        manifest = json.loads((directory / "llm2mnn.json").read_text())
    except (OSError, ValueError) as error:
        return [f"no manifest: {error}"]
    faults, names = [], {"llm2mnn.json"}
    for entry in manifest["files"]:
        names.add(entry["name"])
        try:
            data = (directory / entry["name"]).read_bytes()
        except OSError as error:
            faults.append(f"{entry['name']}: {error}")
            continue
        if len(data) != entry["bytes"]:
            faults.append(f"{entry['name']}: {len(data)} bytes, the manifest says {entry['bytes']}")
        elif xxhash.xxh3_128_hexdigest(data) != entry["xxh128"]:
            faults.append(f"{entry['name']}: the checksum differs")
    faults += [f"{p.name}: not in the manifest" for p in directory.iterdir() if p.name not in names]
    return faults


def line_faults(text):
    """One entry for each way in which `text` is not one presentable line."""
    faults = []
    if not text.endswith("\n") or text.count("\n") != 1:
        faults.append(f"{text.count(chr(10))} lines instead of one")
    line = text.rstrip("\n")
    if len(line) > MAX_LINE:
        faults.append(f"{len(line)} characters")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or c == "\ufffd" for c in line):
        faults.append("control characters or invalid UTF-8")
    if (found := FORBIDDEN.search(line)) is not None:
        faults.append(f"the words {found.group()!r}")
    if not line.startswith("llm2mnn: ") or len(line) < 20:
        faults.append("says nothing")
    return faults


class SandboxCase(unittest.TestCase):
    """Each test has a directory `self.box` with `cwd`, `home` and `tmp`, the only places the tool may know of."""

    FIXTURE = "llama_biases"

    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="llm2mnn-test-")
        os.chmod(cls.holder.name, 0o755)  # other users are let in by some tests
        cls.originals = pathlib.Path(cls.holder.name) / "originals"
        cls.counter = 0

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def setUp(self):
        type(self).counter += 1
        self.box = pathlib.Path(self.holder.name) / f"box{self.counter}"
        for name in ("cwd", "home", "tmp"):
            (self.box / name).mkdir(parents=True)

    def tearDown(self):
        shutil.rmtree(os.fsencode(self.box), ignore_errors=True)

    def environment(self):
        return {"HOME": str(self.box / "home"), "TMPDIR": str(self.box / "tmp"), "XDG_CACHE_HOME": str(self.box / "home")}

    def checkpoint(self, fixture=None, form=None, name="ckpt", **changes):
        """A fresh copy of a fixture's checkpoint in the box."""
        key = self.originals / "-".join(filter(None, [fixture or self.FIXTURE, form, *(f"{k}_{v}" for k, v in changes.items())]))
        if not key.exists():
            make_fixture.make(fixture or self.FIXTURE, key, form=form, **changes)
        return pathlib.Path(shutil.copytree(key, self.box / name))

    def tool(self, *args, **options):
        options.setdefault("cwd", self.box / "cwd")
        return run(*args, env={**self.environment(), **options.pop("env", {})}, **options)

    def refused(self, code, mentions, *args, **options):
        """Runs the tool and checks everything that a refusal promises. @return its line."""
        before = snapshot(self.box)
        done = self.tool(*args, **options)
        said = f"exit code {done.code}, stderr {done.text!r}, stdout {done.stdout[:300]!r}"
        self.assertEqual(done.code, code, said)
        self.assertEqual(done.stdout, b"", said)
        self.assertEqual(line_faults(done.text), [], said)
        for word in [mentions] if isinstance(mentions, str) else mentions:
            self.assertIn(word, done.text)
        if not os.environ.get("LLM2MNN_SANITIZERS"):  # a build that is slow and large on purpose
            self.assert_cheap(done, said)
        self.assertEqual(snapshot(self.box), before, "something was left behind or changed")
        if os.environ.get("LLM2MNN_SHOW_LINES"):
            print(f"{code} {done.text.strip()}", file=sys.stderr)
        return done.text

    def assert_cheap(self, done, said):
        self.assertLess(done.seconds, MAX_SECONDS, said)
        # The system counts what this process held when it forked as the child's; it must stay small, too.
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.assertTrue(done.rss < MAX_RSS_BYTES, f"{done.rss / 1e6:.0f} MB at the peak ({own / 1e6:.0f} MB in the test itself): {said}")

    def refuses_export(self, code, mentions, checkpoint, *args, **options):
        """The same for an export with a destination whose parents do not exist."""
        return self.refused(code, mentions, "export", "--path", checkpoint, "--dst_path", self.box / "new" / "parents" / "out", *block_for(args), **options)

    def exports(self, checkpoint, out, *args, **options):
        """An export that must succeed with a complete package."""
        done = self.tool("export", "--path", checkpoint, "--dst_path", out, *block_for(args), **options)
        self.assertEqual((done.code, done.stderr), (OK, b""), done.text)
        self.assertEqual(package_faults(pathlib.Path(options.get("cwd", self.box / "cwd"), os.fsdecode(out))), [])
        return done


@contextlib.contextmanager
def config_of(checkpoint):
    """The config of a checkpoint as a dict, written back at the end."""
    path = pathlib.Path(checkpoint) / "config.json"
    config = json.loads(path.read_text())
    yield config
    path.write_text(json.dumps(config))


def is_root():
    return os.geteuid() == 0


def interrupt(process, how):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, getattr(signal, how))
