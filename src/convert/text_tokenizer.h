#pragma once
// The tokenizer of a checkpoint or of a package, for the `tokenize` command.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// A checkpoint's tokenizer gives Hugging Face's ids; a package's gives those of MNN's runtime with the file
/// that its config.json names.
class TextTokenizer {
 public:
  /// Reads no weights. @throws Error when `dir` has no tokenizer or a broken one.
  static TextTokenizer open(const std::filesystem::path& dir);
  ~TextTokenizer();
  TextTokenizer(TextTokenizer&&) noexcept;

  /// @param text  valid UTF-8, else Error(kFormat).
  /// @param add_special_tokens  also what the tokenizer puts in front of and behind a text.
  std::vector<std::uint32_t> encode(std::string_view text, bool add_special_tokens) const;
  /// Special tokens are kept; bytes that are no UTF-8 become U+FFFD. @throws Error(kFormat) for an id that
  /// the tokenizer does not have.
  std::string decode(std::span<const std::uint32_t> ids) const;

 private:
  struct State;
  explicit TextTokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace llm2mnn
