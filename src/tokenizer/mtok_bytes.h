#pragma once
// What the parts of the tokenizer.mtok writer share: little-endian bytes and the type bytes of the format.
// Source of the format: MNN 3.6.1, transformers/llm/engine/src/tokenizer/tokenizer.cpp, type 4 (PIPELINE).

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "tokenizer/mtok.h"

namespace llm2mnn {

/// Appends little-endian values.
class Bytes {
 public:
  void u8(std::uint8_t value) { out_ += static_cast<char>(value); }
  void flag(bool value) { u8(value ? 1 : 0); }
  void u16(std::uint16_t value) { append(value); }
  void u32(std::uint32_t value) { append(value); }
  void f64(double value) { append(std::bit_cast<std::uint64_t>(value)); }
  void count(std::size_t value) { u32(checked_cast<std::uint32_t>(value)); }
  /// A string of at most kMaxRuntimeStringBytes; `what` names it in the error.
  void str(std::string_view text, std::string_view what) {
    if (text.size() > kMaxRuntimeStringBytes) {
      fail(ErrorKind::kUnsupported, "{} has {} bytes, the runtime's limit is {}", what, text.size(),
           kMaxRuntimeStringBytes);
    }
    u16(static_cast<std::uint16_t>(text.size()));
    out_ += text;
  }
  void raw(std::string_view text) { out_ += text; }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  std::string take() { return std::move(out_); }

 private:
  template <typename T>
  void append(T value) {
    std::array<char, sizeof(T)> bytes;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    out_.append(bytes.data(), bytes.size());
  }

  std::string out_;
};

/// Normalizers, pre-tokenizers or decoders one after the other: a Sequence unless there is exactly one.
class Steps {
 public:
  /// Where the next step goes.
  Bytes& next() {
    ++count_;
    return body_;
  }
  /// Where more of the current step goes.
  Bytes& same() { return body_; }
  /// @param none, sequence  type bytes; `none` stands for no step at all.
  void write(std::uint8_t none, std::uint8_t sequence, Bytes& out) {
    if (count_ == 0) {
      out.u8(none);
      return;
    }
    if (count_ != 1) {
      out.u8(sequence);
      out.count(count_);
    }
    out.raw(body_.take());
  }

 private:
  Bytes body_;
  std::size_t count_ = 0;
};

}  // namespace llm2mnn
