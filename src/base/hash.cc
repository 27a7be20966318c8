#include "base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

Digest128 from(XXH128_hash_t hash) { return {hash.high64, hash.low64}; }

}  // namespace

std::string Digest128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Digest128 xxh128(std::span<const std::byte> data) { return from(XXH3_128bits(data.data(), data.size())); }

Hasher128::Hasher128() : state_(XXH3_createState()) {
  LLM2MNN_CHECK(state_ != nullptr);
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_));
}

Hasher128::~Hasher128() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }

void Hasher128::update(std::span<const std::byte> data) {
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), data.data(), data.size());
}

Digest128 Hasher128::digest() const {
  return from(XXH3_128bits_digest(static_cast<const XXH3_state_t*>(state_)));
}

}  // namespace llm2mnn
