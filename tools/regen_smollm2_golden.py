#!/usr/bin/env python3
"""Writes tests/real/smollm2.json: what transformers says about SmolLM2-135M-Instruct.

    regen_smollm2_golden.py CHECKPOINT_DIR

CHECKPOINT_DIR comes from tools/gguf_to_hf.py. Needs torch 2.13, transformers 4.57.6 and tokenizers 0.22.2; it runs
only when somebody regenerates. The file holds
  greedy     prompts with the 32 ids that float32 appends, and the smallest lead of the best logit over the second;
  logits     for one prompt, float32 logits of each position at every LOGIT_STRIDE-th id;
  encodings  [text, ids] of mixed strings;
  chats      [messages, rendered prompt].
"""
import argparse
import json
import pathlib
import random

import tokenizers
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPTS = ("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday. January, February,", "1 2 3 4 5 6 7 8 9 10 11 12")
NEW_TOKENS = 32
LOGIT_STRIDE = 1536
SEED = 20240229
# Left out: U+0085, U+2028 and U+2029, which the stock runtime does not count as white space in a pattern.
FRAGMENTS = (
    "Hello", " world", "don't", " I'LL", "we've", "it's", " 12345", "3.14159", "0x1F", "2024-02-29", "\n", "\n\n", "\t", "  ", "    ",
    " \n ", "...", "!?", "(a[b]{c})", " -> ", "==", "/* x */", "def f(x):\n    return x", "<b>", "&amp;", "C++20", "é", "e\u0301",
    "naïve", "straße", " ÀÉÎ", "Привет", " мир", "Ελλάδα", "שלום", "مرحبا", "नमस्ते", "สวัสดี", "한국어", " 日本語", "東京", "ひらがな", "カタカナ",
    "你好", "，", "。", "Tiếng Việt", "🙂", "👩\u200d👩\u200d👧", "🇫🇷", "₿", "½", "²", "٣٤", "\u00a0", "\u2009", "\u200b", "\ufeff", "ﬁ", "Ⅷ",
    "a\u0300\u0316", "~~~", "___", "'s", "''", "\"", "\\n", "https://example.org/?q=1&b=2", "me@example.org", "<|im_start|>",
    "<|im_end|>", "<|endoftext|>", "<repo_name>", "<|im", "\r\n", "aaaaaaaaaaaaaaaa", "0000000000", "          ", ".,;:", "MiXeD", "SHOUT",
)


def mixed_strings(count):
    """Each fragment alone, then `count` runs of two to six of them."""
    rng = random.Random(SEED)
    out = list(FRAGMENTS)
    for _ in range(count):
        out.append("".join(rng.choice(FRAGMENTS) + rng.choice(("", "", " ")) for _ in range(rng.randint(2, 6))))
    return out


def greedy(model, tokenizer, prompt):
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    sequence, lead = list(ids), float("inf")
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            best = model(torch.tensor([sequence])).logits[0, -1].topk(2)
            lead = min(lead, float(best.values[0] - best.values[1]))
            sequence.append(int(best.indices[0]))
    return {"prompt": prompt, "prompt_ids": ids, "new_ids": sequence[len(ids):], "lead": round(lead, 3)}


def logits(model, tokenizer, prompt):
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    with torch.no_grad():
        rows = model(torch.tensor([ids])).logits[0, :, ::LOGIT_STRIDE]
    return {"prompt_ids": ids, "stride": LOGIT_STRIDE, "rows": [[round(v, 6) for v in row] for row in rows.tolist()]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    chat = transformers.AutoTokenizer.from_pretrained(args.checkpoint)
    tokenizer = tokenizers.Tokenizer.from_file(str(args.checkpoint / "tokenizer.json"))
    conversations = ([{"role": "user", "content": "Hi"}],
                     [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"},
                      {"role": "assistant", "content": "4"}, {"role": "user", "content": "And 3 + 3?"}])
    golden = {
        "greedy": [greedy(model, tokenizer, p) for p in PROMPTS],
        "logits": [logits(model, tokenizer, PROMPTS[0])],
        "encodings": [[s, tokenizer.encode(s, add_special_tokens=False).ids] for s in mixed_strings(240)],
        "chats": [[c, chat.apply_chat_template(c, tokenize=False, add_generation_prompt=True)] for c in conversations],
    }
    out = ROOT / "tests" / "real" / "smollm2.json"
    out.parent.mkdir(exist_ok=True)
    lines = [f' "{key}": [\n' + ",\n".join("  " + json.dumps(v) for v in values) + "\n ]" for key, values in golden.items()]
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for g in golden["greedy"]:
        print(f"lead {g['lead']}: {g['prompt']!r} -> {tokenizer.decode(g['new_ids'])!r}")
    print(f"{len(golden['encodings'])} strings")


if __name__ == "__main__":
    main()
