"""Ids of the stock MNN runtime against Hugging Face's `tokenizers`, string by string.

    test_runtime_ids.py --tokenizer DIR (--files DIR | --writer PROGRAM) [--corpus FILE ...]

DIR of --tokenizer holds tokenizer.json; DIR of --files holds tokenizer.mtok as llm2mnn wrote it (a whole package will
do), or PROGRAM, called with the two directories, writes it. The runtime wants a graph before it opens a tokenizer, so a graph of one addition is made to carry it.
Each string runs in a worker process under a time limit: a crash or a hang of the runtime is one wrong string.
Needs the wheels MNN and tokenizers.
"""
import argparse
import json
import os
import pathlib
import selectors
import shutil
import subprocess
import sys
import tempfile

TIME_LIMIT_S = 20  # of one string; the runtime is quadratic in the longest word
HERE = pathlib.Path(__file__).resolve().parent


def make_carrier(folder, mtok):
    """A package with a graph that loads and `mtok` as its tokenizer."""
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
    if mtok.parent != folder:
        shutil.copyfile(mtok, folder / "tokenizer.mtok")


def worker(folder):
    """Answers lines of JSON: a string with its ids, a number with the text of that id."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the runtime prints on stdout
    import MNN.llm

    model = MNN.llm.create(str(folder / "config.json"))
    if not model._c_obj.load():
        sys.exit("the carrier package does not load")
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = model.tokenizer_encode(question) if isinstance(question, str) else model.tokenizer_decode(question)
        except UnicodeDecodeError:
            answer = None  # a piece that is part of a character
        print(json.dumps(answer), file=answers, flush=True)


class Runtime:
    """The worker, started again after a crash or a hang."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None

    def start(self):
        self.process = subprocess.Popen([sys.executable, __file__, "--worker", str(self.folder)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, question):
        """The answer, or a text that says what happened."""
        if self.process is None:
            self.start()
        process = self.process
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(TIME_LIMIT_S)
        line = process.stdout.readline() if ready else b""
        if line:
            return json.loads(line)
        process.kill()
        process.wait()
        self.process = None
        return f"crash (status {process.returncode})" if ready else f"no answer in {TIME_LIMIT_S} s"

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


def read_corpus(paths):
    strings = []
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            strings += [json.loads(line) for line in lines if line.strip()]
    return [s for s in strings if "\0" not in s]  # the wheel's strings end at NUL


def compare(tokenizer, prefix, runtime, strings, verbose):
    """Strings whose ids differ; a missing or second BOS is a difference."""
    wrong = []
    for text in strings:
        if prefix is None:
            expected = tokenizer.encode(text, add_special_tokens=True).ids
        else:
            expected = prefix + tokenizer.encode(text, add_special_tokens=False).ids
        found = runtime.ask(text)
        if found != expected:
            wrong.append(text)
            if len(wrong) <= verbose:
                print(f"  {text[:60]!r}\n    expected {expected[:24]}\n    found    {found[:24]}")
    return wrong


def silent_added_tokens(document, runtime, count):
    """Added tokens that decode to something else than their text."""
    tokens = document["added_tokens"]
    step = max(1, len(tokens) // count)
    # A WordPiece decoder puts a blank in front of every word.
    return [t["content"] for t in tokens[::step] if runtime.ask(t["id"]).strip() != t["content"].replace("\u2581", " ").strip()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--files", type=pathlib.Path)
    parser.add_argument("--writer", type=pathlib.Path)
    parser.add_argument("--prefix", type=int, nargs="*",
                        help="ids that transformers puts in front, where its class and not tokenizer.json says so")
    parser.add_argument("--corpus", type=pathlib.Path, nargs="*", default=[HERE / "corpus.jsonl"])
    parser.add_argument("--added", type=int, default=100, help="added tokens to decode")
    parser.add_argument("--verbose", type=int, default=20, help="wrong strings to show")
    parser.add_argument("--allow", type=int, default=0, help="wrong strings that are no failure")
    args = parser.parse_args()

    import tokenizers

    reference = tokenizers.Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    document = json.loads((args.tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    strings = read_corpus(args.corpus)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        files = args.files
        if args.writer:
            files = folder
            subprocess.run([args.writer, args.tokenizer, folder], check=True, stdout=subprocess.DEVNULL)
        make_carrier(folder, files / "tokenizer.mtok")
        runtime = Runtime(folder)
        wrong = compare(reference, args.prefix, runtime, strings, args.verbose)
        silent = silent_added_tokens(document, runtime, args.added)
        runtime.close()
    print(f"{args.tokenizer.name}: {len(wrong)} of {len(strings)} strings wrong, {len(silent)} added tokens do not print {silent[:3]}")
    sys.exit(0 if strings and len(wrong) <= args.allow and not silent else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(pathlib.Path(sys.argv[2]))
    else:
        main()
