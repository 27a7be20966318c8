#pragma once
// Helpers of this folder's tests.

#include <filesystem>
#include <fmt/ranges.h>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/error.h"

namespace llm2mnn {

struct Outcome {
  bool refused = false;
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
};

/// What `action` ends with. Only Error is expected.
template <typename Action>
Outcome outcome_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return {true, error.kind(), error.message()};
  }
  return {};
}

/// The house rule for every refusal.
inline void expect_one_line(const std::string& message) {
  EXPECT_LE(message.size(), 500u) << message;
  EXPECT_FALSE(message.empty());
  for (const char c : message)
    EXPECT_GE(static_cast<unsigned char>(c), 0x20u) << message;
}

/// `part` stands in `message`, which keeps the house rule.
inline void expect_in(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
  expect_one_line(message);
}

/// A zip file by hand: what a test wants to spoil is a parameter.
struct Part {
  std::string name;
  std::string data;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t extra_size = 0;  // added to the size in the directory
};

/// Appends `value`, little endian.
template <typename T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out += static_cast<char>(value >> (8 * i) & 0xFF);
}

inline std::string zip_of(const std::vector<Part>& parts, const std::string& comment = "") {
  std::string out;
  std::string central;
  for (const Part& part : parts) {
    const auto offset = static_cast<std::uint32_t>(out.size());
    const auto size = static_cast<std::uint32_t>(part.data.size());
    const auto header = [&](std::string& to, std::uint32_t bytes) {
      put(to, part.flags);
      put(to, part.method);
      put(to, std::uint64_t{0});  // time and CRC
      put(to, bytes);
      put(to, bytes);
      put(to, static_cast<std::uint16_t>(part.name.size()));
      put(to, std::uint16_t{0});
    };
    put(out, 0x04034b50u);
    put(out, std::uint16_t{0});
    header(out, size);
    out += part.name + part.data;
    put(central, 0x02014b50u);
    put(central, std::uint32_t{0});
    header(central, size + part.extra_size);
    put(central, std::uint16_t{0});
    put(central, std::uint16_t{0});
    put(central, std::uint16_t{0});
    put(central, std::uint32_t{0});
    put(central, offset);
    central += part.name;
  }
  const auto start = static_cast<std::uint32_t>(out.size());
  out += central;
  put(out, 0x06054b50u);
  put(out, std::uint32_t{0});
  put(out, static_cast<std::uint16_t>(parts.size()));
  put(out, static_cast<std::uint16_t>(parts.size()));
  put(out, static_cast<std::uint32_t>(central.size()));
  put(out, start);
  put(out, static_cast<std::uint16_t>(comment.size()));
  return out + comment;
}

/// A safetensors file: length, `header` as it stands, `data_bytes` of data counting up from 0.
inline std::string safetensors_bytes(const std::string& header, std::size_t data_bytes) {
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i)
    bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  bytes += header;
  for (std::size_t i = 0; i < data_bytes; ++i)
    bytes += static_cast<char>(i);
  return bytes;
}

/// A directory that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "llm2mnn_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace llm2mnn
