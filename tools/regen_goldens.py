#!/usr/bin/env python3
"""Writes tests/fixtures/models/*/golden.npz: logits of the transformers classes in float32 on the fixtures.

    regen_goldens.py [NAME ...] [--check]

Needs torch 2.13 and transformers 4.57.6; it runs only when somebody regenerates. Each file holds
  ids        the token sequence [T];
  logits_16  float32 [T, V], on the weights as a 16-bit package stores them (FP16 matrices, bf16 table, or an FP16
             table when it is the head's own);
  logits_8   float16 [T, V], on the weights of the source (the 8-bit tolerance is far above float16's step);
  digest     of the fixture; a test refuses a golden of another fixture.
The fixtures of FAR have a second file, golden_far.npz, with the logits of a long sequence: `logits_16` holds the last
FAR_ROWS rows, at positions around 2048, where a rotary table in parts changes its part.

Beside it lies sweep.npz: `change` [tensors, SWEEP_NUMBERS], what moving each stored tensor in turn (Fixture.swept, in the order of
Fixture.tensors) does to logits_16, as make_fixture.projections, and the `digest` again.

Before it writes, it shows that every stored tensor, every mutation of make_fixture.py, and every further feature of the fixture that can
be left out (rope scaling, biases, q and k norm), moves the logits by more than SEEN: a feature that the golden cannot
see proves nothing.
"""
import argparse
import json
import pathlib
import re
import sys

import numpy as np
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))
sys.path.insert(0, str(ROOT / "tools"))
import make_fixture as mf  # noqa: E402
import reference_models  # noqa: E402

# Far above the tolerance of the 16-bit parity check (1e-5).
SEEN = 1e-3
# Rounding only.
INERT = 1e-6


# Config keys of routers, with the value that leaves them out.
EXPERT_KEYS = {"norm_topk_prob": False, "routed_scaling_factor": 1.0, "n_group": 1, "attn_temperature_tuning": False}

# Types of remote code that is a class of transformers.
SAME_CLASS = {"kimi_k2": "deepseek_v3"}

# In the names of tensors of other parts of a checkpoint.
OTHER_PARTS = ("visual", "vision", "projector", "connector", "audio_tower", "image_newline")

# One model without and one with a window, and one with chunks.
FAR = ("llama_gqa", "qwen3_layer_types_sharded", "llama4_text_chunks")


def hf_config(config):
    """The config as transformers 4.57 understands it: `rope_parameters` becomes theta and `rope_scaling`."""
    c = json.loads(json.dumps(config))
    rope = c.pop("rope_parameters", None)
    if rope is not None:
        rope = dict(rope)
        c["rope_theta"] = rope.pop("rope_theta")
        c["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    if c["model_type"] == "mistral":  # yarn does not take the null that its class leaves there
        c["head_dim"] = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    return c


def plain_model(config):
    classes = {"llama": ("LlamaConfig", "LlamaForCausalLM"), "mistral": ("MistralConfig", "MistralForCausalLM"),
               "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"), "qwen3": ("Qwen3Config", "Qwen3ForCausalLM")}
    config_class, model_class = (getattr(transformers, n) for n in classes[config["model_type"]])
    return model_class._from_config(config_class(**hf_config(config)), attn_implementation="eager")


def sinks_model(config):
    """gpt-oss of transformers with Llama's MLP in place of the experts."""
    from transformers.models.gpt_oss.modeling_gpt_oss import GptOssForCausalLM
    from transformers.models.llama.modeling_llama import LlamaMLP

    class Mlp(LlamaMLP):
        def forward(self, x):
            return super().forward(x), None

    c = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
    model = GptOssForCausalLM._from_config(transformers.GptOssConfig(**c), attn_implementation="eager")
    for layer in model.model.layers:
        layer.mlp = Mlp(model.config)
    return model


def composite_model(fixture, config):
    """The class of the whole checkpoint, or of the part that the fixture names."""
    reference = fixture.meta.get("reference", config["architectures"][0])
    if reference == "text":
        model = listed_model(fixture.part_of(config))
        return gemma3n_text_of(model) if config["model_type"] == "gemma3n" else model
    c = json.loads(json.dumps(config))
    hf = transformers.AutoConfig.for_model(c.pop("model_type"), **c)
    if "reference_config" in fixture.meta:
        hf = getattr(hf, fixture.meta["reference_config"])
    return getattr(transformers, reference)._from_config(hf, attn_implementation="eager", dtype=torch.float32)


def gemma3n_text_of(model):
    """The language model as the class of the whole model runs it, which needs timm for its vision tower: ids that the table of
    the layers lacks read its first row."""
    text = model.model
    rows = text.get_per_layer_inputs
    text.get_per_layer_inputs = lambda ids: rows(torch.where(ids < text.config.vocab_size_per_layer_input, ids, 0))
    return model


def loaded_name(fixture, model, name):
    """What transformers calls a stored tensor when it loads it into `model`."""
    if fixture.meta.get("reference") == "text":
        stored, own = fixture.meta["text_prefix"]
        return own + name.removeprefix(stored) if name.startswith(stored) else name
    name = name.removeprefix(fixture.meta.get("reference_config", "").removesuffix("_config") + ".")
    for pattern, new in getattr(model, "_checkpoint_conversion_mapping", {}).items():
        renamed, count = re.subn(pattern, new, name)
        if count:
            return renamed
    return name


def listed_model(config):
    """The class that transformers has for the model_type, whose names the fixture's tensors have."""
    if config["model_type"] == "variant_sinks":
        return sinks_model(config)
    if config["model_type"] in reference_models.MODELS:
        return reference_models.MODELS[config["model_type"]](config)
    c = json.loads(json.dumps(config))
    # Falcon's eager attention adds its ALiBi twice: to the scores, and in the mask; the default, sdpa, in the mask alone.
    attention = "sdpa" if c.get("alibi") else "eager"
    hf = transformers.AutoConfig.for_model(SAME_CLASS.get(config["model_type"], c.pop("model_type")), **c)
    # Every weight comes from the fixture; StableLM's own initialisation fails on its norms of heads.
    with transformers.modeling_utils.no_init_weights():
        return transformers.AutoModelForCausalLM.from_config(hf, attn_implementation=attention, dtype=torch.float32)


def variant_model(config):
    """The invented variant from classes of transformers: GLM-4's block (sandwich norms) around GLM-4-MoE's attention
    (rotates the first half of a head, pairs half a rotation apart) and Llama's MLP."""
    from transformers.models.glm4.modeling_glm4 import Glm4ForCausalLM
    from transformers.models.glm4_moe.modeling_glm4_moe import Glm4MoeAttention
    from transformers.models.llama.modeling_llama import LlamaMLP
    c = {k: v for k, v in config.items() if k not in ("architectures", "model_type")}
    hf = transformers.Glm4Config(**c, use_qk_norm=False, mlp_bias=False, pad_token_id=None)
    hf.rope_scaling = None  # the attention class reads it
    model = Glm4ForCausalLM._from_config(hf, attn_implementation="eager")
    for i, layer in enumerate(model.model.layers):
        layer.self_attn = Glm4MoeAttention(hf, i)
        if hf.attention_bias:  # the class has no bias on o
            layer.self_attn.o_proj = torch.nn.Linear(layer.self_attn.o_proj.in_features, hf.hidden_size, bias=True)
        layer.mlp = LlamaMLP(hf)
    return model


VARIANT_NAMES = {**mf.LLAMA_NAMES, "post_attention_norm": "model.layers.{i}.post_self_attn_layernorm.{p}",
                 "post_mlp_norm": "model.layers.{i}.post_mlp_layernorm.{p}"}


def hf_names(fixture):
    """{stored name: name in the transformers module}."""
    if "stored" in fixture.meta:
        return {name: fixture.meta.get("reference_prefix", "") + name for name, _, _ in fixture.tensors()}
    table = VARIANT_NAMES if fixture.meta.get("tensors") else mf.LLAMA_NAMES
    out = {}
    for name, role, _ in fixture.tensors():
        base, _, part = role.partition(".")
        layer = next((p for p in name.split(".") if p.isdigit()), None)
        out[name] = table[base].format(i=layer, p=part or "weight")
    return out


def logits(fixture, tensors, config, count=32):
    """float32 [T, V] of {stored name: array}, T = `count`."""
    make = listed_model if "stored" in fixture.meta else variant_model if fixture.meta.get("tensors") else plain_model
    composite = fixture.meta.get("text_only")
    model = (composite_model(fixture, config) if composite else make(config)).float().eval()
    names = hf_names(fixture)
    if composite:
        towers = {name for name, role, _ in fixture.tensors() if role == "tower"}
        tensors = {n: v for n, v in tensors.items() if n not in towers}
        names = {n: loaded_name(fixture, model, n) for n in tensors}
    if config["model_type"] == "gpt_oss" and "coded" in fixture.meta:  # as it turns what it reads as codes
        tensors = {n: v.swapaxes(1, 2) if v.ndim == 3 else v for n, v in tensors.items()}
    missing, unexpected = model.load_state_dict({names[n]: torch.from_numpy(np.array(v)) for n, v in tensors.items()}, strict=False)
    unexpected = [n for n in unexpected if n not in fixture.meta.get("inert", {})]
    missing = [m for m in missing if not (fixture.tied and m.endswith(fixture.key("lm_head.weight")))]
    missing = [m for m in missing if not (composite and any(part in m for part in OTHER_PARTS))]
    if unexpected or missing:
        raise SystemExit(f"{fixture.name}: transformers misses {missing}, does not know {unexpected}")
    if fixture.tied:
        model.tie_weights()
    ids = torch.from_numpy(mf.token_ids(fixture.vocab_size, count))[None]
    # GLM-4V of transformers 4.57.6 fails on text without a mask.
    mask = {"attention_mask": torch.ones_like(ids)} if composite and isinstance(model, torch.nn.Module) else {}
    # Layers share keys and values through the cache, and in this release make their own without one.
    use_cache = bool(fixture.text_config.get("num_kv_shared_layers"))
    with torch.no_grad():
        return model(ids, use_cache=use_cache, **mask).logits[0].float().numpy()


def stored(fixture, mutate=None):
    return {n: mf.as_stored_at_16_bit(role, v, fixture.tied) for n, (role, v) in fixture.source(mutate).items()}


def relative_rms(a, b):
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2) / np.mean(b.astype(np.float64) ** 2)))


def without_features(fixture):
    """(what, tensors, config) with one feature left out each."""
    base = stored(fixture)
    config = fixture.config
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    kind = rope.get("rope_type", rope.get("type"))
    if kind not in (None, "default", "dynamic", "mrope"):  # plain rope: up to max_position_embeddings, and for text
        c = json.loads(json.dumps(config))
        if c.get("rope_parameters"):
            c["rope_parameters"] = {"rope_type": "default", "rope_theta": c["rope_parameters"]["rope_theta"]}
        else:
            c["rope_scaling"] = None
        yield "rope scaling", base, c
    for key in ("attention_factor", "mscale", "beta_fast", "beta_slow", "truncate"):
        place = "rope_parameters" if key in (config.get("rope_parameters") or {}) else "rope_scaling"
        if key in (config.get(place) or {}) and kind != "dynamic":  # which reads none of them
            c = json.loads(json.dumps(config))
            del c[place][key]
            yield key, base, c
    for key, off in EXPERT_KEYS.items():
        if key in config and config[key] != off:
            yield key, base, {**config, key: off, **({"topk_group": 1} if key == "n_group" else {})}
    roles = {role for _, role, _ in fixture.tensors()}
    inert = {role for name, role, _ in fixture.tensors() if name in fixture.meta.get("inert", {})}
    for role in sorted(r for r in roles - inert if r.endswith(".bias") or r in ("sinks", "selection_bias")):
        yield role, {n: np.zeros_like(v) if r == role else v for (n, v), (_, r, _) in zip(base.items(), fixture.tensors())}, config
    for role in sorted(roles & mf.NORMS):
        yield role, {n: np.ones_like(v) * np.mean(v) if r == role else v
                     for (n, v), (_, r, _) in zip(base.items(), fixture.tensors())}, config


def sweep(fixture, reference):
    """({name: relative RMS of the change}, projections of the changes)."""
    effects, changes, uncoded = {}, [], fixture.uncoded()
    for name in uncoded:
        moved = fixture.meant(fixture.swept(uncoded, name))
        moved = {n: mf.as_stored_at_16_bit(role, v, fixture.tied) for n, (role, v) in moved.items()}
        logits_of_moved = logits(fixture, moved, fixture.config)
        effects[name] = relative_rms(logits_of_moved, reference)
        changes.append(mf.projections(logits_of_moved.astype(np.float64) - reference))
    return effects, np.array(changes, np.float32)


def regenerate(name, check):
    fixture = mf.Fixture(name)
    reference = logits(fixture, stored(fixture), fixture.config)
    source = logits(fixture, {n: v for n, (_, v) in fixture.source().items()}, fixture.config)
    seen = {m: relative_rms(logits(fixture, stored(fixture, m), fixture.mutated_config(m)), reference)
            for m in fixture.mutations()}
    for what, tensors, config in without_features(fixture):
        seen[what] = relative_rms(logits(fixture, tensors, config), reference)
    effects, changes = sweep(fixture, reference)
    inert = {name: effects.pop(name) for name in fixture.meta.get("inert", {})}
    if any(effect > INERT for effect in inert.values()):
        raise SystemExit(f"{name}: not inert: {inert}")
    faintest = min(effects, key=effects.get)
    faint = {k: v for k, v in {**seen, **effects}.items() if v < SEEN}
    print(f"{name}: logits rms {np.sqrt(np.mean(reference**2)):.3f};", ", ".join(f"{k} {v:.1e}" for k, v in seen.items()),
          f"; of {len(effects)} tensors {faintest} moves them least, by {effects[faintest]:.1e}")
    if faint:
        print(f"{name}: TOO FAINT: {faint}")
    if not check:
        np.savez_compressed(fixture.golden_sweep, change=changes, digest=fixture.digest())
        np.savez_compressed(fixture.golden, ids=mf.token_ids(fixture.vocab_size).astype(np.int32),
                            logits_16=reference.astype(np.float32), logits_8=source.astype(np.float16), digest=fixture.digest())
        if "capped" in fixture.meta:
            capped = logits(fixture, stored(fixture), fixture.capped.config)
            print(f"{name}: {fixture.meta['capped']} moves the logits by {relative_rms(capped, reference):.1e}")
            np.savez_compressed(fixture.golden_capped, logits_16=capped.astype(np.float32), digest=fixture.capped.digest())
        if name in FAR:
            far = logits(fixture, stored(fixture), fixture.config, mf.FAR_TOKENS)[-mf.FAR_ROWS:]
            np.savez_compressed(fixture.golden_far, logits_16=far.astype(np.float32), digest=fixture.digest())
    return not faint


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true", help="print only, write nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    results = [regenerate(name, args.check) for name in args.names or mf.fixture_names()]
    if not all(results):
        raise SystemExit("some features are too faint to be seen; change the fixture")


if __name__ == "__main__":
    main()
