#!/usr/bin/env python3
"""`tokenize --path PACKAGE` against the stock runtime, string by string: the model of the runtime in src/verify is right
when both give the same ids, and the same text for every id, whatever the library `tokenizers` says.

    test_verify_ids.py MODEL...      names in tests/tokenizer/models

Needs the wheel MNN, and the tool (LLM2MNN).
"""
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
from support.tool import executable, export  # noqa: E402
import make_fixture  # noqa: E402  (support.tool puts its folder on the path)
import test_runtime_ids as runtime_ids  # noqa: E402


def make_package(name, folder):
    """A package of a tiny model with the tokenizer `name`."""
    checkpoint = folder / "checkpoint"
    make_fixture.make("llama_gqa", checkpoint)
    for file in (HERE / "models" / name).iterdir():
        (checkpoint / file.name).write_bytes(file.read_bytes())
    export(checkpoint, folder / "package", "--quant_block", 32)
    return folder / "package"


def ask(package, lines, *args):
    """The tool's lines for `lines`."""
    done = subprocess.run([executable(), "tokenize", "--path", package, "--json_lines", *args], input="".join(lines).encode(),
                          capture_output=True, timeout=600)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return done.stdout.decode().split("\n")[:-1]


def compare(name):
    """How many strings and ids differ."""
    strings = runtime_ids.read_corpus([HERE / "corpus.jsonl"])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        package = make_package(name, folder)
        carrier = folder / "carrier"
        carrier.mkdir()
        runtime_ids.make_carrier(carrier, package / "tokenizer.mtok")
        runtime = runtime_ids.Runtime(carrier)
        lines = ask(package, [json.dumps(text) + "\n" for text in strings], "--add_special_tokens")
        wrong = [(text, line, found) for text, line in zip(strings, lines, strict=True)
                 if (found := runtime.ask(text)) != [int(word) for word in line.split()]]
        ids = range(json.loads((package / "llm2mnn.json").read_text(encoding="utf-8"))["tokenizer"]["vocab_size"])
        texts = [json.loads(line) for line in ask(package, [f"{id}\n" for id in ids], "--decode")]
        # The wheel gives no text that is no UTF-8, where the tool puts U+FFFD; and its texts end at NUL.
        wrong += [(id, text, found) for id, text in zip(ids, texts, strict=True)
                  if (found := runtime.ask(id)) != text.split("\0")[0] and not (found is None and "\ufffd" in text)]
        runtime.close()
    for question, said, found in wrong[:10]:
        print(f"  {question!r}\n    tool    {said}\n    runtime {found}")
    print(f"{name}: {len(wrong)} of {len(strings)} strings and {len(ids)} ids differ from the runtime")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(1 if not sys.argv[1:] or sum(map(compare, sys.argv[1:])) else 0)
