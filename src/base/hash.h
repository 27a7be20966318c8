#pragma once
// XXH3-128 (xxHash), for manifests: `xxh128sum` prints the same digits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace llm2mnn {

struct Digest128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const Digest128&, const Digest128&) = default;
  /// 32 lower-case hex digits, most significant first.
  std::string hex() const;
};

Digest128 xxh128(std::span<const std::byte> data);

/// Incremental form of `xxh128`.
class Hasher128 {
 public:
  Hasher128();
  ~Hasher128();
  Hasher128(const Hasher128&) = delete;
  Hasher128& operator=(const Hasher128&) = delete;
  void update(std::span<const std::byte> data);
  Digest128 digest() const;

 private:
  void* state_;
};

}  // namespace llm2mnn
