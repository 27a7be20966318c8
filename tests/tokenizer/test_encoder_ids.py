#!/usr/bin/env python3
"""Our encoder and decoder against Hugging Face's, string by string: ids with and without special tokens, text with and without
them. Needs the wheel transformers, or tokenizers alone (then the directory must hold tokenizer.json)."""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import make_strings  # noqa: E402


class Reference:
    """transformers where it is there and knows the class (it has rules of its own for some), else tokenizers."""

    def __init__(self, folder):
        config = json.loads((pathlib.Path(folder) / "tokenizer_config.json").read_text(encoding="utf-8"))
        try:
            if "tokenizer_class" not in config:
                raise ImportError
            import transformers

            transformers.logging.set_verbosity_error()
            self.auto, self.json = transformers.AutoTokenizer.from_pretrained(folder), None
            self.added = list(self.auto.added_tokens_encoder)
        except ImportError:
            import tokenizers

            self.auto, self.json = None, tokenizers.Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
            self.added = [t.content for t in self.json.get_added_tokens_decoder().values()]

    def encode(self, text, special):
        if self.auto:
            return self.auto.encode(text, add_special_tokens=special)
        return self.json.encode(text, add_special_tokens=special).ids

    def decode(self, ids, skip):
        if self.auto:
            return self.auto.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
        return self.json.decode(ids, skip_special_tokens=skip)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, help="a checkpoint directory")
    parser.add_argument("--program", required=True, help="the executable encoder_ids")
    parser.add_argument("--count", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    reference = Reference(args.tokenizer)
    rng = random.Random(args.seed)
    added = reference.added if len(reference.added) <= 25 else reference.added[:8] + rng.sample(reference.added, 17)
    strings = make_strings.strings(args.seed, args.count, added, 100_000)
    for line in (HERE / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        strings.append(value if isinstance(value, str) else value["text"])
    answer = subprocess.run([args.program, args.tokenizer], input="".join(json.dumps(s) + "\n" for s in strings), stdout=subprocess.PIPE,
                            encoding="utf-8", check=True, timeout=500).stdout.split("\n")[:-1]
    if len(answer) != len(strings):
        sys.exit(f"{len(answer)} answers to {len(strings)} strings")
    wrong = 0
    for text, line in zip(strings, answer):
        ours = json.loads(line)
        special = reference.encode(text, True)
        theirs = {"plain": reference.encode(text, False), "special": special, "text": reference.decode(special, False), "skipped": reference.decode(special, True)}
        if ours != theirs:
            wrong += 1
            if wrong <= 5:
                print(ascii(text[:100]), *(f"\n  {k}: expected {ascii(theirs[k])[:200]}, found {ascii(ours[k])[:200]}" for k in ours if ours[k] != theirs[k]))
    print(f"{len(strings)} strings, {wrong} wrong")
    sys.exit(1 if wrong or len(strings) < 2000 else 0)


if __name__ == "__main__":
    main()
