"""Writes corpus.jsonl: test strings for tokenizers, one JSON string per line.

    make_corpus.py > corpus.jsonl
"""
import json
import random
import unicodedata

SENTENCES = {
    "en": "The quick brown fox doesn't jump over 13 lazy dogs; it'd rather sleep, wouldn't it?",
    "de": "Größere Änderungen übergab Herr Müßig am 3. März 2024 für 1.234,56 € an Zoë.",
    "fr": "L'été dernier, où étais-tu ? « Ça va », répondit-il à l'œuvre du cœur.",
    "es": "¿Qué pasó mañana? ¡El niño comió 2½ piñas y bebió café con azúcar!",
    "pt": "Não há coração que aguente a canção às três da manhã.",
    "vi": "Việt Nam có nhiều việc phải làm; người ta thường nói được là tốt đẹp, ở những nơi khác.",
    "tr": "Küçük İstanbul'da ışık ığdır şöyle böyle çok güzel görünüyordu.",
    "pl": "Zażółć gęślą jaźń; mężny bądź, chroń pułk twój i sześć flag.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "ro": "Țara și pădurea își aveau înțelesul lor ăsta.",
    "hu": "Árvíztűrő tükörfúrógép, őszi erdő.",
    "ru": "Съешь же ещё этих мягких французских булок, да выпей чаю. Йод и даже ёлка.",
    "uk": "Їжак з'їв ґрунтовний обід у Києві.",
    "el": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία· ΐ, ΰ, ᾳ, ᾴ, ῷ.",
    "he": "שָׁלוֹם עֲלֵיכֶם, מה שלומך היום?",
    "ar": "السَّلامُ عَلَيْكُم، أُؤْمِنُ بِأَنَّ الحَياةَ جَميلةٌ ١٢٣٤ إِنْ شاءَ اللهُ.",
    "fa": "می‌خواهم به خانه‌ی شما بیایم؛ ۱۲۳ تومان.",
    "hi": "मैंने क़लम ख़रीदी और ज़ोर से पढ़ा: ०१२३ रुपये।",
    "bn": "আমি বাংলায় গান গাই, পড়ে যায় ১২৩৪ টাকা।",
    "ta": "தமிழ் மொழி மிகவும் பழமையானது; கொண்டு வா.",
    "te": "తెలుగు భాష చాలా తియ్యనిది.",
    "kn": "ಕನ್ನಡ ಭಾಷೆ ಕೋಟಿ ಮೊತ್ತ.",
    "ml": "മലയാളം കൊള്ളാം, ചോറും കറിയും.",
    "th": "ภาษาไทยไม่มีช่องว่างระหว่างคำ น้ำใจดี ๑๒๓",
    "lo": "ພາສາລາວ ບໍ່ມີຍະຫວ່າງ",
    "my": "မြန်မာစာ ကို ဖတ်ပါ။",
    "km": "ភាសាខ្មែរ មានអក្សរច្រើន",
    "bo": "བོད་སྐད་ ནི་ཡག་པོ།",
    "ka": "ქართული ენა ძველია. ᲥᲐᲠᲗᲣᲚᲘ",
    "hy": "Հայերեն լեզուն գեղեցիկ է։",
    "am": "አማርኛ ቋንቋ ነው።",
    "zh": "敏捷的棕色狐狸跳过了懒狗,价格是一百二十三元。《红楼梦》!",
    "zht": "這是繁體中文的測試,共有12個字。",
    "ja": "素早い茶色の狐がのろまな犬を飛び越えた。ガギグゲゴ、パピプペポ、ヴァイオリン。",
    "ko": "빠른 갈색 여우가 게으른 개를 뛰어넘었습니다. 값은 3만원!",
    "yo": "Ẹ kú àárọ̀, ṣé ọjọ́ dára ní ilé ọ̀rẹ́ rẹ?",
    "nv": "Shilįį́ʼ ałdóʼ, tsʼídá ąą́.",
    "sr": "Ђурађ и Љубица љубе се у Ћуприји.",
    "is": "Kæmi ný öxi hér, ykist þjófum nú bæði víl og ádrepa.",
    "mn": "ᠮᠣᠩᠭᠣᠯ ᠬᠡᠯᠡ; Монгол хэл.",
}

CODE = [
    "def f(x: int) -> int:\n    return x ** 2 + 1  # square\n", "for (int i = 0; i < 10; ++i) {\n\tsum += a[i];\n}",
    "#include <stdio.h>\nint main(void) { return 0; }", "SELECT * FROM t WHERE a >= 3.14 AND b != 'x''y';",
    "{\"key\": [1, 2, {\"k\": null}], \"é\": true}", "https://example.org/a?b=c&d=%20#frag", "user.name+tag@mail.example",
    "$ ls -la | grep '^d' > out.txt 2>&1", "x=1;y=2;z=x+y", "a_b__c___d", "camelCaseWordsAndHTTPServerURL", "0xDEADBEEF 1e-10 3.14159",
    "\t\tif (a && b || !c) {\r\n\t\t}\r\n", "<div class=\"a\">text</div>", "$$\\frac{a}{b}$$", "\\u00e9\\n\\t", "//////", "======", "------>",
    "print('it''s')", "```python\nprint(1)\n```", "a->b::c<d>()", "#hashtag @mention", "100%", "50/50", "C++20", "v1.2.3-rc4",
]

BLANKS = [
    "", " ", "  ", "   ", "    ", " " * 17, "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", "\r", " \n", "\n ", " \n ", "\t\n\t",
    "  \n\n  x", "a\n\nb", "a \n b", "a  b", "a   b", "  a", "   a", "a ", "a  ", "a\t b", "a \tb", "\u00a0", "a\u00a0b", "\u3000x", "a\u3000 b",
    "\u2003em", "x\u2009y", " \u00a0 z", "\u202fn", "\v", "\f", "a\vb", "line1\nline2\n\n\tline3   \n", "trailing   \n\n",
]

DIGITS = [
    "0", "1", "12", "123", "1234", "12345", "123456", "1234567890", "3.14", "1,000,000", "½ ¼ ¾", "x²+y³", "①②③", "Ⅷ ⅳ", "١٢٣٤٥", "०१२३",
    "一二三", "１２３", "a1b2c3", "1a2b", " 1 22 333 4444 55555", "2024-01-31T23:59:59Z", "+49 (0)30 123456", "1st 2nd 3rd", "৳১২৩", "𝟘𝟙𝟚", "²³¹",
]

CONTRACTIONS = [
    "I'm you're he's she'd we'll they've don't", "I'M YOU'RE HE'S SHE'D WE'LL THEY'VE DON'T", "it's'll've", "'s", "'S", "''s", " 's", "'t'",
    "'re've'll", "o'clock", "rock'n'roll", "l’été d’hiver", "he’s", "'Twas", "'d'D'm'M", "'sa", "'xyz", "can't've", "y'all'd've", "'lLama",
]

EMOJI = [
    "😀", "😀😃😄", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "1️⃣ 2️⃣", "❤️", "☺︎", "a😀b", " 😀 ", "🤷🏾‍♀️ ok", "👨‍💻: code", "🧑🏻‍🤝‍🧑🏿", "⚡️⚡", "🀄︎", "🫠🫡",
]

MARKS = [
    "e\u0301", "e\u0323\u0302", "e\u0302\u0323", "\u00ea\u0323", "\u1eb9\u0302", "\u00e9\u0323", "o\u031b\u0301", "o\u0301\u031b",
    "u\u0308\u0304", "\u212b \u2126 \u212a", "\u0958\u0959", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u1100\u1161", "\uac01\u11a8",
    "か\u3099 は\u309a", "が\u3099", "\u0627\u0654\u064e", "\u0627\u064e\u0654", "\u0644\u0651\u064e", "\u0644\u064e\u0651", "\u0915\u093c",
    "q\u0307\u0323", "q\u0323\u0307", "d\u0323\u0307", "s\u0323\u0307", "s\u0307\u0323", "\u0344", "\u0387 \u037e", "\ufa0e \uf900",
    "\u00c5ngstr\u00f6m", "A\u030angstro\u0308m", "\u0301x", " \u0301", "\n\u0301", "1\u0301", "\u1f71", "\u03b1\u0345\u0301", "\u05e9\u05c1\u05b8",
    "\u05e9\u05b8\u05c1", "\u0e33", "\u0e01\u0e48\u0e38", "Z\u0351\u036b\u0343\u036a", "ﬁ ﬂ ﬀ", "™ © ®", "\ufb2a", "\u0622 \u0627\u0653",
]

CONTROLS = [
    "\u0001", "a\u0001b", "\u0007\u0008", "\u001b[31mred\u001b[0m", "\u007f", "\u0080\u0085\u009f", "soft\u00adhyphen", "zero\u200bwidth",
    "zwnj\u200cx", "zwj\u200dx", "\ufeffbom", "a\ufeffb", "\u200e\u200f\u202a\u202c", "\u2066x\u2069", "\ufffd", "\ufffe", "\ue000\uf8ff",
    "\U000e0041", "\U0010fffd", "\u180e", "\ufff9\ufffa", "\u061c", "a\u2028b", "a\u2029b", "\u0085",
]

SYMBOLS = [
    "!", "!!", "?!", "...", "…", "—–-", "“quoted” ‘text’", "„so“ »oder« ›so‹", "a.b.c", "(a)[b]{c}", "~`^|\\", "±×÷≠≤≥∞∑√", "→←↑↓⇒", "┌─┐│└┘", "★☆♥♦♣♠",
    "₿€£¥$¢", "§¶†‡•", "a—b", "word,word;word:word", "\"'\"'", "、。「」『』", "¡¿", "$100.00", "#1", "&amp;", "a/b\\c", "***bold*** _it_", "· ‧ ・", "‰ ‱",
    "𝒜𝓑𝔠", "ℝ ℕ ℤ", "∀x∈ℝ: ∃y", "⠃⠗⠇", "𐍈𐌰", "𒀀𒁀", "𠮷野家", "㍿㈱", "ⓐⓑ", "ᴬᴮ ᵃ", "ⁿ₂",
]

SPECIALS = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|im_start|><|im_start|>",
    "<|im_end|>\n\n", "<|im_start|", "|im_end|>", "<|im_end|>>", "<<|im_end|>", "<think>\n\n</think>\n\nok", "<think>", "</think>", "<tool_call>{}</tool_call>",
    "<|begin_of_text|>x<|eot_id|>", "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>", "<s>", "</s>", "[INST] x [/INST]", "<unk>", "<pad>",
    "<|reserved_special_token_7|>", "<|vision_start|><|image_pad|><|vision_end|>", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>", "  <|im_end|>  <|im_end|>",
    "<repo_name>x<file_sep>y", "<jupyter_start>", "caf\u00e9<|im_end|>cafe\u0301", "<|im_start|>é<|im_start|>", "<think>é</think>", "<|extra|>", "[gap]", "x [gap] y", "[gap]  [gap]",
]

LONG = ["a" * 200, "ab" * 150, "é" * 100, "的" * 200, "0" * 100, "-" * 150, " " * 120 + "x", "\n" * 60, "ก" * 80, "😀" * 40, "word " * 60]


def mixtures():
    """Random concatenations of pieces of everything above."""
    rng = random.Random(20240131)
    pool = list(SENTENCES.values()) + CODE + BLANKS + DIGITS + CONTRACTIONS + EMOJI + MARKS + CONTROLS + SYMBOLS + SPECIALS
    for _ in range(60):
        parts = []
        for _ in range(rng.randint(2, 6)):
            text = rng.choice(pool)
            begin = rng.randrange(len(text) + 1)
            parts.append(text[begin:begin + rng.randint(1, 16)])
        yield rng.choice(["", " "]).join(parts)


def main():
    strings = list(SENTENCES.values()) + [unicodedata.normalize("NFD", s) for s in SENTENCES.values()]
    strings += CODE + BLANKS + DIGITS + CONTRACTIONS + EMOJI + MARKS + CONTROLS + SYMBOLS + SPECIALS + LONG
    strings += [" ".join(SENTENCES.values()), "\n".join(CODE)]
    strings += mixtures()
    for text in dict.fromkeys(strings):
        print(json.dumps(text))


if __name__ == "__main__":
    main()
