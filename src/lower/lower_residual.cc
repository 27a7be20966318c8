#include "lower/lower_residual.h"

#include <fmt/format.h>

#include "lower/lower_mlp.h"

namespace llm2mnn {
namespace {

// Mean of squares below which a projected stream keeps its length, as the reference has it.
constexpr double kLeastMeanSquare = 1e-5;

}  // namespace

ir::ValueId ResidualLowering::slice(const std::string& node, ir::ValueId x, std::int64_t begin,
                                    std::int64_t size) {
  const ir::ValueId y = parts_.value_of(node);
  parts_.graph().add_node(node, ir::SliceChannels{x, y, begin, size});
  return y;
}

ir::ValueId ResidualLowering::join(const std::string& node, ir::ValueId a, std::int64_t a_size, ir::ValueId b,
                                   std::int64_t b_size) {
  const ir::ValueId y = parts_.value_of(node);
  parts_.graph().add_node(node, ir::JoinHeads{a, b, y, 1, a_size, b_size});
  return y;
}

ir::ValueId ResidualLowering::mix(const std::string& node, ir::ValueId x, ir::ValueId coefs,
                                  std::int64_t from, std::int64_t to) {
  const ir::ValueId y = parts_.value_of(node);
  parts_.graph().add_node(node, ir::MixHeads{x, coefs, y, from, to, spec_.hidden_size});
  return y;
}

ir::ValueId ResidualLowering::root_mean_square(const std::string& node, ir::ValueId x, double least,
                                               bool inverse) {
  const ir::ValueId y = parts_.value_of(node);
  parts_.graph().add_node(node, ir::RootMeanSquare{x, y, least, inverse});
  return y;
}

//  table[id] -- * scale ---------------- + -- [T, L * p]
//  x -- projection -- norm of parts -----'
void ResidualLowering::add_per_layer_parts(ir::ValueId x) {
  const PerLayerEmbeddingSpec& spec = *spec_.per_layer_embedding;
  const std::string node = "/per_layer_embedding";
  const ir::ValueId rows = parts_.table_rows("per_layer_embedding", spec.table);
  const ir::ValueId scaled =
      spec.table_scale == 1 ? rows : parts_.scale(node + "/scale", rows, spec.table_scale);
  const ir::ValueId projected =
      parts_.norm(spec.projection_norm, parts_.linear(spec.projection, x), spec.table.cols() / spec.size);
  per_layer_ = parts_.add(node + "/sum", projected, scaled);
}

// linear(x), as long as `length` says.
ir::ValueId ResidualLowering::as_long(const std::string& prefix, const LinearSpec& linear, ir::ValueId x,
                                      ir::ValueId length) {
  const ir::ValueId projected = parts_.linear(linear, x);
  const ir::ValueId own = root_mean_square(prefix + "/inverse_length", projected, kLeastMeanSquare, true);
  const ir::ValueId scaled = parts_.multiply(prefix + "/scaled", projected, length);
  return parts_.multiply(prefix + "/as_long", scaled, own);
}

//  x ------------------------ stream 0 --.
//  x -- projection, as long - stream j --+ -- [T, n * H]
ir::ValueId ResidualLowering::begin(ir::ValueId x) {
  if (spec_.per_layer_embedding) add_per_layer_parts(x);
  const std::vector<LinearSpec>& projections = spec_.altup_projections;
  if (projections.empty()) return x;
  const ir::ValueId length = root_mean_square("/altup_projections/length", x, 0, false);
  ir::ValueId streams = x;
  for (std::size_t j = 0; j < projections.size(); ++j) {
    const std::string prefix = fmt::format("/altup_projections.{}", j);
    const ir::ValueId stream = as_long(prefix, projections[j], x, length);
    const auto count = static_cast<std::int64_t>(j) + 1;
    streams = join(prefix + "/streams", streams, count * spec_.hidden_size, stream, spec_.hidden_size);
  }
  return streams;
}

//  x -- router_norm -- router -- tanh -- coefs
ir::ValueId ResidualLowering::coefs(const AltupSpec& spec, const LinearSpec& coefs, const std::string& prefix,
                                    std::string_view step, ir::ValueId x) {
  // The same weights serve twice, in front of the block and behind it.
  const auto at_step = [&](auto part) {
    part.address = fmt::format("{}.{}", part.address, step);
    return part;
  };
  const ir::ValueId routed =
      parts_.linear(at_step(spec.router), parts_.norm(at_step(spec.router_norm), x, 1));
  const std::string node = fmt::format("{}/{}/modalities", prefix, step);
  const ir::ValueId modalities = parts_.value_of(node);
  parts_.graph().add_node(node, ir::Unary{routed, modalities, ir::UnaryKind::kTanh});
  return parts_.linear(coefs, modalities);
}

ir::ValueId ResidualLowering::block_input(std::size_t layer_idx, ir::ValueId streams) {
  const std::optional<AltupSpec>& spec = spec_.layers[layer_idx].altup;
  if (!spec) return streams;
  const std::string prefix = fmt::format("/layers.{}/altup", layer_idx);
  const std::int64_t hidden = spec_.hidden_size;
  const ir::ValueId active = slice(prefix + "/active", streams, spec->active * hidden, hidden);
  const ir::ValueId matrix = coefs(*spec, spec->prediction, prefix, "predict", active);
  predicted_ = mix(prefix + "/predicted", streams, matrix, spec->num_streams, spec->num_streams);
  block_input_ = slice(prefix + "/block_input", predicted_, spec->active * hidden, hidden);
  return block_input_;
}

//  x -- gate -- act -- * part -- projection -- norm
ir::ValueId ResidualLowering::per_layer_input(std::size_t layer_idx, ir::ValueId x) {
  const PerLayerInputSpec& spec = *spec_.layers[layer_idx].per_layer_input;
  const std::string prefix = fmt::format("/layers.{}/per_layer_input", layer_idx);
  const std::int64_t size = spec_.per_layer_embedding->size;
  const ir::ValueId part =
      slice(prefix + "/part", per_layer_, static_cast<std::int64_t>(layer_idx) * size, size);
  const ir::ValueId gate = parts_.linear(spec.gate, x);
  const ir::ValueId gated = parts_.value_of(prefix + "/act");
  parts_.graph().add_node(prefix + "/act", ir::GatedUnit{gate, part, gated, unary_of(spec.activation)});
  return parts_.norm(spec.norm, parts_.linear(spec.projection, gated), 1);
}

//  y - p_a = d -- * q_a -- + p_a -- * output_scale -- per-layer input: f
//  (d, f) -- mixed by q -- + p
ir::ValueId ResidualLowering::correct(std::size_t layer_idx, const AltupSpec& spec, ir::ValueId y) {
  const std::string prefix = fmt::format("/layers.{}/altup", layer_idx);
  const std::int64_t hidden = spec_.hidden_size;
  const ir::ValueId q = coefs(spec, spec.correction, prefix, "correct", y);
  const ir::ValueId d =
      parts_.add(prefix + "/innovation", y, parts_.scale(prefix + "/minus", block_input_, -1));
  const ir::ValueId q_active = slice(prefix + "/active_coef", q, 2 * spec.active, 1);
  ir::ValueId x = parts_.add(prefix + "/corrected_active", block_input_,
                             parts_.multiply(prefix + "/active_correction", d, q_active));
  if (!spec.output_scale.is_empty()) {
    const std::string node = prefix + "/output_scale";
    const ir::WeightId weight = parts_.weight(fmt::format("layers.{}.altup.output_scale", layer_idx),
                                              spec.output_scale, WeightRole::kAltupOutputScale, false);
    const ir::ValueId scaled = parts_.value_of(node);
    parts_.graph().add_node(node, ir::ChannelScale{x, scaled, weight});
    x = scaled;
  }
  const ir::ValueId f = per_layer_input(layer_idx, x);
  const ir::ValueId both = join(prefix + "/corrections", d, hidden, f, hidden);
  return parts_.add(prefix + "/corrected", predicted_,
                    mix(prefix + "/correction", both, q, 2, spec.num_streams));
}

ir::ValueId ResidualLowering::layer_output(std::size_t layer_idx, ir::ValueId y) {
  const LayerSpec& spec = spec_.layers[layer_idx];
  if (spec.altup) return correct(layer_idx, *spec.altup, y);
  if (!spec.per_layer_input) return y;
  return parts_.add(fmt::format("/layers.{}/per_layer_residual", layer_idx), y,
                    per_layer_input(layer_idx, y));
}

ir::ValueId ResidualLowering::end(ir::ValueId streams) {
  const std::vector<LinearSpec>& projections = spec_.altup_unembed_projections;
  if (projections.empty()) return streams;
  const std::int64_t hidden = spec_.hidden_size;
  ir::ValueId sum = slice("/altup_unembed_projections/first", streams, 0, hidden);
  const ir::ValueId length = root_mean_square("/altup_unembed_projections/length", sum, 0, false);
  for (std::size_t j = 0; j < projections.size(); ++j) {
    const std::string prefix = fmt::format("/altup_unembed_projections.{}", j);
    const ir::ValueId stream =
        slice(prefix + "/stream", streams, (static_cast<std::int64_t>(j) + 1) * hidden, hidden);
    sum = parts_.add(prefix + "/sum", sum, as_long(prefix, projections[j], stream, length));
  }
  return parts_.scale("/altup_unembed_projections/mean", sum,
                      1.0 / static_cast<double>(projections.size() + 1));
}

//  x -- left -- right -- norm -- + x
ir::ValueId lower_laurel(GraphParts& parts, const std::string& prefix, const LaurelSpec& spec,
                         ir::ValueId x) {
  const ir::ValueId low = parts.linear(spec.right, parts.linear(spec.left, x));
  return parts.add(prefix + "/laurel/residual", x, parts.norm(spec.norm, low, 1));
}

}  // namespace llm2mnn
