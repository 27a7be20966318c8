"""The stock MNN LLM runtime (the wheel), in a process of its own.

A wrong package can make the runtime crash, so it never runs in the test's process; one worker serves many packages
and is started again after a crash.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

# Loading and running a tiny package takes milliseconds, SmolLM2 seconds.
TIMEOUT_SECONDS = 300


class RuntimeFailure(AssertionError):
    """The stock runtime refused the package or crashed on it."""


class StockRuntime:
    """Runs packages with float32 arithmetic (precision high) on float weights (memory high), or with `memory` "low" on
    the codes themselves, their inputs rounded to 8 bits, as the packages' own config.json asks for."""

    def __init__(self):
        self.process = None

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(timeout=10)
            self.process.stdout.close()
            self.process = None

    def logits(self, package, ids, prefill, memory="high"):
        """float32 [T, V]: one prefill of ids[:prefill], then one step for each further id."""
        return self.turns(package, ids, [prefill] + [1] * (len(ids) - prefill), memory)

    def turns(self, package, ids, lengths, memory="high"):
        """float32 [T, V]: the ids in calls of `lengths` ids each, one behind the other."""
        with tempfile.TemporaryDirectory() as work:
            out = pathlib.Path(work) / "logits.npy"
            self._ask(op="logits", package=str(package), ids=[int(i) for i in ids], lengths=list(lengths), memory=memory, out=str(out))
            return np.load(out)

    def greedy(self, package, ids, count):
        """The `count` ids that a greedy decode appends."""
        return self._ask(op="greedy", package=str(package), ids=[int(i) for i in ids], count=count)["ids"]

    def encode(self, package, texts):
        """The runtime tokenizer's ids of each text."""
        return self._ask(op="encode", package=str(package), texts=texts)["ids"]

    def chat(self, package, conversations):
        """The rendered prompt of each list of {role, content}."""
        return self._ask(op="chat", package=str(package), conversations=conversations)["prompts"]

    def _ask(self, **request):
        if self.process is None:
            self._start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = self.process.wait(timeout=TIMEOUT_SECONDS)
            self.process = None
            raise RuntimeFailure(f"the stock runtime died with exit code {code} on {request['package']}")
        answer = json.loads(answer)
        if "error" in answer:
            raise RuntimeFailure(f"{request['package']}: {answer['error']}")
        return answer

    def _start(self):
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)


def _load(package, all_logits, memory="high"):
    import MNN.llm as mnn_llm
    model = mnn_llm.create(str(pathlib.Path(package) / "config.json"))
    model.set_config({"precision": "high", "memory": memory, "thread_num": 2, "sampler_type": "greedy",
                      "all_logits": all_logits, "use_template": False})
    if not model._c_obj.load():
        raise RuntimeError("the stock runtime does not load it")
    return model


def _forward(model, ids):
    out = np.array(model.forward(ids).read(), dtype=np.float32)
    return out.reshape(-1, out.shape[-1])


def _answer(request):
    if request["op"] == "logits":
        model = _load(request["package"], True, request["memory"])
        model.generate_init()
        model.reset()
        rows, ids = [], request["ids"]
        for length in request["lengths"]:
            rows.append(_forward(model, ids[:length]))
            ids = ids[length:]
        np.save(request["out"], np.concatenate(rows))
        return {}
    if request["op"] == "greedy":
        model = _load(request["package"], False)
        model.generate_init()
        model.reset()
        step, out = request["ids"], []
        for _ in range(request["count"]):
            step = [int(_forward(model, step)[-1].argmax())]
            out += step
        return {"ids": out}
    model = _load(request["package"], False)
    if request["op"] == "encode":
        return {"ids": [list(model.tokenizer_encode(text)) for text in request["texts"]]}
    return {"prompts": [model.apply_chat_template(c) for c in request["conversations"]]}


def _serve():
    """One JSON request per line on stdin, one JSON answer per line on the real stdout; the runtime's own chatter on
    stdout goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line))
        except Exception as error:  # the test reports whatever the runtime raised
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
