"""Writes goldens.json: each excerpt rendered by Hugging Face's transformers (4.57) for some conversations.

    make_goldens.py LIST_CASES > goldens.json

LIST_CASES is the program beside this file.
"""
import json
import sys

from excerpts import EXCERPTS
from runtime_chat import BOS, EOS, list_cases

KINDS = ["system, multi-turn", "tools", "markup", "blanks of Unicode", "tool call"]

# Python's repr escapes blanks beyond ASCII; the engine has no way to.
BEYOND = [("printed values", "blanks of Unicode"), ("joined values", "blanks of Unicode")]


def main():
    from transformers.utils.chat_template_utils import _compile_jinja_template

    goldens = []
    for name, source in EXCERPTS.items():
        template = _compile_jinja_template(source)
        for kind, _, messages, variables in list_cases(sys.argv[1]):
            if kind not in KINDS or (name, kind) in BEYOND:
                continue
            others = {key: value for key, value in variables.items() if key != "tools"}
            try:
                prompt = template.render(messages=messages, tools=variables.get("tools"), documents=None,
                                         add_generation_prompt=True, bos_token=BOS, eos_token=EOS, **others)
            except Exception:  # refused: nothing to compare
                continue
            goldens.append({"excerpt": name, "kind": kind, "prompt": prompt})
    print(json.dumps(goldens, ensure_ascii=True, indent=0))


if __name__ == "__main__":
    main()
