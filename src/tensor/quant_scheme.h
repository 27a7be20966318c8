#pragma once
// How a linear's weights are stored: plain data, known to every layer from here up.

#include <cstdint>
#include <string>

namespace llm2mnn {

/// Width of the stored scales and offsets.
enum class ScaleType : std::uint8_t { kF16, kF32 };

/// Storage of one weight matrix [O, I]. `w = code * scale + offset` with signed codes in
/// [-2^(bits-1), 2^(bits-1)-1]; symmetric schemes have no offset.
struct QuantScheme {
  int bits = 4;            ///< 2-8: codes; 16: FP16; 32: FP32
  int group_size = 64;     ///< weights per (scale, offset), along I; 0: the whole row. Ignored at 16 and 32
  bool symmetric = false;  ///< ignored at 16 and 32
  ScaleType scale_type = ScaleType::kF16;  ///< ignored at 16 and 32

  bool is_float() const { return bits >= 16; }
  friend bool operator==(const QuantScheme&, const QuantScheme&) = default;
};

/// G: groups in a row of `cols` weights. Precondition: the group divides the row.
std::int64_t num_groups(const QuantScheme& scheme, std::int64_t cols);
/// Bytes of the packed codes (or of the FP16/FP32 values) of `rows` x `cols`, without any header: one
/// MSB-first bit stream over the matrix, ceil(bits * rows * cols / 8).
std::int64_t codes_bytes(const QuantScheme& scheme, std::int64_t rows, std::int64_t cols);
/// Bytes of the scales (and offsets): rows * G * (symmetric ? 1 : 2) * (2 or 4); 0 at 16 and 32 bits.
std::int64_t alpha_bytes(const QuantScheme& scheme, std::int64_t rows, std::int64_t cols);
/// "4 bit, block 64, asymmetric, fp16 scales", "16 bit float".
std::string scheme_text(const QuantScheme& scheme);

}  // namespace llm2mnn
