#include "arch/residual_describer.h"

#include <algorithm>
#include <cmath>

namespace llm2mnn {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;

// Biases of `rows` rows, 1 or 0 by row / step and row % step.
Binding ones_at(std::int64_t rows, std::int64_t step, const auto& is_one) {
  std::vector<Binding> parts;
  for (std::int64_t row = 0; row < rows; ++row)
    parts.push_back(Binding::constant(1, is_one(row / step, row % step) ? 1.0F : 0.0F));
  return Binding::concat_rows(std::move(parts));
}

}  // namespace

// Newton's method on the distribution itself; the density is known.
double normal_quantile(double share) {
  constexpr double kDensityAtZero = 0.39894228040143267794;
  constexpr int kSteps = 60;
  double z = 0;
  for (int step = 0; step < kSteps; ++step) {
    const double error = 0.5 * std::erfc(-z * kSqrtHalf) - share;
    // Damped, so that the flat tails do not throw it far.
    z -= std::clamp(error / (kDensityAtZero * std::exp(-0.5 * z * z)), -1.0, 1.0);
  }
  return z;
}

std::int64_t ResidualDescriber::count(std::string_view path, std::int64_t most) {
  const double value = config_.evaluate(path);
  if (!(value >= 0) || value > static_cast<double>(most) || value != std::floor(value))
    fail(ErrorKind::kFormat, "config.json: '{}' comes to {}, expected 0 to {}", path, value, most);
  return static_cast<std::int64_t>(value);
}

void ResidualDescriber::describe_model(DecoderSpec& spec) {
  has_laurel_ = parts_.is_on("block.laurel");
  const std::string residual = family_.setting("block.residual").word;
  if (has_laurel_ &&
      (residual == "post" || parts_.is_on("block.parallel") || parts_.is_on("block.norms_of_sums")))
    fail(ErrorKind::kUnsupported,
         "config.json: block.laurel goes with sequential blocks and a norm in front of attention");
  describe_per_layer_embedding(spec);
  describe_streams(spec);
}

// n(c x) with epsilon e is n(x) with epsilon e / c^2; the factor of the sum goes into gamma and the table's
// factor.
void ResidualDescriber::describe_per_layer_embedding(DecoderSpec& spec) {
  constexpr std::int64_t kMostSize = 1 << 16;
  const std::int64_t size = count("per_layer_embedding.size", kMostSize);
  has_per_layer_input_ = size > 0;
  if (!has_per_layer_input_) return;
  PerLayerEmbeddingSpec own;
  own.size = size;
  own.table = claims_.claim("per_layer_embedding");
  own.projection = parts_.linear("per_layer_model_projection", "per_layer_model_projection", -1, false);
  own.projection_norm = parts_.norm("per_layer_projection_norm", "per_layer_projection_norm", -1);
  const double scale = parts_.positive("per_layer_embedding.projection_scale");
  const double sum_scale = parts_.positive("per_layer_embedding.sum_scale");
  own.projection_norm.eps /= scale * scale;
  own.table_scale = parts_.positive("per_layer_embedding.table_scale") * sum_scale;
  if (!own.projection_norm.weight.is_empty() && sum_scale != 1)
    own.projection_norm.weight = own.projection_norm.weight.scale(static_cast<float>(sum_scale));
  if (!own.table.is_empty()) {
    // Ids behind the table are those of images and sounds: they have its first row.
    const std::int64_t stored = own.table.rows();
    std::vector<RowRun> rows{{0, std::min(stored, spec.vocab_size), 1}};
    for (std::int64_t id = stored; id < spec.vocab_size; ++id)
      rows.push_back({0, 1, 1});
    if (stored != spec.vocab_size) own.table = own.table.gather_rows(std::move(rows));
  }
  spec.per_layer_embedding = std::move(own);
}

void ResidualDescriber::describe_streams(DecoderSpec& spec) {
  constexpr std::int64_t kMostStreams = 64;
  num_streams_ = count("altup.streams", kMostStreams);
  if (num_streams_ == 0) return;
  if (!has_per_layer_input_)
    fail(ErrorKind::kUnsupported, "config.json: altup.streams goes with per_layer_embedding.size");
  if (num_streams_ != config_.size("altup_num_inputs"))
    fail(ErrorKind::kFormat, "config.json: altup.streams is {}, and altup_num_inputs {}", num_streams_,
         config_.size("altup_num_inputs"));
  active_ = count("altup.active", num_streams_ - 1);
  coef_clip_ = config_.evaluate("altup.coef_clip");
  if (!(coef_clip_ >= 0))
    fail(ErrorKind::kFormat, "config.json: 'altup.coef_clip' comes to {}, it must not be negative",
         coef_clip_);
  scales_output_ = parts_.is_on("altup.output_scale");
  for (std::int64_t j = 0; j + 1 < num_streams_; ++j) {
    spec.altup_projections.push_back(
        parts_.linear(fmt::format("altup_projections.{}", j), "altup_projection", j, false));
    spec.altup_unembed_projections.push_back(
        parts_.linear(fmt::format("altup_unembed_projections.{}", j), "altup_unembed_projection", j, false));
  }
}

// Rows (W_j, 0) and biases (1, j > 0) for each stream j.
LinearSpec ResidualDescriber::correction(std::int64_t i) {
  LinearSpec linear =
      parts_.linear(fmt::format("layers.{}.altup.correction_coefs", i), "altup_correction_coefs", i, false);
  if (linear.weight.is_empty()) return linear;
  Binding coefs = linear.weight;
  if (coef_clip_ != 0) coefs = coefs.clamp(static_cast<float>(coef_clip_));
  const Binding zeros = coefs.gather_rows({{0, 1, 1}}).scale(0);
  std::vector<Binding> rows;
  for (std::int64_t j = 0; j < num_streams_; ++j)
    rows.insert(rows.end(), {coefs.gather_rows({{j, 1, 1}}), zeros});
  linear.weight = Binding::concat_rows(std::move(rows));
  linear.bias = ones_at(2 * num_streams_, 2,
                        [](std::int64_t stream, std::int64_t part) { return part == 0 || stream > 0; });
  return linear;
}

AltupSpec ResidualDescriber::altup(std::int64_t i) {
  const auto address = [i](std::string_view part) { return fmt::format("layers.{}.altup.{}", i, part); };
  AltupSpec spec;
  spec.num_streams = num_streams_;
  spec.active = active_;
  spec.router_norm = parts_.norm(address("router_norm"), "altup_router_norm", i);
  const double scale = parts_.positive("altup.router_scale");
  if (!spec.router_norm.weight.is_empty())
    spec.router_norm.weight = spec.router_norm.weight.scale(static_cast<float>(scale));
  spec.router = parts_.linear(address("modality_router"), "altup_router", i, false);
  spec.prediction = parts_.linear(address("prediction_coefs"), "altup_prediction_coefs", i, false);
  spec.prediction.bias = ones_at(num_streams_ * num_streams_, num_streams_,
                                 [](std::int64_t to, std::int64_t from) { return to == from; });
  spec.correction = correction(i);
  if (scales_output_)
    spec.output_scale = claims_.claim("altup_output_scale", i);
  else if (const std::optional<TensorId> id = claims_.find("altup_output_scale", i))
    claims_.ignore(*id, "its scale is off");
  return spec;
}

void ResidualDescriber::describe_layer(LayerSpec& layer, std::int64_t i, Activation activation) {
  const auto address = [i](std::string_view part) { return fmt::format("layers.{}.{}", i, part); };
  if (has_laurel_) {
    LaurelSpec laurel;
    laurel.left = parts_.linear(address("laurel.linear_left"), "laurel_left", i, false);
    laurel.right = parts_.linear(address("laurel.linear_right"), "laurel_right", i, false);
    laurel.norm = parts_.norm(address("laurel.post_laurel_norm"), "post_laurel_norm", i);
    layer.laurel = std::move(laurel);
  }
  if (num_streams_ > 0) layer.altup = altup(i);
  if (!has_per_layer_input_) return;
  PerLayerInputSpec input;
  input.activation = activation;
  input.gate = parts_.linear(address("per_layer_input_gate"), "per_layer_input_gate", i, false);
  input.projection = parts_.linear(address("per_layer_projection"), "per_layer_projection", i, false);
  input.norm = parts_.norm(address("post_per_layer_input_norm"), "post_per_layer_input_norm", i);
  layer.per_layer_input = std::move(input);
}

std::optional<double> ResidualDescriber::sparsity_deviations(std::int64_t i) {
  if (!sparsity_.has_value()) sparsity_ = family_.setting("mlp.sparsity");
  const double share = config_.layer_value(*sparsity_, i);
  if (share == 0) return std::nullopt;
  if (!(share > 0) || share >= 1)
    fail(ErrorKind::kFormat, "config.json: 'mlp.sparsity' comes to {} for layer {}, expected 0 to 1", share,
         i);
  return static_cast<float>(normal_quantile(static_cast<float>(share)));
}

}  // namespace llm2mnn
