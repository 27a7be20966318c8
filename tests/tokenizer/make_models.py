"""Trains the small tokenizers of models/, with the pipelines of the families that matter here.

    make_models.py            needs the wheel tokenizers
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import make_corpus

HERE = pathlib.Path(__file__).resolve().parent
VOCAB_SIZE = 700  # 256 bytes and a few hundred merges: enough to merge in every script of the corpus

QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
LETTERS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
NEMO = (rf"[^\r\n\p{{L}}\p{{N}}]?{LETTERS[0]}*{LETTERS[1]}+|[^\r\n\p{{L}}\p{{N}}]?{LETTERS[0]}+{LETTERS[1]}*|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def texts():
    strings = list(make_corpus.SENTENCES.values()) * 3 + make_corpus.CODE + make_corpus.CONTRACTIONS + make_corpus.BLANKS
    return strings + make_corpus.DIGITS + make_corpus.EMOJI + make_corpus.SYMBOLS


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level(False)])


def train(normalizer, pre_tokenizer, special):
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=special, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def save(name, tokenizer, config, edit=None):
    folder = HERE / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    document = json.loads(tokenizer.to_str())
    if edit:
        edit(document)
    (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def qwen_like():
    """NFC, a Split, added tokens behind the vocabulary, one of them not special."""
    tokenizer = train(normalizers.NFC(), split(QWEN2), [])
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("<tool_call>", "</tool_call>", "<think>", "</think>")])
    tokenizer.add_tokens([AddedToken("[gap]", lstrip=True, rstrip=True, normalized=False)])
    template = ("{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
                "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}")
    save("qwen_like", tokenizer, {"tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>",
                                  "add_bos_token": False, "chat_template": template})


def smollm_like():
    """Digits and GPT-2's regex; special tokens in front of the vocabulary."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)])
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<jupyter_start>"]
    save("smollm_like", train(None, pre, special), {
        "tokenizer_class": "GPT2Tokenizer", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "add_prefix_space": False})


def llama_like():
    """A BOS by template, ignore_merges, merges as strings."""
    tokenizer = train(None, split(LLAMA3), [])
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"])
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    template = ("{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + "
                "message.content + '<|eot_id|>' }}{% endfor %}")

    def edit(document):
        document["model"]["ignore_merges"] = True
        document["model"]["merges"] = [" ".join(m) for m in document["model"]["merges"]]

    save("llama_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>",
                                   "eos_token": "<|eot_id|>", "chat_template": template}, edit)


def nemo_like():
    """Upper and lower case in the pattern; a prefix blank would be wrong."""
    tokenizer = train(None, split(NEMO), ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    save("nemo_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"})


def prefix_like():
    """GPT-2 with add_prefix_space, and a Split on a literal."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split("->", "merged_with_previous"),
                                   pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)])
    save("prefix_like", train(None, pre, ["<|endoftext|>"]), {"eos_token": "<|endoftext|>"})


def train_plain(tokenizer, special, alphabet=(), **more):
    """Trains a model whose pieces are plain text."""
    kind = {models.BPE: trainers.BpeTrainer, models.Unigram: trainers.UnigramTrainer, models.WordPiece: trainers.WordPieceTrainer,
            models.WordLevel: trainers.WordLevelTrainer}[type(tokenizer.model)]
    if kind in (trainers.BpeTrainer, trainers.WordPieceTrainer):
        more.update(limit_alphabet=250, initial_alphabet=list(alphabet))
    size = 2 * VOCAB_SIZE if kind is trainers.UnigramTrainer else VOCAB_SIZE  # Unigram wants every character
    tokenizer.train_from_iterator(texts(), kind(vocab_size=size, special_tokens=special, show_progress=False, **more))
    return tokenizer


BYTE_PIECES = [f"<0x{byte:02X}>" for byte in range(256)]


def sentencepiece_bpe(name, steps, decoder_steps, config):
    """BPE over visible blanks with a piece for every byte, and pieces that cross a blank."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(steps)
    train_plain(tokenizer, ["<unk>", "<s>", "</s>"] + BYTE_PIECES)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()] + decoder_steps)

    def edit(document):
        document["added_tokens"] = document["added_tokens"][:3]

    save(name, tokenizer, config, edit)


def mistral_like():
    """A blank in front of every text."""
    sentencepiece_bpe("mistral_like", [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")],
                      [decoders.Strip(" ", 1, 0)], {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"})


def gemma_like():
    """None."""
    sentencepiece_bpe("gemma_like", [normalizers.Replace(" ", "\u2581")], [],
                      {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"})


def unknown_like():
    """BPE over visible blanks with an unknown token and no piece for a byte."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    train_plain(tokenizer, ["<unk>", "<s>", "</s>"])
    tokenizer.decoder = decoders.Replace("\u2581", " ")
    save("unknown_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"})


def xlm_like():
    """Unigram, compatibility characters, words that start with a visible blank."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    train_plain(tokenizer, ["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>")
    save("xlm_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"})


def bert_like():
    """WordPiece in lower case without accents."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    train_plain(tokenizer, ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    save("bert_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[SEP]"})


def words_like():
    """WordLevel: whole words only."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    train_plain(tokenizer, ["<unk>", "</s>"])
    save("words_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"})


def whole_like():
    """ignore_merges with words, one inside the other, that no merges make."""
    tokenizer = train(None, split(LLAMA3), ["<|eos|>"])

    def edit(document):
        vocab = document["model"]["vocab"]
        for text in (" quick", " qui", " lazy", " wouldn", " Straße", " \u0434\u0430\u0436\u0435", " \u0434\u0430", "\u3053\u3093\u306b"):
            pieces, _ = zip(*pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text))
            vocab.setdefault(pieces[0], len(vocab))
        document["model"]["ignore_merges"] = True

    save("whole_like", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|eos|>"}, edit)


def main():
    qwen_like()
    smollm_like()
    llama_like()
    nemo_like()
    prefix_like()
    mistral_like()
    gemma_like()
    unknown_like()
    xlm_like()
    bert_like()
    words_like()
    whole_like()


if __name__ == "__main__":
    main()
