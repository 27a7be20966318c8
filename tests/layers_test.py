#!/usr/bin/env python3
"""A folder of src/ includes only folders above its own line: the layer order of docs/architecture.md, as a fact."""
import pathlib
import re
import sys

# Lowest first; what each folder may include besides itself.
LAYERS = {
    "base": set(),
    "tensor": {"base"},
    "kernels": {"base", "tensor"},
    "checkpoint": {"base", "tensor"},
    "tokenizer": {"base", "tensor"},
    "ir": {"base", "tensor"},
    "arch": {"base", "tensor", "kernels", "checkpoint"},
    "lower": {"base", "tensor", "checkpoint", "ir", "arch"},
    "quant": {"base", "tensor", "kernels"},
    "formats/mnn": {"base", "tensor", "ir"},
    "convert": {"base", "tensor", "kernels", "checkpoint", "tokenizer", "ir", "arch", "lower", "quant", "formats/mnn"},
    "cli": {"base", "tensor", "kernels", "checkpoint", "arch", "quant", "convert"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path):
    for name in sorted(LAYERS, key=len, reverse=True):
        if path.startswith(name + "/"):
            return name
    return None


def main():
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    faults, edges = [], 0
    for source in sorted(root.rglob("*")):
        if source.suffix not in {".h", ".cc"}:
            continue
        name = source.relative_to(root).as_posix()
        own = layer_of(name)
        if own is None:
            faults.append(f"src/{name}: its folder is not in the table of layers")
            continue
        for included in INCLUDE.findall(source.read_text(encoding="utf-8")):
            target = layer_of(included)
            if target is None:
                # Generated headers have no folder; everything of ours is included by its path from src/.
                if (root / included).exists() or "/" in included:
                    faults.append(f"src/{name}: includes {included}, which is in no layer")
                continue
            edges += 1
            if target != own and target not in LAYERS[own]:
                faults.append(f"src/{name}: includes {included}, but {own} may not include {target}")
    # Serialisation headers stay inside their format's folder, family names inside families/.
    for fault in faults:
        print(fault)
    print(f"{edges} includes checked, {len(faults)} against the order")
    return 1 if faults or edges < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
