"""The written tokenizer.mtok and tokenizer.txt say what tokenizer.json says.

    test_mtok.py TOKENIZER_FILES      the program that writes both for a directory
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import normalizers

import mtok

HERE = pathlib.Path(__file__).resolve().parent


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


KINDS = {"Unigram": "Unigram", "WordPiece": "WordPiece", "WordLevel": "WordPiece"}


def expected_table(document):
    vocab = document["model"]["vocab"]
    table = {text: i for i, (text, _) in enumerate(vocab)} if isinstance(vocab, list) else dict(vocab)
    table.update({t["content"]: t["id"] for t in document["added_tokens"]})
    return table


def check_whole_words(name, document, file):
    """The merges of the document come last; those in front of them start with a mark that no text has."""
    texts = {i: text for text, i in file["model"]["pieces"]}
    merges = sorted(file["model"]["merges"], key=lambda m: m[2])
    wanted = [m.split(" ") if isinstance(m, str) else m for m in document["model"]["merges"]]
    first, last = merges[:-len(wanted)], merges[-len(wanted):]
    check([[texts[a], texts[b]] for a, b, _ in last] == wanted, f"{name}: the document's merges")
    check(first and all(texts[a][0] in "\x0E\x0F\x10" for a, _, _ in first), f"{name}: merges of whole words")


def check_model(name, document, file):
    pieces = file["model"]["pieces"]
    table = expected_table(document)
    texts = [text.encode() for text, _ in pieces]
    check(texts == sorted(texts) and len(set(texts)) == len(texts), f"{name}: pieces are sorted and unique")
    decoded = {i: text for text, i in pieces}
    check(all(decoded.get(i) == text for text, i in table.items()), f"{name}: every piece and added token has its id")
    check(max(decoded) < len(pieces), f"{name}: the runtime's tables have a row for every id")
    if document["model"]["type"] != "BPE":
        check(file["model"]["type"] == KINDS[document["model"]["type"]], f"{name}: type of the model")
        return
    if document["model"].get("ignore_merges") and dict(pieces) != table:
        check_whole_words(name, document, file)
        return
    more = {text: i for text, i in pieces if text not in table}
    if (unknown := document["model"]["unk_token"]) and "<0xC3>" not in table:
        # The runtime has no unknown token, but looks for the names of a character's bytes.
        check(more and all(re.fullmatch("<0x[0-9A-F]{2}>", text) and i == table[unknown] for text, i in more.items()),
              f"{name}: names of bytes for the unknown token")
    else:
        check(not more, f"{name}: no other pieces")
    merges = [m.split(" ") if isinstance(m, str) else m for m in document["model"]["merges"]]
    wanted = sorted((table[a], table[b], rank) for rank, (a, b) in enumerate(merges))
    check(file["model"]["merges"] == wanted, f"{name}: merges are sorted and complete")
    check(file["model"]["byte_fallback"] == document["model"]["byte_fallback"], f"{name}: byte_fallback")
    check(not file["model"]["byte_level"], f"{name}: model flags")


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
    if document["normalizer"]["type"] != "NFC":
        return
    steps = file["normalizer"][1]
    check(all(s[0] == "Replace" for s in steps), f"{name}: literal replacements only")
    singles = [chr(c) for c in range(1, 0x30000) if not 0xD800 <= c < 0xE000 and chr(c) != "|"]
    # Characters newer than this Python's Unicode data would be judged by their age.
    singles = [c for c in singles if unicodedata.category(c) != "Cn"]
    touched = [c for c in singles if unicodedata.normalize("NFD", c) != c or unicodedata.combining(c)]
    singles = touched + singles[::50]
    nfc = normalizers.NFC()  # with its own Unicode, which is older than Python's
    for form in ("NFC", "NFD"):
        given = [unicodedata.normalize(form, c) if form == "NFD" else c for c in singles]
        text = "|".join(given)
        for _, old, new in steps:
            text = text.replace(old, new)
        wrong = [c for c, before, found in zip(singles, given, text.split("|")) if found != nfc.normalize_str(before)]
        check(not wrong, f"{name}: NFC of {form} text, wrong for {[hex(ord(c)) for c in wrong[:8]]}")


def check_txt(name, document, config, data):
    lines = data.decode().split("\n")
    if document["decoder"] is None or document["decoder"]["type"] != "ByteLevel":
        kind = {"BPE": 0, "Unigram": 0, "WordPiece": 2, "WordLevel": 2}[document["model"]["type"]]
        check(lines[0] == f"430 {kind}", f"{name}: magic and type of tokenizer.txt")
        check(int(lines[3]) == len(expected_table(document)) == len(lines) - 5, f"{name}: lines of the vocabulary")
        return
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
    check(len(folders) >= 11, "tokenizers to test")
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
