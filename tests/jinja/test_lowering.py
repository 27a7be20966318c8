"""Lowered chat templates in the stock MNN runtime against what Hugging Face renders.

    test_lowering.py LOWER_TEMPLATE LIST_CASES [--templates FILE ...]

LOWER_TEMPLATE and LIST_CASES are the programs beside this file. Without --templates: the excerpts, whose prompts goldens.json holds.
With --templates: those files (.jinja or tokenizer_config.json) for all built-in conversations; needs the wheel
transformers; prints a line per template and fails where a plain conversation differs.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from excerpts import EXCERPTS, LIMITS
from runtime_chat import BOS, EOS, Runtime, list_cases, make_package

HERE = pathlib.Path(__file__).resolve().parent


def lowered(program, source):
    done = subprocess.run([program], input=source.encode(), capture_output=True, check=True)
    limits = [line for line in done.stderr.decode().splitlines() if line.startswith("limit: ")]
    return done.stdout.decode(), limits


def check_excerpts(program, cases, runtime):
    cases = {kind: (messages, variables) for kind, _, messages, variables in cases}
    goldens = json.loads((HERE / "goldens.json").read_text(encoding="utf-8"))
    wrong = 0
    texts = {name: lowered(program, source) for name, source in EXCERPTS.items()}
    for name, (_, limits) in texts.items():
        if limits != LIMITS.get(name, []):
            wrong += 1
            print(f"{name}: {limits}")
    for golden in goldens:
        messages, variables = cases[golden["kind"]]
        got = runtime.render(texts[golden["excerpt"]][0], messages, {"bos_token": BOS, **variables})
        if got != golden["prompt"]:
            wrong += 1
            print(f"{golden['excerpt']}, {golden['kind']}:\n  expected {golden['prompt']!r}\n  found    {got!r}")
    print(f"{len(goldens)} prompts of {len(EXCERPTS)} excerpts, {wrong} wrong")
    return wrong == 0 and len(goldens) > 100


def sources(paths):
    for path in map(pathlib.Path, paths):
        text = path.read_bytes().decode()
        if path.suffix != ".json":
            yield path.stem, text
            continue
        found = json.loads(text).get("chat_template") or []
        named = [{"name": "", "template": found}] if isinstance(found, str) else found
        for entry in named:
            yield f"{path.parent.name} {entry['name']}", entry["template"]


def check_templates(program, cases, runtime, paths):
    from transformers.utils.chat_template_utils import _compile_jinja_template

    total = equal = plain_wrong = 0
    for name, source in sources(paths):
        template = _compile_jinja_template(source)
        text, limits = lowered(program, source)
        differing, count = [], 0
        for kind, plain, messages, variables in cases:
            others = {key: value for key, value in variables.items() if key != "tools"}
            try:
                expected = template.render(messages=messages, tools=variables.get("tools"), documents=None,
                                           add_generation_prompt=True, bos_token=BOS, eos_token=EOS, **others)
            except Exception:  # refused
                continue
            count += 1
            if runtime.render(text, messages, {"bos_token": BOS, **variables}) != expected:
                differing.append(kind)
                plain_wrong += plain
        total, equal = total + count, equal + count - len(differing)
        print(f"{name[:48]:48} {count - len(differing):3}/{count:3} {', '.join(differing)} {'; '.join(limits)}")
    print(f"{equal} of {total} renderings equal, {plain_wrong} plain ones differ")
    return plain_wrong == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("list_cases")
    parser.add_argument("--templates", nargs="+")
    options = parser.parse_args()
    cases = list_cases(options.list_cases)
    with tempfile.TemporaryDirectory() as folder:
        make_package(pathlib.Path(folder))
        runtime = Runtime(folder)
        try:
            if options.templates:
                passed = check_templates(options.program, cases, runtime, options.templates)
            else:
                passed = check_excerpts(options.program, cases, runtime)
        finally:
            runtime.close()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
