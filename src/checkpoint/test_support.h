#pragma once
// Helpers of this folder's tests.

#include <filesystem>
#include <fmt/ranges.h>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

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
