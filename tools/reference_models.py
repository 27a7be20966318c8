"""Decoders that transformers has no class for, written from their papers and configs in plain torch. Tensors have the names of
the published checkpoints. Used by tools/regen_goldens.py only.

On the fixtures these give, within float32 rounding, the logits of the modeling files published for ChatGLM3-6B, Qwen-7B-Chat,
InternLM-7B, InternLM 2, Baichuan-7B (with the rows of the head normalised beforehand) and TeleChat 7B and 12B (which round the rotary table to
FP16: 1.6e-4; without that nothing is left). EXAONE 3, InternLM 3, Orion and OpenELM were compared by reading: mlx-lm, LMDeploy, vLLM, CoreNet; MiniCPM 3: transformers 5.
Qwen 3.5 gives the logits of transformers' Qwen 3 Next when that model's fused rows are put apart; DeepSeek V2 those of its class in
transformers when that one's scores are multiplied by the square of YaRN's magnitude and weights are not renormalised."""
import math
import types

import torch
import torch.nn.functional as F


class Reference:
    """Looks like a transformers model to the golden maker; every tensor must be read."""

    def __init__(self, forward, config):
        self.forward, self.config, self.tensors, self.read = forward, config, {}, set()

    def float(self):
        return self

    def eval(self):
        return self

    def tie_weights(self):
        pass

    def load_state_dict(self, tensors, strict):
        self.tensors = {name: value.float() for name, value in tensors.items()}
        return [], []

    def __getitem__(self, name):
        self.read.add(name)
        return self.tensors[name]

    def linear(self, x, name):
        bias = name + ".bias"
        return F.linear(x, self[name + ".weight"], self[bias] if bias in self.tensors else None)

    def rms(self, x, name, eps):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * self[name + ".weight"]

    def rms_plus_one(self, x, name, eps):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (1 + self[name + ".weight"])

    def layer_norm(self, x, name, eps):
        return F.layer_norm(x, x.shape[-1:], self[name + ".weight"], self[name + ".bias"], eps)

    def __call__(self, ids, use_cache):
        logits = self.forward(self, types.SimpleNamespace(**self.config), ids[0])
        if self.read != set(self.tensors):
            raise SystemExit(f"the reference does not read {sorted(set(self.tensors) - self.read)}")
        return types.SimpleNamespace(logits=logits[None])


def llama3(inv_freq, s):
    """Long waves slower by `factor`, short ones as they are, a blend between (the `llama3` rule of rope_scaling)."""
    turns = s["original_max_position_embeddings"] * inv_freq / (2 * torch.pi)
    keep = ((turns - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"])).clamp(0, 1)
    return inv_freq / s["factor"] * (1 - keep) + inv_freq * keep


def longrope(inv_freq, s, max_positions):
    """Inside the original context: (frequencies, factor of cos and sin)."""
    context = s["original_max_position_embeddings"]
    return inv_freq / torch.tensor(s["short_factor"]), math.sqrt(1 + math.log(max_positions / context) / math.log(context))


def magnitude(s, name, default):
    """What YaRN multiplies by: of the key `mscale` or `mscale_all_dim`."""
    return 0.1 * s.get(name, default) * math.log(s["factor"]) + 1 if s["factor"] > 1 else 1.0


def yarn(inv_freq, s, theta):
    """arXiv:2309.00071, with the two magnitudes of DeepSeek: (frequencies, factor of cos and sin)."""
    dim = 2 * len(inv_freq)

    def channel(turns):
        return dim * math.log(s["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(theta))
    low = max(math.floor(channel(s.get("beta_fast", 32))), 0)
    high = min(math.ceil(channel(s.get("beta_slow", 1))), dim - 1)
    ramp = ((torch.arange(dim // 2) - low) / (high - low or 0.001)).clamp(0, 1)
    return inv_freq / s["factor"] * ramp + inv_freq * (1 - ramp), magnitude(s, "mscale", 1) / magnitude(s, "mscale_all_dim", 0)


def rotate(x, theta, dim=None, pairs=False, scaling=None, max_positions=None):
    """x [T, heads, d] at positions 0, 1, ...; its first `dim` channels, in halves or in pairs of neighbours."""
    dim = dim or x.shape[-1]
    inv_freq = 1.0 / theta ** (torch.arange(0, dim, 2).float() / dim)
    factor = 1
    if scaling and "short_factor" in scaling:
        inv_freq, factor = longrope(inv_freq, scaling, max_positions)
    elif scaling and scaling.get("type") == "yarn":
        inv_freq, factor = yarn(inv_freq, scaling, theta)
    elif scaling:
        inv_freq = llama3(inv_freq, scaling)
    angle = torch.arange(len(x)).float()[:, None] * inv_freq
    cos, sin = factor * angle.cos()[:, None], factor * angle.sin()[:, None]
    part, rest = x[..., :dim], x[..., dim:]
    a, b = (part[..., 0::2], part[..., 1::2]) if pairs else part.chunk(2, -1)
    turned = (a * cos - b * sin, b * cos + a * sin)
    turned = torch.stack(turned, -1).flatten(-2) if pairs else torch.cat(turned, -1)
    return torch.cat((turned, rest), -1)


def alibi_slopes(count):
    """arXiv:2108.12409: a geometric sequence; between two powers of two, every other slope of the next one follows."""
    whole = 2 ** (count.bit_length() - 1)
    slopes = [2.0 ** (-8 * (h + 1) / whole) for h in range(whole)]
    return torch.tensor(slopes + [2.0 ** (-8 * (h + 0.5) / whole) for h in range(count - whole)])


def attend(q, k, v, slopes=None):
    """Causal attention of q [T, Hq, d] over k and v [T, Hkv, d]: [T, Hq * d]; with slopes of the heads, ALiBi."""
    k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    if slopes is not None:
        distance = torch.arange(len(q))[:, None] - torch.arange(len(q))
        scores = scores - slopes[:, None, None] * distance
    scores = scores.masked_fill(torch.ones(len(q), len(q)).triu(1).bool(), float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).flatten(1)


def heads(x, dim):
    return x.unflatten(-1, (-1, dim))


def chatglm(m, c, ids):
    x = m["transformer.embedding.word_embeddings.weight"][ids]
    q_rows, kv_rows = c.num_attention_heads * c.kv_channels, c.multi_query_group_num * c.kv_channels
    theta = 10000.0 * c.rope_ratio
    for i in range(c.num_layers):
        at = f"transformer.encoder.layers.{i}."
        qkv = m.linear(m.rms(x, at + "input_layernorm", c.layernorm_epsilon), at + "self_attention.query_key_value")
        if c.multi_query_attention:
            q, k, v = (heads(t, c.kv_channels) for t in qkv.split((q_rows, kv_rows, kv_rows), -1))
        else:  # head by head
            q, k, v = heads(qkv, 3 * c.kv_channels).chunk(3, -1)
        q, k = (rotate(t, theta, c.kv_channels // 2, pairs=True) for t in (q, k))
        x = x + m.linear(attend(q, k, v), at + "self_attention.dense")
        gate, up = m.linear(m.rms(x, at + "post_attention_layernorm", c.layernorm_epsilon), at + "mlp.dense_h_to_4h").chunk(2, -1)
        x = x + m.linear(F.silu(gate) * up, at + "mlp.dense_4h_to_h")
    return m.linear(m.rms(x, "transformer.encoder.final_layernorm", c.layernorm_epsilon), "transformer.output_layer")


def internlm2(m, c, ids):
    x = m["model.tok_embeddings.weight"][ids]
    dim, group = c.hidden_size // c.num_attention_heads, c.num_attention_heads // c.num_key_value_heads
    theta = c.rope_theta
    for i in range(c.num_hidden_layers):
        at = f"model.layers.{i}."
        qkv = m.linear(m.rms(x, at + "attention_norm", c.rms_norm_eps), at + "attention.wqkv")
        qkv = qkv.unflatten(-1, (c.num_key_value_heads, group + 2, dim))
        q, k, v = qkv[:, :, :group].flatten(1, 2), qkv[:, :, group], qkv[:, :, group + 1]
        x = x + m.linear(attend(rotate(q, theta), rotate(k, theta), v), at + "attention.wo")
        y = m.rms(x, at + "ffn_norm", c.rms_norm_eps)
        x = x + m.linear(F.silu(m.linear(y, at + "feed_forward.w1")) * m.linear(y, at + "feed_forward.w3"), at + "feed_forward.w2")
    return m.linear(m.rms(x, "model.norm", c.rms_norm_eps), "output")


def qwen(m, c, ids):
    """Inside seq_length: there, neither its dynamic NTK rule nor its scaling by the logarithm of the length does anything."""
    x = m["transformer.wte.weight"][ids]
    for i in range(c.num_hidden_layers):
        at = f"transformer.h.{i}."
        qkv = m.linear(m.rms(x, at + "ln_1", c.layer_norm_epsilon), at + "attn.c_attn")
        q, k, v = (heads(t, c.kv_channels) for t in qkv.chunk(3, -1))
        q, k = (rotate(t, c.rotary_emb_base) for t in (q, k))
        x = x + m.linear(attend(q, k, v), at + "attn.c_proj")
        y = m.rms(x, at + "ln_2", c.layer_norm_epsilon)
        x = x + m.linear(m.linear(y, at + "mlp.w1") * F.silu(m.linear(y, at + "mlp.w2")), at + "mlp.c_proj")
    return m.linear(m.rms(x, "transformer.ln_f", c.layer_norm_epsilon), "lm_head")


def exaone(m, c, ids):
    x = m["transformer.wte.weight"][ids]
    for i in range(c.num_layers):
        at = f"transformer.h.{i}."
        y = m.rms(x, at + "ln_1", c.layer_norm_epsilon)
        q, k, v = (heads(m.linear(y, f"{at}attn.attention.{n}_proj"), c.head_dim) for n in "qkv")
        q, k = (rotate(t, c.rope_theta, scaling=c.rope_scaling) for t in (q, k))
        x = x + m.linear(attend(q, k, v), at + "attn.attention.out_proj")
        y = m.rms(x, at + "ln_2", c.layer_norm_epsilon)
        x = x + m.linear(F.silu(m.linear(y, at + "mlp.c_fc_0")) * m.linear(y, at + "mlp.c_fc_1"), at + "mlp.c_proj")
    return m.linear(m.rms(x, "transformer.ln_f", c.layer_norm_epsilon), "lm_head")


def telechat(m, c, ids):
    """Inside training_seqlen, where the frequencies are those of that length."""
    x = m["transformer.word_embeddings.weight"][ids]
    dim = c.hidden_size // c.n_head
    alpha = max(1, 2 ** math.ceil(math.log2(c.training_seqlen / c.base_seqlen) + 1) - 1)
    theta = 10000.0 * alpha ** (dim / (dim - 2))
    for i in range(c.n_layer):
        at = f"transformer.h.{i}."
        y = m.rms(x, at + "input_layernorm", c.layer_norm_epsilon)
        q = heads(m.linear(y, at + "self_attention.query"), dim)
        k, v = heads(m.linear(y, at + "self_attention.key_value"), 2 * dim).chunk(2, -1)
        q, k = (rotate(t, theta) for t in (q, k))
        x = x + m.linear(attend(q, k, v), at + "self_attention.dense")
        y = m.rms(x, at + "post_attention_layernorm", c.layer_norm_epsilon)
        x = x + m.linear(F.silu(m.linear(y, at + "mlp.gate_proj")) * m.linear(y, at + "mlp.up_proj"), at + "mlp.down_proj")
    return m.linear(m.rms(x, "transformer.ln_f", c.layer_norm_epsilon), "lm_head")


def llama_like(m, c, ids, norm, theta):
    """Llama's block with Llama's names, q, k and v apart or fused as W_pack; biases where the checkpoint has them; without
    theta, ALiBi."""
    x = m["model.embed_tokens.weight"][ids]
    dim = getattr(c, "head_dim", c.hidden_size // c.num_attention_heads)
    for i in range(c.num_hidden_layers):
        at = f"model.layers.{i}."
        y = norm(x, at + "input_layernorm", c.rms_norm_eps)
        if at + "self_attn.W_pack.weight" in m.tensors:
            q, k, v = (heads(t, dim) for t in m.linear(y, at + "self_attn.W_pack").chunk(3, -1))
        else:
            q, k, v = (heads(m.linear(y, f"{at}self_attn.{n}_proj"), dim) for n in "qkv")
        if theta is None:
            a = attend(q, k, v, alibi_slopes(c.num_attention_heads))
        else:
            a = attend(rotate(q, theta), rotate(k, theta), v)
        x = x + m.linear(a, at + "self_attn.o_proj")
        y = norm(x, at + "post_attention_layernorm", c.rms_norm_eps)
        x = x + m.linear(F.silu(m.linear(y, at + "mlp.gate_proj")) * m.linear(y, at + "mlp.up_proj"), at + "mlp.down_proj")
    return m.linear(norm(x, "model.norm", c.rms_norm_eps), "lm_head")


def internlm(m, c, ids):
    return llama_like(m, c, ids, m.rms, c.rotary["base"])


def internlm3(m, c, ids):
    return llama_like(m, c, ids, m.rms, c.rope_theta)


def orion(m, c, ids):
    return llama_like(m, c, ids, m.layer_norm, c.rope_theta)


def baichuan(m, c, ids):
    if hasattr(c, "z_loss_weight"):
        m.tensors["lm_head.weight"] = F.normalize(m.tensors["lm_head.weight"])
    return llama_like(m, c, ids, m.rms, 10000.0 if hasattr(c, "max_position_embeddings") else None)


def mimo(m, c, ids):
    """Qwen 2; the layers of multi-token prediction are no part of it."""
    m.read |= {name for name in m.tensors if name.startswith("model.mtp_layers.")}
    return llama_like(m, c, ids, m.rms, c.rope_theta)


def latent_attention(m, c, x, at, turn, scale=1):
    """Keys and values from a latent of x, with one rotary key for all heads; `turn` rotates it and the queries' last part.
    `scale` multiplies the scores."""
    nope, rope = c.qk_nope_head_dim, c.qk_rope_head_dim
    if c.q_lora_rank:
        q = m.linear(m.rms(m.linear(x, at + "q_a_proj"), at + "q_a_layernorm", 1e-6), at + "q_b_proj")
    else:
        q = m.linear(x, at + "q_proj")
    q = heads(q, nope + rope)
    latent, key = m.linear(x, at + "kv_a_proj_with_mqa").split((c.kv_lora_rank, rope), -1)
    kv = m.linear(m.rms(latent, at + "kv_a_layernorm", 1e-6), at + "kv_b_proj").unflatten(-1, (c.num_attention_heads, -1))
    q = torch.cat((q[..., :nope], turn(q[..., nope:])), -1)
    k = torch.cat((kv[..., :nope], turn(key[:, None]).expand(-1, c.num_attention_heads, -1)), -1)
    return m.linear(attend(scale * q, k, kv[..., nope:]), at + "o_proj")


def minicpm3(m, c, ids):
    x = m["model.embed_tokens.weight"][ids] * c.scale_emb
    theta, scaling = getattr(c, "rope_theta", 10000.0), getattr(c, "rope_scaling", None)
    residual = c.scale_depth / math.sqrt(c.num_hidden_layers)

    def turn(t):
        return rotate(t, theta, scaling=scaling, max_positions=c.max_position_embeddings)
    for i in range(c.num_hidden_layers):
        at = f"model.layers.{i}."
        y = m.rms(x, at + "input_layernorm", c.rms_norm_eps)
        x = x + residual * latent_attention(m, c, y, at + "self_attn.", turn)
        y = m.rms(x, at + "post_attention_layernorm", c.rms_norm_eps)
        gate, up = m.linear(y, at + "mlp.gate_proj"), m.linear(y, at + "mlp.up_proj")
        x = x + residual * m.linear(F.silu(gate) * up, at + "mlp.down_proj")
    x = m.rms(x, "model.norm", c.rms_norm_eps) * (c.dim_model_base / c.hidden_size)
    return m.linear(x, "lm_head" if "lm_head.weight" in m.tensors else "model.embed_tokens")


def best_groups(scores, groups, best):
    """Scores of experts, those outside the `best` groups with the largest score set to 0."""
    parts = scores.unflatten(-1, (groups, -1))
    kept = torch.zeros(parts.shape[:-1]).scatter(-1, parts.amax(-1).topk(best, -1).indices, 1)
    return (parts * kept[..., None]).flatten(-2)


def deepseek_decoder(m, c, ids, attention, route):
    """`attention`: (normed x, prefix) to its output; `route`: scores [T, E] to (weights, experts) of each token."""
    x = m["model.embed_tokens.weight"][ids]

    def mlp(y, at):
        return m.linear(F.silu(m.linear(y, at + "gate_proj")) * m.linear(y, at + "up_proj"), at + "down_proj")

    def experts(y, at):
        weights, chosen = route(m.linear(y, at + "gate").softmax(-1))
        out = mlp(y, at + "shared_experts.") if c.n_shared_experts else torch.zeros_like(y)
        for e in range(c.n_routed_experts):
            out = out + mlp(y, f"{at}experts.{e}.") * (weights * (chosen == e)).sum(-1, keepdim=True)
        return out

    for i in range(c.num_hidden_layers):
        at = f"model.layers.{i}."
        x = x + attention(m.rms(x, at + "input_layernorm", c.rms_norm_eps), at + "self_attn.")
        y = m.rms(x, at + "post_attention_layernorm", c.rms_norm_eps)
        is_sparse = i >= c.first_k_dense_replace and i % c.moe_layer_freq == 0
        x = x + (experts if is_sparse else mlp)(y, at + "mlp.")
    return m.linear(m.rms(x, "model.norm", c.rms_norm_eps), "lm_head")


def renormalised(c, weights, chosen):
    if c.norm_topk_prob and c.num_experts_per_tok > 1:
        return weights / (weights.sum(-1, keepdim=True) + 1e-20), chosen
    return weights * getattr(c, "routed_scaling_factor", 1), chosen


def deepseek(m, c, ids):
    def attention(y, at):
        q, k, v = (heads(m.linear(y, f"{at}{n}_proj"), c.hidden_size // c.num_attention_heads) for n in "qkv")
        return m.linear(attend(rotate(q, c.rope_theta), rotate(k, c.rope_theta), v), at + "o_proj")

    return deepseek_decoder(m, c, ids, attention, lambda s: renormalised(c, *s.topk(c.num_experts_per_tok, -1)))


def deepseek_v2(m, c, ids):
    """transformers has a class, but it lacks the factor of the scores, renormalised weights and layers between sparse ones."""
    scale = magnitude(c.rope_scaling, "mscale_all_dim", 0) ** 2 if c.rope_scaling else 1

    def attention(y, at):
        return latent_attention(m, c, y, at, lambda t: rotate(t, c.rope_theta, pairs=True, scaling=c.rope_scaling), scale)

    def route(scores):
        if c.topk_method == "group_limited_greedy":
            scores = best_groups(scores, c.n_group, c.topk_group)
        return renormalised(c, *scores.topk(c.num_experts_per_tok, -1))

    return deepseek_decoder(m, c, ids, attention, route)


def openelm(m, c, ids):
    """Every layer has heads and a width of its own; the width shows in the tensors."""
    x = m["transformer.token_embeddings.weight"][ids]
    for i, (q_heads, kv_heads) in enumerate(zip(c.num_query_heads, c.num_kv_heads)):
        at = f"transformer.layers.{i}."
        parts = heads(m.linear(m.rms(x, at + "attn_norm", 1e-6), at + "attn.qkv_proj"), c.head_dim)
        q, k, v = parts.split((q_heads, kv_heads, kv_heads), 1)
        if c.normalize_qk_projections:
            q, k = m.rms(q, at + "attn.q_norm", 1e-6), m.rms(k, at + "attn.k_norm", 1e-6)
        q, k = rotate(q, c.rope_freq_constant), rotate(k, c.rope_freq_constant)
        x = x + m.linear(attend(q, k, v), at + "attn.out_proj")
        gate, up = m.linear(m.rms(x, at + "ffn_norm", 1e-6), at + "ffn.proj_1").chunk(2, -1)
        x = x + m.linear(F.silu(gate) * up, at + "ffn.proj_2")
    return m.linear(m.rms(x, "transformer.norm", 1e-6), "transformer.token_embeddings" if c.share_input_output_layers else "lm_head")


def gated_delta_rule(m, c, x, at):
    """Linear attention, one token after the other (arXiv:2412.06464), with the convolution in front and the gated norm behind."""
    keys, values = c.linear_num_key_heads * c.linear_key_head_dim, c.linear_num_value_heads * c.linear_value_head_dim
    kernel = m[at + "conv1d.weight"]
    mixed = F.pad(m.linear(x, at + "in_proj_qkv").T[None], (kernel.shape[-1] - 1, 0))
    mixed = F.silu(F.conv1d(mixed, kernel, groups=len(kernel)))[0].T
    q, k, v = mixed.split((keys, keys, values), -1)
    served = c.linear_num_value_heads // c.linear_num_key_heads
    q, k = (heads(t, c.linear_key_head_dim).repeat_interleave(served, 1) for t in (q, k))
    q, k = (t * torch.rsqrt(t.pow(2).sum(-1, keepdim=True) + 1e-6) for t in (q, k))
    v, q = heads(v, c.linear_value_head_dim), q / c.linear_key_head_dim**0.5
    beta = m.linear(x, at + "in_proj_b").sigmoid()
    decay = (-m[at + "A_log"].exp() * F.softplus(m.linear(x, at + "in_proj_a") + m[at + "dt_bias"])).exp()
    state, rows = torch.zeros(c.linear_num_value_heads, c.linear_key_head_dim, c.linear_value_head_dim), []
    for t in range(len(x)):
        state = state * decay[t, :, None, None]
        change = beta[t, :, None] * (v[t] - torch.einsum("hkv,hk->hv", state, k[t]))
        state = state + torch.einsum("hk,hv->hkv", k[t], change)
        rows.append(torch.einsum("hkv,hk->hv", state, q[t]))
    y = m.rms(torch.stack(rows), at + "norm", c.rms_norm_eps) * F.silu(heads(m.linear(x, at + "in_proj_z"), c.linear_value_head_dim))
    return m.linear(y.flatten(1), at + "out_proj")


def gated_attention(m, c, x, at, theta):
    """Attention whose q_proj holds a gate of the output behind each head's query."""
    q, gate = heads(m.linear(x, at + "q_proj"), 2 * c.head_dim).chunk(2, -1)
    k, v = (heads(m.linear(x, f"{at}{n}_proj"), c.head_dim) for n in "kv")
    dim = int(c.head_dim * c.partial_rotary_factor)
    q, k = (rotate(m.rms_plus_one(t, f"{at}{n}_norm", c.rms_norm_eps), theta, dim) for t, n in ((q, "q"), (k, "k")))
    return m.linear(attend(q, k, v) * gate.flatten(1).sigmoid(), at + "o_proj")


def stacked_experts(m, c, x, at):
    """Softmax over all experts, the weights of the best divided by their sum, and a gated shared expert. Experts are stacked, gates
    before ups, or stand one by one."""
    def expert(gate, up, down):
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)
    scores = m.linear(x, at + "gate").softmax(-1)
    best = scores.topk(c.num_experts_per_tok, -1).indices
    weights = torch.zeros_like(scores).scatter(-1, best, scores.gather(-1, best))
    weights = weights / weights.sum(-1, keepdim=True)
    y = torch.zeros_like(x)
    for e in range(c.num_experts):
        if at + "experts.gate_up_proj" in m.tensors:
            parts = (*m[at + "experts.gate_up_proj"][e].chunk(2), m[at + "experts.down_proj"][e])
        else:
            parts = (m[f"{at}experts.{e}.{n}_proj.weight"] for n in ("gate", "up", "down"))
        y = y + weights[:, e:e + 1] * expert(*parts)
    shared = expert(*(m[f"{at}shared_expert.{n}_proj.weight"] for n in ("gate", "up", "down")))
    return y + torch.sigmoid(m.linear(x, at + "shared_expert_gate")) * shared


def qwen3_5_moe_text(m, c, ids):
    return qwen3_5(m, c, ids, stacked_experts)


def qwen3_5_text(m, c, ids):
    return qwen3_5(m, c, ids, gated_mlp)


def gated_mlp(m, c, x, at):
    return m.linear(F.silu(m.linear(x, at + "gate_proj")) * m.linear(x, at + "up_proj"), at + "down_proj")


def qwen3_5(m, c, ids, mlp):
    x = m["model.embed_tokens.weight"][ids]
    for i, kind in enumerate(c.layer_types):
        at = f"model.layers.{i}."
        y = m.rms_plus_one(x, at + "input_layernorm", c.rms_norm_eps)
        if kind == "linear_attention":
            x = x + gated_delta_rule(m, c, y, at + "linear_attn.")
        else:
            x = x + gated_attention(m, c, y, at + "self_attn.", c.rope_parameters["rope_theta"])
        y = m.rms_plus_one(x, at + "post_attention_layernorm", c.rms_norm_eps)
        x = x + mlp(m, c, y, at + "mlp.")
    x = m.rms_plus_one(x, "model.norm", c.rms_norm_eps)
    return m.linear(x, "lm_head" if "lm_head.weight" in m.tensors else "model.embed_tokens")


def minicpm(m, c, ids):
    """Inside original_max_position_embeddings, where longrope has its short factors; max_position_embeddings is as long, so that the
    factor of cosines is 1."""
    x = m["model.embed_tokens.weight"][ids] * c.scale_emb
    dim = c.hidden_size // c.num_attention_heads
    depth = c.scale_depth / c.num_hidden_layers ** 0.5
    for i in range(c.num_hidden_layers):
        at = f"model.layers.{i}."
        y = m.rms(x, at + "input_layernorm", c.rms_norm_eps)
        q, k, v = (heads(m.linear(y, f"{at}self_attn.{n}_proj"), dim) for n in "qkv")
        q, k = (rotate(t, c.rope_theta, scaling=c.rope_scaling, max_positions=c.max_position_embeddings) for t in (q, k))
        x = x + depth * m.linear(attend(q, k, v), at + "self_attn.o_proj")
        y = m.rms(x, at + "post_attention_layernorm", c.rms_norm_eps)
        x = x + depth * m.linear(F.silu(m.linear(y, at + "mlp.gate_proj")) * m.linear(y, at + "mlp.up_proj"), at + "mlp.down_proj")
    x = m.rms(x, "model.norm", c.rms_norm_eps) / (c.hidden_size / c.dim_model_base)
    return F.linear(x, m["lm_head.weight" if "lm_head.weight" in m.tensors else "model.embed_tokens.weight"])


def phi_msft(m, c, ids):
    x = m["transformer.embd.wte.weight"][ids]
    dim = c.n_embd // c.n_head
    kv_rows = (c.n_head_kv or c.n_head) * dim
    for i in range(c.n_layer):
        at = f"transformer.h.{i}."
        y = m.layer_norm(x, at + "ln", c.layer_norm_epsilon)
        q, k, v = (heads(t, dim) for t in m.linear(y, at + "mixer.Wqkv").split((c.n_embd, kv_rows, kv_rows), -1))
        q, k = (rotate(t, 10000.0, c.rotary_dim) for t in (q, k))
        inner = F.gelu(m.linear(y, at + "mlp.fc1"), approximate="tanh")
        x = x + m.linear(attend(q, k, v), at + "mixer.out_proj") + m.linear(inner, at + "mlp.fc2")
    return m.linear(m.layer_norm(x, "lm_head.ln", c.layer_norm_epsilon), "lm_head.linear")


FORWARD = (chatglm, internlm2, qwen, exaone, telechat, internlm, internlm3, orion, baichuan, mimo, minicpm3, deepseek, deepseek_v2, qwen3_5_text,
           qwen3_5_moe_text, minicpm, phi_msft, openelm)
MODELS = {{"phi_msft": "phi-msft"}.get(forward.__name__, forward.__name__): lambda config, forward=forward: Reference(forward, config)
          for forward in FORWARD}
