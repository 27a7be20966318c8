#pragma once
// What config.json says of weights that a checkpoint stores as codes, and where their scales are.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {

/// Rows and columns that share a scale.
struct BlockShape {
  std::int64_t rows = 0, cols = 0;
  bool operator==(const BlockShape&) const = default;
};

/// Ternary codes in a byte.
inline constexpr std::int64_t kTernaryPerByte = 4;

struct SourceQuant {
  std::string method;               ///< "fp8"; empty: weights are stored as they are
  std::optional<BlockShape> block;  ///< as config.json states it

  bool divides = false;  ///< of ternary codes: their scale is a divisor

  bool is_mxfp4() const { return method == "mxfp4"; }
  bool is_ternary() const { return method == "bitnet"; }
  bool is_fp8() const { return !method.empty() && !is_mxfp4() && !is_ternary(); }
  /// "8 bit floats", for messages.
  std::string_view kind_text() const {
    return is_mxfp4() ? "4 bit floats" : is_ternary() ? "ternary codes" : "8 bit floats";
  }
};

/// Reads `quantization_config` (or `compression_config`).
/// @throws Error(kUnsupported) naming a method, a key or a value that is not read.
SourceQuant read_source_quant(const JsonValue& config);

/// The block that scales of shape `scales` belong to, for a matrix (or vector) of shape `values`: all of it,
/// a row, or the block of `quant`; none when they fit nothing of it.
std::optional<BlockShape> block_of_scales(const SourceQuant& quant, const Shape& values, const Shape& scales);

/// The same for matrices one after the other, stored as [E, O, I], or `transposed` as [E, I, O] with blocks
/// that are too; the block is one of [O, I], and a whole matrix where each has one scale.
std::optional<BlockShape> block_of_stacked_scales(const SourceQuant& quant, const Shape& values,
                                                  const Shape& scales, bool transposed);

/// Whether a tensor holds a scale of activations or of the KV cache, which stay float in a package.
bool is_activation_scale(std::string_view name);

}  // namespace llm2mnn
