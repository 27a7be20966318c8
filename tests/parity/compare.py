"""Golden against stock runtime."""
import sys
import pathlib

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tool import export, family_arguments, make_fixture  # noqa: E402

# Prefill is longer than every window (7 at most), and so is what follows.
PREFILL = 20
FAR_PREFILL = 2044
FORMS = {"default": [], "compat": ["--compat", "3.1"]}


def relative_rms(got, want):
    """RMS of the difference over the RMS of `want`; infinite when something is not finite."""
    if got.shape != want.shape:
        raise AssertionError(f"logits of shape {got.shape}, expected {want.shape}")
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.sqrt(np.mean((got - want.astype(np.float64)) ** 2) / np.mean(want.astype(np.float64) ** 2)))


def width_arguments(fixture, bits, form):
    if bits == 16:
        return ["--quant_bit", 16]
    # Runtimes that --compat speaks to know float32 scales only.
    scale = ["--scale_bit", 32] if form == "compat" else []
    return ["--quant_bit", bits, "--quant_block", fixture.meta["quant_block"], *scale]


def load_golden(fixture, path):
    golden = np.load(path)
    if str(golden["digest"]) != fixture.digest():
        raise AssertionError(f"{path} belongs to another state of the fixture; run tools/regen_goldens.py")
    return golden


def measure_far(runtime, fixture, checkpoint, package, form):
    """Like `measure` at 16 bits, on the long sequence: the prefill ends just below position 2048, decode goes past it.
    Only the rows from there on are compared."""
    export(checkpoint, package, "--quant_bit", 16, *FORMS[form], *family_arguments(fixture))
    want = load_golden(fixture, fixture.golden_far)["logits_16"]
    ids = make_fixture.token_ids(fixture.vocab_size, make_fixture.FAR_TOKENS)
    got = runtime.logits(package, ids, FAR_PREFILL)[-len(want):]
    beyond = len(want) - (len(ids) - FAR_PREFILL)
    return relative_rms(got[:beyond], want[:beyond]), relative_rms(got[beyond:], want[beyond:])


def odd_sizes():
    """Names of the fixtures with a row of activations that does not fill the packs of the runtime (16 lanes at most)."""
    def is_odd(c):
        dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        kv_heads = c.get("num_key_value_heads") or c["num_attention_heads"]
        kv_heads = kv_heads if isinstance(kv_heads, list) else [kv_heads]  # of each layer
        rows = (c["hidden_size"], c["intermediate_size"], dim * c["num_attention_heads"], *(dim * n for n in kv_heads))
        return any(width % 16 for width in rows)
    return [n for n in make_fixture.fixture_names() if is_odd(make_fixture.Fixture(n).llama_config)]


def measure_low_memory(runtime, fixture, checkpoint, package, bits, form):
    """Exports the checkpoint at `bits` and returns (relative RMS of prefill rows, of decode rows) between the logits at
    "memory": "low" and those of the same package at "memory": "high"."""
    export(checkpoint, package, *width_arguments(fixture, bits, form), *FORMS[form], *family_arguments(fixture))
    ids = make_fixture.token_ids(fixture.vocab_size)
    want = runtime.logits(package, ids, PREFILL)
    got = runtime.logits(package, ids, PREFILL, memory="low")
    return relative_rms(got[:PREFILL], want[:PREFILL]), relative_rms(got[PREFILL:], want[PREFILL:])


def measure(runtime, fixture, checkpoint, package, bits, form):
    """Exports the checkpoint to `package` and returns (relative RMS of prefill rows, of decode rows)."""
    export(checkpoint, package, *width_arguments(fixture, bits, form), *FORMS[form], *family_arguments(fixture))
    golden = load_golden(fixture, fixture.golden)
    got = runtime.logits(package, golden["ids"], PREFILL)
    want = golden[f"logits_{bits}"]
    if bits == 8 and (fixture.has_experts or fixture.is_recurrent):
        # Rounding may choose another expert for a token, which then is off by much, and a state carries errors on: all rows
        # count together.
        return (relative_rms(got, want),) * 2
    return relative_rms(got[:PREFILL], want[:PREFILL]), relative_rms(got[PREFILL:], want[PREFILL:])


__all__ = ["FORMS", "PREFILL", "make_fixture", "measure", "measure_far", "measure_low_memory", "odd_sizes", "relative_rms", "width_arguments"]
