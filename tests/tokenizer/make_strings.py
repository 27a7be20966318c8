#!/usr/bin/env python3
"""Writes strings that are hard for a tokenizer, as JSON lines: every script of Unicode, random valid UTF-8 (unassigned and
astral code points included), control characters, stacks of combining marks, white space of all kinds, digits, contractions,
added tokens in all positions, code, and long texts with and without blanks. The same arguments give the same strings."""
import argparse
import json
import random
import sys
import unicodedata

BLANKS = ["\t", "\n", "\v", "\f", "\r", "\x1c", "\x1f", " ", "\x85", "\xa0", "\u1680", "\u180e", "\u2000", "\u2003", "\u200a", "\u200b",
          "\u200c", "\u200d", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff", "\r\n", "\n\n", "  ", "    "]
WORDS = ("the quick brown fox jumps over lazy dogs it's I'M we'Ll they've you're don't he'd 'S 'T 'RE caf\u00e9 na\u00efve \u00fcber stra\u00dfe "
         "Tiếng Việt được những \u0110\u1ea1i h\u1ecdc \u4f60\u597d\u4e16\u754c \u3053\u3093\u306b\u3061\u306f \u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \u0928\u092e\u0938\u094d\u0924\u0947 "
         "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u041f\u0440\u0438\u0432\u0435\u0442 \u0393\u03b5\u03b9\u03ac \u1e9e\u0130\u0131\u017f\u212a\ufb01\ufb05 12345 3.14159 1,000,000 0x1F600 "
         "\u0661\u0662\u0663 \u2167 \u00bd \u00b2\u00b3\u00b9 \u2460\u2461 \uff11\uff12 foo_bar CamelCase HTTPServer snake_case a1b2c3 e-mail@x.org https://example.org/?q=1&r=2").split()
PUNCTUATION = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["\u2014", "\u2026", "\u201c", "\u201d", "\u2019", "\u3002", "\u300c", "\u00bf", "\u2581", "\u20ac", "...", "!!!", "--", "->", "'s", "'ſ"]
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001fae8", "\U000e0067"]
CODE = ["def f(x):\n    return x+1\n", "for (int i = 0; i < n; ++i) {\n\tputs(\"a\\n\");\n}\n", "<div class=\"a\">&nbsp;</div>", "SELECT * FROM t WHERE a='b';\r\n", "#!/bin/sh\n\n\n\techo $HOME"]
MARKS = [chr(c) for c in range(0x300, 0x370)] + ["\u0591", "\u05b0", "\u064b", "\u0651", "\u093c", "\u094d", "\u0e38", "\u0f71", "\u1dfa", "\u20d0", "\u3099", "\U000110ba", "\u0c3c", "\u0898", "\U00011938"]
LAST = 0x110000


def any_code_point(rng):
    """One that UTF-8 can hold; astral planes and the first blocks are as likely as each other."""
    top = rng.choice((0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x40000, LAST))
    while True:
        c = rng.randrange(1, top)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def block_string(rng, start):
    block = [chr(c) for c in range(start, min(start + 128, LAST)) if not 0xD800 <= c < 0xE000]
    text = "".join(rng.choice(block) if rng.random() < 0.85 else rng.choice((" ", "\n", "a", "1", ".", "\u0301")) for _ in range(rng.randrange(5, 60)))
    return text


def used_blocks():
    """Starts of the stretches of 128 code points in which something is assigned, and a few where nothing is."""
    starts = [s for s in range(0, 0x20000, 128) if not 0xD800 <= s < 0xE000 and any(unicodedata.category(chr(c)) not in ("Cn", "Cs") for c in range(s, s + 128))]
    thin = [s for i, s in enumerate(starts) if s < 0x3400 or s >= 0xF900 or i % 16 == 0]
    return thin + [0x20000, 0x2A700, 0x2EBF0, 0x2F800, 0x30000, 0x31350, 0x3FF80, 0xE0000, 0xF0000, 0x10FF80]


def phrase(rng, added):
    kinds = [WORDS] * 6 + [BLANKS] * 2 + [PUNCTUATION] * 2 + [EMOJI, CODE] + ([added] * 2 if added else [])
    out = ""
    for _ in range(rng.randrange(1, 16)):
        out += rng.choice(rng.choice(kinds))
        if rng.random() < 0.6:
            out += " "
    return out


def marked(rng):
    return "".join(any_code_point(rng) if rng.random() < 0.2 else rng.choice("aeiouAEIOUnsyzx\u00e9\u0915\u05d0\u0627\uac00\u1100\u1161\u11a8\u30ab\u212b\ufb1d") +
                   "".join(rng.choice(MARKS) for _ in range(rng.randrange(0, 5))) for _ in range(rng.randrange(1, 25)))


def around(rng, token):
    """An added token at the start, the end, doubled, inside words, beside blanks, and cut."""
    blank, word = rng.choice(BLANKS), rng.choice(WORDS)
    return [token, token * 2, word + token, token + word, f"{word} {token} {word}", f"{word}{blank}{token}{blank}{word}", f" {token}", f"{token} ", f"{token}\n\n{token}",
            token[:-1], token[1:], token[:1] + token, token.upper(), token.lower(), token.replace(" ", "")]


def long_strings(rng, size):
    words = " ".join(rng.choice(WORDS) for _ in range(size // 6))[:size]
    yield words
    yield "".join(rng.choice(WORDS) for _ in range(size // 6))[:size]
    yield "a" * size
    yield " " * size
    yield "\n" * (size // 10)
    yield "".join(chr(rng.randrange(0x4E00, 0x9FA6)) for _ in range(size // 3))
    yield "ab" * (size // 2)
    yield "1234567890" * (size // 10)
    yield "!?" * (size // 20)
    yield "\u0301" * (size // 20)
    yield "a " * (size // 2)
    yield "".join(any_code_point(rng) for _ in range(size // 3))
    yield "\u2581" * (size // 30)


def strings(seed, count, added, long_size):
    rng = random.Random(seed)
    out = ["", " ", "  ", "\n", "a", "\u0301", "\u2581", "\ufeff", "\ufffd", "\U0010ffff"]
    out += [chr(c) for c in range(1, 0x100)]
    out += [f"a{b}b" for b in BLANKS] + [f"{b}a" for b in BLANKS] + [f"a{b}" for b in BLANKS] + [f"a {b} b" for b in BLANKS]
    out += [block_string(rng, start) for start in used_blocks()]
    for token in added:
        out += around(rng, token)
    if long_size:
        out += list(long_strings(rng, long_size))
    makers = (lambda: phrase(rng, added), lambda: marked(rng), lambda: "".join(any_code_point(rng) for _ in range(rng.randrange(1, 40))),
              lambda: "".join(rng.choice(BLANKS + ["a", "1", "."]) for _ in range(rng.randrange(1, 20))), lambda: "".join(rng.choice(PUNCTUATION + [" ", "a"]) for _ in range(rng.randrange(1, 20))))
    while len(out) < count:
        out.append(rng.choice(makers)())
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2500, help="strings at least (the fixed ones come first)")
    parser.add_argument("--added", action="append", default=[], metavar="TEXT", help="an added token to put in all positions; may be given again")
    parser.add_argument("--long_size", type=int, default=100_000, help="characters of the long strings; 0 leaves them out")
    args = parser.parse_args()
    for text in strings(args.seed, args.count, args.added, args.long_size):
        sys.stdout.write(json.dumps(text) + "\n")


if __name__ == "__main__":
    main()
