#include "convert/text_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "convert/inspect.h"
#include "convert/package_tokenizer.h"
#include "tokenizer/decode.h"
#include "tokenizer/encoder.h"
#include "tokenizer/source.h"

namespace llm2mnn {

struct TextTokenizer::State {
  // One of the two.
  std::optional<Encoder> encoder;
  std::optional<verify::RuntimeTokenizer> runtime;
};

TextTokenizer::TextTokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
TextTokenizer::~TextTokenizer() = default;
TextTokenizer::TextTokenizer(TextTokenizer&&) noexcept = default;

TextTokenizer TextTokenizer::open(const std::filesystem::path& dir) {
  auto state = std::make_unique<State>();
  if (is_package(dir)) {
    state->runtime.emplace(load_package_tokenizer(dir).tokenizer);
  } else {
    state->encoder.emplace(load_tokenizer_source(dir).model);
  }
  return TextTokenizer(std::move(state));
}

std::vector<std::uint32_t> TextTokenizer::encode(std::string_view text, bool add_special_tokens) const {
  if (state_->encoder) return state_->encoder->encode(text, add_special_tokens);
  if (!is_utf8(text)) fail(ErrorKind::kFormat, "the text is not valid UTF-8");
  std::vector<std::uint32_t> ids = state_->runtime->encode(text);
  if (!add_special_tokens) {  // the runtime puts its prefix in front of every text
    const auto count = std::min(ids.size(), state_->runtime->prefix_ids().size());
    ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return ids;
}

std::string TextTokenizer::decode(std::span<const std::uint32_t> ids) const {
  const std::uint32_t end = state_->encoder ? state_->encoder->model().num_ids() : state_->runtime->num_ids();
  for (const std::uint32_t id : ids) {
    if (id >= end) fail(ErrorKind::kFormat, "id {}: the tokenizer has ids from 0 to {}", id, end - 1);
  }
  if (state_->encoder) return state_->encoder->decode(ids, false);
  std::string text;
  for (const std::uint32_t id : ids)
    text += state_->runtime->decode(id);
  return to_valid_utf8(text);
}

}  // namespace llm2mnn
