#pragma once
// Codes to bytes.

#include <cstddef>
#include <cstdint>

namespace llm2mnn {

/// Packs `n` codes below 2^bits (bits 2-8) as one bit stream, most significant bit first: code i takes the
/// bits [i * bits, (i + 1) * bits), bit 0 is the top bit of byte 0. Writes ceil(n * bits / 8) bytes, unused
/// low bits of the last one zero.
void pack_codes(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out);

}  // namespace llm2mnn
