#pragma once
// Small tokenizer files for the tests of the reader, written byte by byte.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn::verify {

/// Bytes of a tokenizer.mtok, little endian.
class MtokBytes {
 public:
  MtokBytes& raw(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  MtokBytes& u8(unsigned value) { return number(value, 1); }
  MtokBytes& u16(unsigned value) { return number(value, 2); }
  MtokBytes& u32(std::uint32_t value) { return number(value, 4); }
  MtokBytes& f64(double value);
  MtokBytes& text(std::string_view value) { return u16(static_cast<unsigned>(value.size())).raw(value); }
  MtokBytes& piece(std::string_view value, std::uint32_t id) { return text(value).u32(id); }
  const std::string& bytes() const { return bytes_; }

 private:
  MtokBytes& number(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i)
      bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
    return *this;
  }
  std::string bytes_;
};

inline MtokBytes& MtokBytes::f64(double value) {
  std::uint64_t bits = 0;
  static_assert(sizeof bits == sizeof value);
  __builtin_memcpy(&bits, &value, sizeof bits);
  return number(bits, 8);
}

/// The sections of a small byte-level BPE file; a test changes one of them.
struct MtokSections {
  std::string header = "430 4\n1 1 0\n6 6\n";
  std::string normalizer = MtokBytes().u8(0).bytes();
  std::string pre_tokenizer = MtokBytes()
                                  .u8(6)
                                  .u32(2)
                                  .u8(4)
                                  .text("\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+")
                                  .u8(0)
                                  .u8(0)
                                  .u8(1)
                                  .u8(0)
                                  .bytes();
  std::string model = MtokBytes().u8(0).u32(7).u8(0).u8(0).u32(2).bytes();
  std::string pieces = MtokBytes()
                           .piece("<|eos|>", 6)
                           .piece("a", 0)
                           .piece("ab", 4)
                           .piece("abc", 5)
                           .piece("b", 1)
                           .piece("c", 2)
                           .piece("\xC4\xA0", 3)
                           .bytes();
  std::string merges = MtokBytes().u32(0).u32(1).u32(0).u32(4).u32(2).u32(1).bytes();
  std::string decoder = MtokBytes().u8(0).bytes();
  std::string added = MtokBytes().u32(1).u32(6).u8(1).u8(0).u8(0).text("<|eos|>").bytes();
  std::string chat = MtokBytes().u32(4).raw("{{x}}").bytes().substr(0, 8);
  std::string eos = MtokBytes().text("<|eos|>").bytes();
  std::string flags = MtokBytes().u8(0).bytes();
  std::string bos = MtokBytes().text("<b>").bytes();
  std::string post = MtokBytes().u16(0).bytes();

  std::string file() const {
    return header + normalizer + pre_tokenizer + model + pieces + merges + decoder + added + chat + eos +
           flags + bos + post;
  }
};

}  // namespace llm2mnn::verify
