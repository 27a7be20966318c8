"""The written tokenizer.mtok and tokenizer.txt say what tokenizer.json says.

    test_mtok.py TOKENIZER_FILES      the program that writes both for a directory
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

import mtok

HERE = pathlib.Path(__file__).resolve().parent


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def expected_table(document):
    table = dict(document["model"]["vocab"])
    table.update({t["content"]: t["id"] for t in document["added_tokens"]})
    return table


def check_model(name, document, file):
    pieces = file["model"]["pieces"]
    table = expected_table(document)
    texts = [text.encode() for text, _ in pieces]
    check(texts == sorted(texts) and len(set(texts)) == len(texts), f"{name}: pieces are sorted and unique")
    check(sorted(i for _, i in pieces) == list(range(len(pieces))), f"{name}: ids are 0 to n - 1, each once")
    check(dict(pieces) == table, f"{name}: every piece and added token has its id")
    merges = [m.split(" ") if isinstance(m, str) else m for m in document["model"]["merges"]]
    wanted = sorted((table[a], table[b], rank) for rank, (a, b) in enumerate(merges))
    check(file["model"]["merges"] == wanted, f"{name}: merges are sorted and complete")
    check(not file["model"]["byte_fallback"] and not file["model"]["byte_level"], f"{name}: model flags")


def check_tokens(name, document, config, file):
    added = [(t["id"], t["special"], t["lstrip"], t["rstrip"], t["content"]) for t in document["added_tokens"]]
    check(file["added"] == sorted(added), f"{name}: added tokens with their flags")
    check(file["special"] == [], f"{name}: no special ids, the runtime would match them before the added tokens")
    table = expected_table(document)
    check(table[config["eos_token"]] in file["stop"], f"{name}: the EOS stops")
    check(file["stop"] == sorted(set(file["stop"])), f"{name}: stop ids are sorted and unique")
    check(file["eos"] == config["eos_token"] and file["bos"] == (config.get("bos_token") or ""), f"{name}: EOS and BOS")
    check(file["template"] == config.get("chat_template", ""), f"{name}: chat template")


def check_normalizer(name, document, file):
    """The Replace steps make NFC of decomposed text, one step after the other."""
    if document["normalizer"] is None:
        check(file["normalizer"] is None, f"{name}: no normalizer")
        return
    steps = file["normalizer"][1]
    check(all(s[0] == "Replace" for s in steps), f"{name}: literal replacements only")
    singles = [chr(c) for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000 and chr(c) != "|"]
    # Characters newer than this Python's Unicode data would be judged by their age.
    singles = [c for c in singles if unicodedata.category(c) != "Cn"]
    touched = [c for c in singles if unicodedata.normalize("NFD", c) != c or unicodedata.combining(c)]
    singles = touched + singles[::50]
    for form in ("NFC", "NFD"):
        text = "|".join(unicodedata.normalize(form, c) if form == "NFD" else c for c in singles)
        for _, old, new in steps:
            text = text.replace(old, new)
        wrong = [c for c, found in zip(singles, text.split("|")) if found != unicodedata.normalize("NFC", c)]
        check(not wrong, f"{name}: NFC of {form} text, wrong for {[hex(ord(c)) for c in wrong[:8]]}")


def check_txt(name, document, config, data):
    lines = data.decode().split("\n")
    check(lines[0] == "430 3", f"{name}: magic and type of tokenizer.txt")
    special, stop, prefix = (int(n) for n in lines[1].split())
    ids = [int(n) for n in lines[2].split()]
    check(len(ids) == special + stop + prefix, f"{name}: header ids of tokenizer.txt")
    table = expected_table(document)
    texts = {i: t for t, i in table.items()}
    check(sorted(ids[:special]) == sorted(t["id"] for t in document["added_tokens"]), f"{name}: added tokens are special ids")
    lengths = [len(texts[i].encode()) for i in ids[:special]]
    check(lengths == sorted(lengths, reverse=True), f"{name}: longer special tokens first")
    num_pieces, num_merges = (int(n) for n in lines[3].split())
    check(num_pieces == len(texts) and lines[4:4 + num_pieces] == [texts[i] for i in range(num_pieces)], f"{name}: vocabulary lines")
    merges = [m if isinstance(m, str) else " ".join(m) for m in document["model"]["merges"]]
    check(lines[4 + num_pieces:] == merges + [""] and num_merges == len(merges), f"{name}: merge lines")


def main():
    folders = sorted((HERE / "models").iterdir())
    check(len(folders) >= 5, "tokenizers to test")
    for folder in folders:
        with tempfile.TemporaryDirectory() as out:
            subprocess.run([sys.argv[1], folder, out], check=True, stdout=subprocess.DEVNULL)
            file = mtok.read((pathlib.Path(out) / "tokenizer.mtok").read_bytes())
            txt = (pathlib.Path(out) / "tokenizer.txt").read_bytes()
        document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        check_model(folder.name, document, file)
        check_tokens(folder.name, document, config, file)
        check_normalizer(folder.name, document, file)
        check_txt(folder.name, document, config, txt)
        print(folder.name, "agrees")


if __name__ == "__main__":
    main()
