#pragma once
// A model of the tokenizer inside MNN's runtime 3.6.1, and an independent reader of the two files it loads.
// Shares no code with the writers in src/tokenizer: what it says of a written file is evidence. Facts:
// MNN 3.6.1, transformers/llm/engine/src/tokenizer/{tokenizer.cpp,unicode.cpp}.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn::verify {

class RuntimeTokenizer {
 public:
  /// Reads tokenizer.mtok (type 4) or tokenizer.txt (types 0 to 3).
  /// @throws Error kFormat names the section, the byte offset and what is wrong: a length beyond the end, an
  /// unknown type byte, entries out of order, an id beyond the table, a merge of unknown ids, bytes behind
  /// the end, ... All that the runtime itself would misread in silence.
  static RuntimeTokenizer parse(std::string_view file);
  ~RuntimeTokenizer();
  RuntimeTokenizer(RuntimeTokenizer&&) noexcept;

  /// Ids as the runtime's tokenizer_encode gives them, prefix ids included.
  /// @throws Error kUnsupported when the runtime would need more than some seconds, or would abort.
  std::vector<std::uint32_t> encode(std::string_view text) const;
  /// Bytes of one id as the runtime prints it while it streams.
  std::string decode(std::uint32_t id) const;

  const std::vector<std::int64_t>& stop_ids() const;
  const std::vector<std::int64_t>& prefix_ids() const;
  std::uint32_t num_ids() const;
  /// Empty in a tokenizer.txt.
  const std::string& chat_template() const;
  const std::string& bos_token() const;
  const std::string& eos_token() const;

 private:
  struct State;
  explicit RuntimeTokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace llm2mnn::verify
