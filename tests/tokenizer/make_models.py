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


def main():
    qwen_like()
    smollm_like()
    llama_like()
    nemo_like()
    prefix_like()


if __name__ == "__main__":
    main()
