#pragma once
// Rotary frequencies from `rope_scaling` (transformers 4) or `rope_parameters` (transformers 5), computed as
// transformers 4.57.6 does (modeling_rope_utils.py, ROPE_INIT_FUNCTIONS), in float32 where it uses float32.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arch/decoder_spec.h"
#include "base/json.h"

namespace llm2mnn {

/// What a rope dictionary says; absent keys are empty. Equal parameters give equal tables.
struct RopeParameters {
  std::string kind = "default";
  std::optional<double> theta;  ///< `rope_theta` inside the dictionary
  std::optional<double> factor;
  std::optional<double> original_max_position_embeddings;
  std::optional<double> low_freq_factor;   ///< llama3
  std::optional<double> high_freq_factor;  ///< llama3
  std::optional<double> attention_factor;  ///< yarn, and all below
  std::optional<double> beta_fast;
  std::optional<double> beta_slow;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
  std::optional<bool> truncate;
  std::vector<float> short_factor, long_factor;  ///< longrope: one number per frequency
  std::vector<std::string> unread;  ///< keys that published files carry and transformers does not read

  friend bool operator==(const RopeParameters&, const RopeParameters&) = default;
};

/// Reads one dictionary; the older kind `su` is longrope. `where` is its key in config.json, for messages.
/// `kind_required`: a dictionary without `rope_type` or `type` is an error (transformers 4's rule for
/// `rope_scaling`).
/// `also_read`: keys that the caller reads too, which no kind needs to know; `left_out`: keys that no kind
/// reads.
/// @throws Error(kUnsupported) naming an unknown kind or key; kFormat for a missing or impossible value.
RopeParameters parse_rope_parameters(const JsonValue& dictionary, std::string_view where, bool kind_required,
                                     const std::vector<std::string>& also_read = {},
                                     const std::vector<std::string>& left_out = {});

/// The table for heads of which `rotary_dim` channels rotate.
/// @throws Error(kFormat) when the parameters give a frequency that is not finite and positive.
RopeSpec make_rope(const RopeParameters& parameters, double theta, std::int64_t rotary_dim,
                   std::int64_t max_position_embeddings);

}  // namespace llm2mnn
