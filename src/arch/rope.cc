#include "arch/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/near_match.h"

namespace llm2mnn {
namespace {

struct Kind {
  std::string_view name;
  std::vector<std::string_view> keys;  // beside the kind itself and rope_theta
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> table = {
      {"default", {}},
      {"linear", {"factor"}},
      {"dynamic", {"factor", "original_max_position_embeddings"}},
      {"llama3", {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
      {"yarn",
       {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale",
        "mscale_all_dim", "truncate"}},
      {"longrope",
       {"factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"}},
  };
  return table;
}

// The name before transformers had the kind. "mrope" turns parts of a head by positions on three axes, which
// are one and the same for text.
std::string current_name(std::string name) {
  if (name == "su") return "longrope";
  return name == "mrope" ? "default" : name;
}

const Kind& kind_of(std::string_view name, std::string_view where) {
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) {
    if (kind.name == name) return kind;
    names.emplace_back(kind.name);
  }
  fail(ErrorKind::kUnsupported, "config.json: rope kind {} in '{}' is not supported (supported: {})",
       shown(name), where, fmt::join(names, ", "));
}

// `rope_type` or the older `type`; both may be there when they agree.
std::string read_kind(const JsonValue& dictionary, std::string_view where, bool required) {
  const JsonValue* rope_type = dictionary.find("rope_type");
  const JsonValue* type = dictionary.find("type");
  if (rope_type != nullptr && rope_type->is_null()) rope_type = nullptr;
  if (type != nullptr && type->is_null()) type = nullptr;
  for (const JsonValue* value : {rope_type, type}) {
    if (value != nullptr && !value->is_string())
      fail(ErrorKind::kFormat, "config.json: the rope kind in '{}' must be a string, found {}", where,
           shown(value->dump()));
  }
  if (rope_type != nullptr && type != nullptr &&
      current_name(std::string(rope_type->as_string())) != current_name(std::string(type->as_string())))
    fail(ErrorKind::kFormat, "config.json: '{}' says rope_type {} and type {}; remove one", where,
         shown(rope_type->as_string()), shown(type->as_string()));
  if (rope_type != nullptr) return std::string(rope_type->as_string());
  if (type != nullptr) return std::string(type->as_string());
  if (required) fail(ErrorKind::kFormat, "config.json: '{}' has neither 'rope_type' nor 'type'", where);
  return "default";
}

double read_number(const JsonValue& value, std::string_view where, std::string_view key) {
  try {
    return value.as_double();
  } catch (Error& error) {
    error.add_context(fmt::format("config.json: '{}.{}'", where, key));
    throw;
  }
}

std::vector<float> read_factors(const JsonValue& value, std::string_view where, std::string_view key) {
  if (!value.is_array())
    fail(ErrorKind::kFormat, "config.json: '{}.{}' must be a list of numbers", where, key);
  std::vector<float> factors;
  for (const JsonValue& item : value.as_array()) {
    factors.push_back(static_cast<float>(read_number(item, where, key)));
    if (!(factors.back() > 0))
      fail(ErrorKind::kFormat, "config.json: '{}.{}' has the number {}, it must be positive", where, key,
           factors.back());
  }
  return factors;
}

std::optional<double>* number_field(RopeParameters& parameters, std::string_view key) {
  if (key == "factor") return &parameters.factor;
  if (key == "original_max_position_embeddings") return &parameters.original_max_position_embeddings;
  if (key == "low_freq_factor") return &parameters.low_freq_factor;
  if (key == "high_freq_factor") return &parameters.high_freq_factor;
  if (key == "attention_factor") return &parameters.attention_factor;
  if (key == "beta_fast") return &parameters.beta_fast;
  if (key == "beta_slow") return &parameters.beta_slow;
  if (key == "mscale") return &parameters.mscale;
  if (key == "mscale_all_dim") return &parameters.mscale_all_dim;
  return nullptr;
}

void read_member(RopeParameters& parameters, const Kind& kind, std::string_view key, const JsonValue& value,
                 std::string_view where) {
  if (key == "rope_type" || key == "type" || value.is_null()) return;
  if (key == "mrope_section" || key == "mrope_interleaved") return;  // which axis turns which part
  // Factors that some models multiply with instead; rope.attention_factor reads them.
  if (kind.name == "longrope" && (key == "short_mscale" || key == "long_mscale")) return;
  // How a YaRN model was trained, and vLLM's factor: transformers, our reference, reads neither.
  if (kind.name == "yarn" && (key == "finetuned" || key == "attn_factor")) {
    parameters.unread.emplace_back(key);
    return;
  }
  if (key == "rope_theta") {
    parameters.theta = read_number(value, where, key);
    if (!(*parameters.theta > 0))
      fail(ErrorKind::kFormat, "config.json: '{}.rope_theta' is {}, it must be positive", where,
           *parameters.theta);
    return;
  }
  if (std::find(kind.keys.begin(), kind.keys.end(), key) == kind.keys.end()) {
    const bool neutral = key == "partial_rotary_factor" && value.is_number() && value.as_double() == 1;
    if (neutral) return;
    std::vector<std::string> known(kind.keys.begin(), kind.keys.end());
    fail(ErrorKind::kUnsupported, "config.json: key {} in '{}' is not known for rope kind '{}'{}", shown(key),
         where, kind.name, did_you_mean(key, known));
  }
  if (key == "short_factor" || key == "long_factor") {
    (key == "short_factor" ? parameters.short_factor : parameters.long_factor) =
        read_factors(value, where, key);
    return;
  }
  if (key == "truncate") {
    if (!value.is_bool())
      fail(ErrorKind::kFormat, "config.json: '{}.truncate' must be true or false, found {}", where,
           shown(value.dump()));
    parameters.truncate = value.as_bool();
    return;
  }
  std::optional<double>* field = number_field(parameters, key);
  LLM2MNN_CHECK(field != nullptr);
  *field = read_number(value, where, key);
}

void require_positive(const std::optional<double>& value, std::string_view where, std::string_view key) {
  if (!value.has_value()) fail(ErrorKind::kFormat, "config.json: '{}' lacks '{}'", where, key);
  if (!(*value > 0))
    fail(ErrorKind::kFormat, "config.json: '{}.{}' is {}, it must be positive", where, key, *value);
}

void check_parameters(const RopeParameters& p, std::string_view where) {
  if (p.kind == "default") return;
  if (p.kind == "longrope") {
    for (const auto& [key, factors] :
         {std::pair("short_factor", &p.short_factor), {"long_factor", &p.long_factor}})
      if (factors->empty()) fail(ErrorKind::kFormat, "config.json: '{}' lacks '{}'", where, key);
    return;
  }
  const bool factor_derives = p.kind == "yarn" && p.original_max_position_embeddings.value_or(0) > 0;
  if (p.factor.has_value() || !factor_derives) require_positive(p.factor, where, "factor");
  if (p.kind == "llama3") {
    require_positive(p.original_max_position_embeddings, where, "original_max_position_embeddings");
    require_positive(p.low_freq_factor, where, "low_freq_factor");
    require_positive(p.high_freq_factor, where, "high_freq_factor");
    if (!(*p.high_freq_factor > *p.low_freq_factor))
      fail(ErrorKind::kFormat, "config.json: '{}.high_freq_factor' {} must be above low_freq_factor {}",
           where, *p.high_freq_factor, *p.low_freq_factor);
  }
  if (p.kind == "yarn") {
    // Zero means "not given" to transformers, which reads these with Python's `or`.
    const auto refuse_negative = [&](const std::optional<double>& value, std::string_view key) {
      if (value.value_or(0) < 0)
        fail(ErrorKind::kFormat, "config.json: '{}.{}' is {}, it must not be negative", where, key, *value);
    };
    refuse_negative(p.original_max_position_embeddings, "original_max_position_embeddings");
    refuse_negative(p.attention_factor, "attention_factor");
    refuse_negative(p.beta_fast, "beta_fast");
    refuse_negative(p.beta_slow, "beta_slow");
  }
}

double or_default(const std::optional<double>& value, double fallback) {
  return value.value_or(0) != 0 ? *value : fallback;
}

// theta^(2j/r), j = 0 .. r/2 - 1, in float32 throughout.
std::vector<float> wave_powers(double theta, std::int64_t rotary_dim) {
  std::vector<float> powers(static_cast<std::size_t>(rotary_dim / 2));
  for (std::size_t j = 0; j < powers.size(); ++j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(rotary_dim);
    powers[j] = std::pow(static_cast<float>(theta), exponent);
  }
  return powers;
}

std::vector<float> default_table(double theta, std::int64_t rotary_dim) {
  std::vector<float> table = wave_powers(theta, rotary_dim);
  for (float& value : table)
    value = 1.0f / value;
  return table;
}

// llama3: wavelengths above the original context divided by low_freq_factor are stretched by `factor`,
// those below it divided by high_freq_factor are kept, and those between are blended.
std::vector<float> llama3_table(const RopeParameters& p, double theta, std::int64_t rotary_dim) {
  std::vector<float> table = default_table(theta, rotary_dim);
  const double context = *p.original_max_position_embeddings;
  const auto low_wavelength = static_cast<float>(context / *p.low_freq_factor);
  const auto high_wavelength = static_cast<float>(context / *p.high_freq_factor);
  const auto factor = static_cast<float>(*p.factor);
  const auto low = static_cast<float>(*p.low_freq_factor);
  const auto range = static_cast<float>(*p.high_freq_factor - *p.low_freq_factor);
  for (float& value : table) {
    // torch divides a number by a tensor as reciprocal times number.
    const float wavelength = (1.0f / value) * static_cast<float>(2 * std::numbers::pi);
    if (wavelength < high_wavelength) continue;
    if (wavelength > low_wavelength) {
      value /= factor;
      continue;
    }
    const float smooth = ((1.0f / wavelength) * static_cast<float>(context) - low) / range;
    value = (1.0f - smooth) * value / factor + smooth * value;
  }
  return table;
}

struct Ramp {
  double low, high;
};

// YaRN, arXiv:2309.00071: the channels between which interpolation fades in.
Ramp yarn_ramp(const RopeParameters& p, double theta, double dim, double context) {
  const auto channel = [&](double rotations) {
    return dim * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  Ramp ramp{channel(or_default(p.beta_fast, 32)), channel(or_default(p.beta_slow, 1))};
  if (p.truncate.value_or(true)) ramp = {std::floor(ramp.low), std::ceil(ramp.high)};
  ramp = {std::max(ramp.low, 0.0), std::min(ramp.high, dim - 1)};
  if (ramp.low == ramp.high) ramp.high += 0.001;  // as transformers avoids the division by zero
  return ramp;
}

double yarn_attention_factor(const RopeParameters& p, double factor) {
  const auto magnitude = [&](double scale) {
    return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
  };
  if (p.attention_factor.has_value()) return *p.attention_factor;
  const bool both = p.mscale.value_or(0) != 0 && p.mscale_all_dim.value_or(0) != 0;
  return both ? magnitude(*p.mscale) / magnitude(*p.mscale_all_dim) : magnitude(1);
}

void make_yarn(const RopeParameters& p, double theta, double max_position_embeddings, RopeSpec& rope) {
  if (theta == 1) fail(ErrorKind::kFormat, "config.json: rope kind 'yarn' needs a theta other than 1");
  const double context = or_default(p.original_max_position_embeddings, max_position_embeddings);
  const double factor = p.factor.has_value() ? *p.factor : max_position_embeddings / context;
  const Ramp ramp = yarn_ramp(p, theta, static_cast<double>(rope.rotary_dim), context);
  rope.attention_factor = yarn_attention_factor(p, factor);
  rope.inv_freq = wave_powers(theta, rope.rotary_dim);
  const auto low = static_cast<float>(ramp.low);
  const auto range = static_cast<float>(ramp.high - ramp.low);
  for (std::size_t j = 0; j < rope.inv_freq.size(); ++j) {
    const float power = rope.inv_freq[j];
    const float extrapolated = 1.0f / power;
    const float interpolated = 1.0f / (static_cast<float>(factor) * power);
    const float keep = 1.0f - std::clamp((static_cast<float>(j) - low) / range, 0.0f, 1.0f);
    rope.inv_freq[j] = interpolated * (1.0f - keep) + extrapolated * keep;
  }
}

// LongRoPE, arXiv:2402.13753. transformers turns to the long factors once a sequence is longer than the
// original context, which the frequencies of a fixed table cannot follow; the short ones hold below.
void make_longrope(const RopeParameters& p, double theta, double max_position_embeddings, RopeSpec& rope) {
  const double context = or_default(p.original_max_position_embeddings, max_position_embeddings);
  const double factor = p.original_max_position_embeddings.value_or(0) != 0
                            ? max_position_embeddings / context
                            : or_default(p.factor, 1);
  rope.attention_factor = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(context));
  if (p.attention_factor.has_value()) rope.attention_factor = *p.attention_factor;
  rope.inv_freq = wave_powers(theta, rope.rotary_dim);
  for (const auto& [key, factors] :
       {std::pair("short_factor", &p.short_factor), {"long_factor", &p.long_factor}})
    if (factors->size() != rope.inv_freq.size())
      fail(ErrorKind::kFormat, "config.json: '{}' has {} numbers, {} frequencies need one each", key,
           factors->size(), rope.inv_freq.size());
  for (std::size_t j = 0; j < rope.inv_freq.size(); ++j)
    rope.inv_freq[j] = 1.0f / (p.short_factor[j] * rope.inv_freq[j]);
  if (context < max_position_embeddings) rope.exact_below = static_cast<std::int64_t>(context);
}

}  // namespace

RopeParameters parse_rope_parameters(const JsonValue& dictionary, std::string_view where, bool kind_required,
                                     const std::vector<std::string>& also_read,
                                     const std::vector<std::string>& left_out) {
  if (!dictionary.is_object())
    fail(ErrorKind::kFormat, "config.json: '{}' must be an object, found {}", where,
         shown(dictionary.dump()));
  RopeParameters parameters;
  parameters.kind = current_name(read_kind(dictionary, where, kind_required));
  const Kind& kind = kind_of(parameters.kind, where);
  const auto has = [](const auto& keys, const std::string& key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  for (const auto& [key, value] : dictionary.as_object()) {
    if (has(left_out, key) || (has(also_read, key) && !has(kind.keys, key))) continue;
    read_member(parameters, kind, key, value, where);
  }
  check_parameters(parameters, where);
  return parameters;
}

RopeSpec make_rope(const RopeParameters& parameters, double theta, std::int64_t rotary_dim,
                   std::int64_t max_position_embeddings) {
  RopeSpec rope;
  rope.kind = parameters.kind;
  rope.rotary_dim = rotary_dim;
  if (parameters.kind == "yarn") {
    make_yarn(parameters, theta, static_cast<double>(max_position_embeddings), rope);
  } else if (parameters.kind == "longrope") {
    make_longrope(parameters, theta, static_cast<double>(max_position_embeddings), rope);
  } else if (parameters.kind == "llama3") {
    rope.inv_freq = llama3_table(parameters, theta, rotary_dim);
  } else {
    rope.inv_freq = default_table(theta, rotary_dim);
  }
  if (parameters.kind == "linear") {
    for (float& value : rope.inv_freq)
      value /= static_cast<float>(*parameters.factor);
  }
  if (parameters.kind == "dynamic") rope.exact_below = max_position_embeddings;
  const auto usable = [](float value) { return std::isfinite(value) && value > 0; };
  if (!std::all_of(rope.inv_freq.begin(), rope.inv_freq.end(), usable) ||
      !std::isfinite(rope.attention_factor))
    fail(ErrorKind::kFormat, "config.json: rope kind '{}' with theta {} gives a frequency that is not finite",
         rope.kind, theta);
  return rope;
}

}  // namespace llm2mnn
