"""A test case that exports fixtures as ONNX."""
import pathlib

import numpy as np
import onnx

from .tool import TempDirCase, export, family_arguments, make_fixture


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def refused_by_genai(config):
    """What flavour genai says when it refuses a model, or None."""
    heads = config.get("num_key_value_heads")
    if isinstance(heads, list) and len(set(heads)) > 1:
        return "keeps as many key heads for every layer"
    dim = config.get("key_dim") or head_dim(config)
    rotary_dim = config.get("rotary_dim") or int(dim * config.get("partial_rotary_factor", 1))
    return next((f"multiple of 16, and this is {width}" for width in (rotary_dim, dim) if width % 16), None)


def onnx_fixture_names():
    """The fixtures that ONNX has a form for."""
    return [n for n in make_fixture.fixture_names() if not make_fixture.Fixture(n).is_recurrent]


def check_file(directory):
    """@raises onnx.checker.ValidationError, or an error of shape inference."""
    onnx.checker.check_model(str(pathlib.Path(directory) / "llm.onnx"), full_check=True)


class OnnxCase(TempDirCase):
    def stored_checkpoint(self, name, mutate=None, bf16_table=False):
        """The directory of a float32 checkpoint with the values that `logits_16` of the golden was computed on; with
        `bf16_table` another table where bf16 cannot hold that one."""
        out = self.tmp / "-".join(filter(None, ("stored", name, mutate, "bf16" if bf16_table else None)))
        if not out.exists():
            fixture = make_fixture.Fixture(name)
            tensors = []
            for stored, (role, values) in fixture.source(mutate).items():
                values = make_fixture.as_stored_at_16_bit(role, values, fixture.tied)
                if bf16_table and role == "embed_tokens":
                    values = make_fixture.round_to(values, "bf16")
                # Experts that are [E, out, in] as codes are [E, in, out] as floats.
                if fixture.meta.get("coded", {}).get("form") == "mxfp4" and values.ndim == 3:
                    values = np.ascontiguousarray(values.transpose(0, 2, 1))
                tensors.append((stored, values))
            make_fixture.make_float(fixture.mutated_config(mutate), out, tensors)
        return out

    def export_onnx(self, name, checkpoint, *arguments):
        """The directory of an ONNX export of `checkpoint`, a checkpoint of the fixture `name`; made once per class."""
        out = self.tmp / "-".join(["onnx", checkpoint.name, *(str(a).strip("-") for a in arguments)])
        if not out.exists():
            export(checkpoint, out, "--export", "onnx", *arguments, *family_arguments(make_fixture.Fixture(name)))
        return out
