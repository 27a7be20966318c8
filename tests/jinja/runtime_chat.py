"""Chat templates in the stock runtime: a worker process that answers `apply_chat_template`, and Hugging Face's own rendering."""
import json
import os
import pathlib
import selectors
import struct
import subprocess
import sys

TIME_LIMIT_S = 20  # of one rendering
BOS, EOS = "<s>", "</s>"


def list_cases(program):
    """The built-in conversations: (kind, plain, messages, variables) of each. PROGRAM is list_cases, beside this file."""
    lines = subprocess.run([program], capture_output=True, check=True).stdout.splitlines()  # of bytes: at newlines only
    return [tuple(json.loads(line)[key] for key in ("kind", "plain", "messages", "variables")) for line in lines]


def text16(value):
    data = value.encode()
    return struct.pack("<H", len(data)) + data


def make_package(folder):
    """A package whose graph does nothing and whose tokenizer knows one token, so that the runtime loads it."""
    import MNN.expr as expr

    hidden, vocab = 8, 16
    inputs = {}
    for name, shape, kind in (("input_ids", [1, -1, hidden], expr.float), ("attention_mask", [1, 1, -1, -1], expr.float),
                              ("position_ids", [1, -1], expr.int), ("logits_index", [1], expr.int)):
        inputs[name] = expr.placeholder(shape, expr.NCHW, kind)
        inputs[name].name = name
    used = expr.reduce_sum(inputs["attention_mask"])
    for name in ("position_ids", "logits_index"):
        used = used + expr.reduce_sum(expr.cast(inputs[name], expr.float))
    logits = inputs["input_ids"] + used * 0.0
    logits.name = "logits"
    expr.save([logits], str(folder / "llm.mnn"))
    (folder / "llm.mnn.weight").write_bytes(bytes(64))
    (folder / "embeddings_bf16.bin").write_bytes(bytes(2 * hidden * vocab))
    (folder / "llm_config.json").write_text(json.dumps({
        "model_type": "llama", "hidden_size": hidden, "attention_mask": "float", "attention_type": "full",
        "layer_nums": 1, "key_value_shape": [2, 1, 0, 1, hidden]}))
    (folder / "config.json").write_text(json.dumps({
        "llm_model": "llm.mnn", "llm_weight": "llm.mnn.weight", "tokenizer_file": "tokenizer.mtok",
        "backend_type": "cpu", "thread_num": 1}))
    (folder / "tokenizer.mtok").write_bytes(tokenizer())


def tokenizer():
    """A WordPiece vocabulary of two, a template that is replaced for each question, and the begin and end strings."""
    model = bytes([1]) + struct.pack("<I", 2) + text16("[UNK]") + text16("##") + struct.pack("<I", 100)
    model += text16("[UNK]") + struct.pack("<I", 0) + text16("a") + struct.pack("<I", 1)
    template = b"{{ messages[0].content }}"
    tail = struct.pack("<I", len(template)) + template + text16(EOS) + b"\0" + text16(BOS)
    return b"430 4\n0 1 0\n1\n" + b"\0" + b"\5" + model + b"\4" + struct.pack("<I", 0) + tail


def worker(folder):
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the runtime prints on stdout
    import MNN.llm

    for line in sys.stdin:
        question = json.loads(line)
        model = MNN.llm.create(str(pathlib.Path(folder) / "config.json"))
        model.set_config({"jinja": {"chat_template": question["template"], "eos": EOS,
                                    "context": question["context"]}})
        if not model._c_obj.load():
            sys.exit("the package does not load")
        messages = [{"role": "json", "content": json.dumps(message, ensure_ascii=False)} for message in question["messages"]]
        print(json.dumps(model.apply_chat_template(messages)), file=answers, flush=True)


class Runtime:
    """The worker, started again after a crash or a hang."""

    def __init__(self, folder):
        self.folder, self.process = folder, None

    def render(self, template, messages, context):
        """The prompt, or None where the runtime crashed or took too long."""
        if self.process is None:
            self.process = subprocess.Popen([sys.executable, __file__, str(self.folder)], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        question = json.dumps({"template": template, "messages": messages, "context": context})
        try:
            self.process.stdin.write(question.encode() + b"\n")
            self.process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(self.process.stdout, selectors.EVENT_READ)
                answer = self.process.stdout.readline() if selector.select(TIME_LIMIT_S) else b""
        except BrokenPipeError:
            answer = b""
        if answer:
            return json.loads(answer)
        self.close()
        return None

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


if __name__ == "__main__":
    worker(sys.argv[1])
