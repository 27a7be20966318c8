"""The model of the runtime's template engine against the stock MNN runtime: both must print the same, faults included.

    test_runtime_model.py RENDER_AS_RUNTIME LIST_CASES [--templates FILE ...] [--verbose N]

RENDER_AS_RUNTIME and LIST_CASES are the programs beside this file. Without --templates: the probes of runtime_probes.py and the excerpts.
With --templates: those files (.jinja or tokenizer_config.json) for all built-in conversations.
Where the runtime crashes or does not answer in time, the model must say so.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile

from excerpts import EXCERPTS
from runtime_chat import BOS, EOS, Runtime, list_cases, make_package
from runtime_probes import PROBES, PROBE_CONTEXT, PROBE_MESSAGES
from test_lowering import sources

MEMORY_LIMIT = 4 << 30  # the engine fills the memory on some templates
NO_ANSWER = "\0no answer of the runtime"


class Model:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, template, messages, context):
        question = {"template": template, "messages": messages, "context": context, "bos": BOS, "eos": EOS}
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return None if answer == NO_ANSWER else answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def questions(paths, cases):
    """Name, template, messages, context."""
    if not paths:
        for template in PROBES:
            yield template, template, PROBE_MESSAGES, PROBE_CONTEXT
    for name, source in sources(paths) if paths else EXCERPTS.items():
        for kind, _, messages, variables in cases:
            yield f"{name}, {kind}", source, messages, variables


def difference(expected, found):
    if expected is None or found is None:
        return expected, found
    same = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
    begin = max(0, same - 40)
    return expected[begin:same + 60], found[begin:same + 60]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("list_cases")
    parser.add_argument("--templates", nargs="+")
    parser.add_argument("--verbose", type=int, default=20, help="differences to show")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    total = wrong = silent = 0
    hanging = set()
    with tempfile.TemporaryDirectory() as folder:
        make_package(pathlib.Path(folder))
        runtime, model = Runtime(pathlib.Path(folder)), Model(options.program)
        for name, template, messages, context in questions(options.templates, list_cases(options.list_cases)):
            if template in hanging:  # once is enough: it may cost the whole time limit
                continue
            total += 1
            if "set missing." in template:
                runtime.close()  # what it changes stays for the process
            expected, found = runtime.render(template, messages, context), model.render(template, messages, context)
            if expected is None:
                silent += 1
                hanging.add(template)
            if expected != found:
                wrong += 1
                if wrong <= options.verbose:
                    print(f"{name}:\n  runtime {difference(expected, found)[0]!r}\n  model   {difference(expected, found)[1]!r}")
        runtime.close()
        model.close()
    print(f"{total} renderings ({silent} without an answer of the runtime), {wrong} differ")
    return 0 if wrong == 0 and total > 300 else 1


if __name__ == "__main__":
    sys.exit(main())
