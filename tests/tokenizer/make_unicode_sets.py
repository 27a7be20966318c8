#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_sets.cc and unicode_scripts.cc: the sets of characters by which `tokenizers` normalizes and splits, found by asking
the library about every code point. Its parts have four different versions of Unicode, so no table of one version would do.

Needs `tokenizers` (the version of requirements.txt) and libutf8proc (only the differences of its lower-case mapping are written)."""
import argparse
import ctypes
import pathlib

from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def removed(normalizer):
    """Code points that the normalizer drops."""
    kept = set()
    for i in range(0, len(CODE_POINTS), 4096):
        part = CODE_POINTS[i:i + 4096]
        kept |= set(map(ord, normalizer.normalize_str("".join(map(chr, part)))))
    return [c for c in CODE_POINTS if c not in kept and normalizer.normalize_str(chr(c)) == ""]


def isolated(pre_tokenizer):
    """Code points that stand alone between two letters."""
    return [c for c in CODE_POINTS if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) == 3]


def nonspacing():
    """Marks that Bert's strip_accents drops; decomposition must not hide them."""
    bert = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    nfd = normalizers.NFD()
    return [c for c in CODE_POINTS if nfd.normalize_str(chr(c)) == chr(c) and bert.normalize_str(chr(c)) == ""]


class Property(ctypes.Structure):
    """The head of utf8proc_property_t."""
    _fields_ = [("category", ctypes.c_int16), ("combining_class", ctypes.c_int16)]


def utf8proc():
    library = ctypes.CDLL("libutf8proc.so.2")
    library.utf8proc_get_property.restype = ctypes.POINTER(Property)
    library.utf8proc_NFKD.restype = ctypes.c_void_p
    return library


def unordered_marks():
    """Marks with a combining class in utf8proc that the library does not put in order."""
    library, nfd, out = utf8proc(), normalizers.NFD(), []
    for c in CODE_POINTS:
        own = library.utf8proc_get_property(c).contents.combining_class
        if own == 0:
            continue
        low, high = "\u0334", "\u0345"  # classes 1 and 240
        other = "x" + chr(c) + low if own > 1 else "x" + high + chr(c)
        if nfd.normalize_str(other) == other and nfd.normalize_str(chr(c)) == chr(c):
            out.append(c)
    return out


def undecomposed():
    """Code points with a decomposition in utf8proc and none in the library."""
    library, nfkd, libc, out = utf8proc(), normalizers.NFKD(), ctypes.CDLL(None), []
    for c in CODE_POINTS:
        if nfkd.normalize_str(chr(c)) != chr(c):
            continue
        pointer = library.utf8proc_NFKD(chr(c).encode())
        if ctypes.string_at(pointer).decode() != chr(c):
            out.append(c)
        libc.free(ctypes.c_void_p(pointer))
    return out


def scripts():
    """Stretches of code points of one script as (first, last, number); those of no script are left out."""
    splitter = pre_tokenizers.UnicodeScripts()
    known = [c for c in CODE_POINTS if splitter.pre_tokenize_str(chr(c))]
    position, members, samples = 0, {}, []
    for word, _ in splitter.pre_tokenize_str("".join(map(chr, known))):
        number = next((i for i, s in enumerate(samples) if len(splitter.pre_tokenize_str(s + word[0])) == 1), len(samples))
        if number == len(samples):
            samples.append(word[0])
        for c in known[position:position + len(word)]:
            members[c] = number
        position += len(word)
    out = []
    for c, number in sorted(members.items()):
        if out and out[-1][1] == c - 1 and out[-1][2] == number:
            out[-1][1] = c
        else:
            out.append([c, c, number])
    return out


SCRIPTS = """// Written by tests/tokenizer/make_unicode_sets.py; see there.
#include "tokenizer/unicode_scripts.h"

#include <algorithm>
#include <iterator>

namespace llm2mnn {

namespace {

struct ScriptRange {
  char32_t first, last;
  int script;
};
constexpr ScriptRange kScripts[] = {%s};

}  // namespace

int splitting_script(char32_t c) {
  const auto* it = std::upper_bound(std::begin(kScripts), std::end(kScripts), c, [](char32_t v, const ScriptRange& r) { return v < r.first; });
  if (it == std::begin(kScripts)) return kAnyScript;
  --it;
  return c <= it->last ? it->script : kAnyScript;
}

}  // namespace llm2mnn
"""


def lowercase():
    """Code points whose lower case is not utf8proc's."""
    library = utf8proc()
    lower = normalizers.Lowercase()
    out = []
    for c in CODE_POINTS:
        ours, theirs = chr(library.utf8proc_tolower(c)), lower.normalize_str(chr(c))
        if ours != theirs and len(theirs) == 1:
            out.append((c, ord(theirs)))
    return out


def ranges(code_points):
    out = []
    for c in code_points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def table(name, pairs):
    return f"const std::vector<CodePointRange> {name} = {{" + ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in pairs) + "};\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", default=root / "src/tokenizer", help="folder of unicode_sets.cc and unicode_scripts.cc; format them with clang-format")
    args = parser.parse_args()
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    sets = {
        "kNumeric": isolated(pre_tokenizers.Digits(individual_digits=True)),
        "kPunctuation": isolated(pre_tokenizers.Punctuation()),
        "kControl": removed(clean),
        "kNonspacing": nonspacing(),
        "kUnordered": unordered_marks(),
        "kUndecomposed": undecomposed(),
        "kCombining": removed(normalizers.StripAccents()),
        "kWord": [c for c in CODE_POINTS if len(pre_tokenizers.Whitespace().pre_tokenize_str("a" + chr(c) + "a")) == 1],
    }
    text = "// Written by tests/tokenizer/make_unicode_sets.py; see there.\n#include \"tokenizer/unicode_sets.h\"\n\n"
    text += "#include <algorithm>\n\nnamespace llm2mnn {\n\nnamespace {\n\n"
    text += "".join(table(name, ranges(code_points)) for name, code_points in sets.items())
    text += "/// Code point and its lower case.\n" + table("kLowercase", lowercase())
    text += "\n}  // namespace\n\n"
    for name in sets:
        function = "is_" + name[1:].lower()
        text += f"bool {function}(char32_t c) {{ return contains({name}, c); }}\n"
    text += """
std::optional<char32_t> newer_lowercase(char32_t c) {
  const auto it = std::lower_bound(kLowercase.begin(), kLowercase.end(), c, [](const CodePointRange& r, char32_t v) { return r.first < v; });
  if (it == kLowercase.end() || it->first != c) return std::nullopt;
  return it->last;
}

}  // namespace llm2mnn
"""
    out = pathlib.Path(args.out)
    (out / "unicode_sets.cc").write_text(text, encoding="utf-8")
    items = ", ".join(f"{{0x{a:X}, 0x{b:X}, {number}}}" for a, b, number in scripts())
    (out / "unicode_scripts.cc").write_text(SCRIPTS % items, encoding="utf-8")


if __name__ == "__main__":
    main()
