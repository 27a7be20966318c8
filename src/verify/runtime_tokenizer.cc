#include "verify/runtime_tokenizer.h"

#include <charconv>
#include <cstring>

#include "verify/mtok_pipeline.h"
#include "verify/tokenizer_header.h"
#include "verify/txt_tokenizer.h"
#include "verify/work_budget.h"

namespace llm2mnn::verify {

struct RuntimeTokenizer::State {
  std::string file;  ///< what the texts of the two below point into
  TokenizerHeader header;
  std::unique_ptr<MtokPipeline> pipeline;
  std::unique_ptr<TxtTokenizer> txt;
  std::string chat_template, bos_token, eos_token;
  /// Texts of the special ids, in the order of the header; ids without a text are not looked for.
  std::vector<std::pair<std::string, std::uint32_t>> specials;

  std::string decode(std::uint32_t id) const { return pipeline ? pipeline->decode(id) : txt->decode(id); }

  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const {
    pipeline ? pipeline->encode(text, ids) : txt->encode(text, ids);
  }

  /// The first entry of the list that stands at `at`, or null. The runtime compares as C texts.
  const std::pair<std::string, std::uint32_t>* special_at(const std::string& text, std::size_t at,
                                                          WorkBudget& budget) const {
    constexpr std::size_t kTokensPerStep = 8, kBytesPerStep = 32;
    budget.spend(1 + specials.size() / kTokensPerStep);
    for (const auto& special : specials) {
      const std::string& token = special.first;
      if (at + token.size() > text.size() || text[at] != token[0]) continue;
      budget.spend(token.size() / kBytesPerStep);
      if (std::strncmp(text.c_str() + at, token.c_str(), token.size()) == 0) return &special;
    }
    return nullptr;
  }
};

namespace {

/// Ids that encode puts out must mean something: in the table, or of an added token.
void check_ids(const SectionReader& reader, const std::vector<std::int64_t>& ids, std::string_view what,
               std::uint32_t num_ids, const MtokPipeline* pipeline) {
  for (const std::int64_t id : ids) {
    if (id < num_ids || (pipeline && pipeline->is_added(id))) continue;
    reader.refuse_at(0, "{} id {} is beyond the table of {} ids", what, id, num_ids);
  }
}

}  // namespace

RuntimeTokenizer RuntimeTokenizer::parse(std::string_view file) {
  auto state = std::make_unique<State>();
  state->file = file;
  SectionReader reader(state->file);
  state->header = read_tokenizer_header(reader);
  constexpr int kMtok = 4;
  if (state->header.type == kMtok) {
    MtokFile mtok = read_mtok(reader);
    state->chat_template = mtok.chat_template;
    state->bos_token = mtok.bos_token;
    state->eos_token = mtok.eos_token;
    try {
      state->pipeline = std::make_unique<MtokPipeline>(std::move(mtok));
    } catch (Error& error) {
      error.add_context("pre-tokenizer");
      throw;
    }
  } else {
    state->txt = read_txt(reader, state->header.type);
  }
  reader.enter("header");
  const std::uint32_t ids = state->txt ? state->txt->num_ids() : state->pipeline->num_ids();
  check_ids(reader, state->header.special_ids, "special", ids, state->pipeline.get());
  check_ids(reader, state->header.prefix_ids, "prefix", ids, state->pipeline.get());
  for (const std::int64_t id : state->header.special_ids) {
    std::string text = state->decode(static_cast<std::uint32_t>(id));
    if (!text.empty()) state->specials.emplace_back(std::move(text), static_cast<std::uint32_t>(id));
  }
  return RuntimeTokenizer(std::move(state));
}

RuntimeTokenizer::RuntimeTokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
RuntimeTokenizer::~RuntimeTokenizer() = default;
RuntimeTokenizer::RuntimeTokenizer(RuntimeTokenizer&&) noexcept = default;

std::vector<std::uint32_t> RuntimeTokenizer::encode(std::string_view text) const {
  std::vector<std::uint32_t> ids(state_->header.prefix_ids.begin(), state_->header.prefix_ids.end());
  if (state_->specials.empty()) {
    state_->encode(text, ids);
    return ids;
  }
  const std::string whole(text);
  std::size_t start = 0;
  WorkBudget budget;
  for (std::size_t at = 0; at < whole.size();) {
    const auto* special = state_->special_at(whole, at, budget);
    if (!special) {
      ++at;
      continue;
    }
    if (at > start) state_->encode(text.substr(start, at - start), ids);
    ids.push_back(special->second);
    at += special->first.size();
    start = at;
  }
  if (start < whole.size()) state_->encode(text.substr(start), ids);
  return ids;
}

std::string RuntimeTokenizer::decode(std::uint32_t id) const {
  const std::string text = state_->decode(id);
  // What prints the ids takes the name of a byte for the byte, whatever the file's type.
  if (text.size() != 6 || !text.starts_with("<0x") || !text.ends_with('>')) return text;
  unsigned byte = 0;
  const auto read = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  return read.ec == std::errc{} ? std::string(1, static_cast<char>(byte)) : text;
}

const std::vector<std::int64_t>& RuntimeTokenizer::stop_ids() const { return state_->header.stop_ids; }
const std::vector<std::int64_t>& RuntimeTokenizer::prefix_ids() const { return state_->header.prefix_ids; }
std::uint32_t RuntimeTokenizer::num_ids() const {
  return state_->txt ? state_->txt->num_ids() : state_->pipeline->num_ids();
}
const std::string& RuntimeTokenizer::chat_template() const { return state_->chat_template; }
const std::string& RuntimeTokenizer::bos_token() const { return state_->bos_token; }
const std::string& RuntimeTokenizer::eos_token() const { return state_->eos_token; }

}  // namespace llm2mnn::verify
