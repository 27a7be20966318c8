#!/usr/bin/env python3
"""The rules of docs/architecture.md as facts: a folder of src/ includes only folders above its own line, a library is seen by
one folder only, and no family of families/ is named in the code; family files are short."""
import pathlib
import re
import statistics
import sys

# Lowest first; what each folder may include besides itself.
LAYERS = {
    "base": set(),
    "tensor": {"base"},
    "kernels": {"base", "tensor"},
    "checkpoint": {"base", "tensor"},
    "jinja": {"base"},
    "tokenizer": {"base", "jinja"},
    "ir": {"base", "tensor"},
    "arch": {"base", "tensor", "kernels", "checkpoint"},
    "lower": {"base", "tensor", "checkpoint", "ir", "arch"},
    "quant": {"base", "tensor", "kernels"},
    "formats/mnn": {"base", "tensor", "ir"},
    "formats/onnx": {"base", "tensor", "ir"},
    "verify": {"base"},
    "convert": {"base", "tensor", "kernels", "checkpoint", "jinja", "tokenizer", "verify", "ir", "arch", "lower", "quant", "formats/mnn", "formats/onnx"},
    "cli": {"base", "tensor", "kernels", "checkpoint", "jinja", "tokenizer", "arch", "quant", "convert"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)

# The folder that sees a library: what is written or read with it has a wrapper there. Three see utf8proc: the verifier
# shares no code with the writers.
LIBRARIES = {
    "simdjson": "base", "xxhash": "base", "hwy/": "kernels", "utf8proc": "jinja tokenizer verify", "pcre2": "tokenizer", "google/protobuf/": "tokenizer formats/onnx", "muParser": "arch", "toml++/": "arch",
    "flatbuffers/": "formats/mnn", "nlohmann/": "convert", "CLI/": "cli",
}
SYSTEM_INCLUDE = re.compile(r"^\s*#\s*include\s+<([^>]+)>", re.MULTILINE)

# Words with a family's name in them that are not about the family: a rope kind, a method of quantisation, classes and files of transformers, vocabularies
# called after the model that brought them, examples.
NOT_A_FAMILY = re.compile(r"llama3|\w+Tokenizer(Fast)?\b|qwen\.tiktoken|Qwen3-0\.6B|GPT-[24]|gpt-oss|gpt2_pattern|\"bitnet\"")
# Chat formats are called after the family that brought them; others use them too.
CHAT_FORMATS = {"jinja/family_templates.cc", "jinja/family_templates.h"}
TEST_ONLY = re.compile(r"_(test|bench|fuzz)\.cc$|test_\w+\.(h|cc)$|_test_util\.(h|cc)$")


# A family states a difference: the median file stays under the first number of lines, and one above the second says why.
MEDIAN_LINES, LONG_LINES = 30, 60
REASON = re.compile(rf"^# Longer than {LONG_LINES} lines: \w", re.MULTILINE)


def long_families(root):
    """Faults of the lengths of families/*/family.toml."""
    files = {p.parent.name: p.read_text(encoding="utf-8") for p in sorted(root.glob("families/*/family.toml"))}
    lines = {name: text.count("\n") for name, text in files.items()}
    faults = [f"families/{name}: {count} lines, and no comment '# Longer than {LONG_LINES} lines: REASON'"
              for name, count in lines.items() if count > LONG_LINES and not REASON.search(files[name])]
    faults += [f"families/{name}: has a reason to be long, and {lines[name]} lines"
               for name, text in files.items() if REASON.search(text) and lines[name] <= LONG_LINES]
    if statistics.median(lines.values()) >= MEDIAN_LINES:
        faults.append(f"families: the median file has {statistics.median(lines.values())} lines, under {MEDIAN_LINES} is asked for")
    return faults


def layer_of(path):
    for name in sorted(LAYERS, key=len, reverse=True):
        if path.startswith(name + "/"):
            return name
    return None


def main():
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    faults, edges = long_families(root.parent), 0
    names = sorted(p.name.rstrip("0123456789") for p in root.parent.glob("families/*"))
    # "ideographic" and "option" name no family.
    families = re.compile(f"(?<![a-z])({'|'.join(n + '(?![a-z])' if len(n) < 4 else n for n in names)})", re.IGNORECASE)
    for source in sorted(root.rglob("*")):
        if source.suffix not in {".h", ".cc"}:
            continue
        name = source.relative_to(root).as_posix()
        own = layer_of(name)
        if own is None:
            faults.append(f"src/{name}: its folder is not in the table of layers")
            continue
        text = source.read_text(encoding="utf-8")
        if not TEST_ONLY.search(name) and name not in CHAT_FORMATS:
            faults += [f"src/{name}: names the family {family!r}" for family in families.findall(NOT_A_FAMILY.sub("", text))]
            for included in SYSTEM_INCLUDE.findall(text):
                for library, owner in LIBRARIES.items():
                    if included.startswith(library) and own not in owner.split():
                        faults.append(f"src/{name}: includes <{included}>, which only {owner.replace(' ', ' and ')} may")
        for included in INCLUDE.findall(text):
            target = layer_of(included)
            if target is None:
                # Generated headers have no folder; everything of ours is included by its path from src/.
                if (root / included).exists() or "/" in included:
                    faults.append(f"src/{name}: includes {included}, which is in no layer")
                continue
            edges += 1
            if target != own and target not in LAYERS[own]:
                faults.append(f"src/{name}: includes {included}, but {own} may not include {target}")
    for fault in faults:
        print(fault)
    print(f"{edges} includes checked, {len(faults)} against the order")
    return 1 if faults or edges < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
