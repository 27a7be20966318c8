#include "tokenizer/tekken.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/base64.h"
#include "tokenizer/tiktoken.h"
#include "tokenizer/tokenizer_json.h"

namespace llm2mnn {

namespace {

/// Keeps the vocabulary as a table, `config` and `special_tokens` as small trees, and nothing else.
class TekkenReader : public JsonHandler {
 public:
  void on_null() override {
    scalar([] { return JsonValue(); });
  }
  void on_bool(bool value) override {
    scalar([&] { return JsonValue::make_bool(value); });
  }
  void on_number(std::string_view text) override {
    if (in_piece() && key_ == "rank") rank_ = text;
    scalar([&] { return JsonValue::make_number(std::string(text)); });
  }
  void on_string(std::string_view text) override {
    if (in_piece() && key_ == "token_bytes") bytes_ = text;
    scalar([&] { return JsonValue::make_string(std::string(text)); });
  }
  void on_key(std::string_view name) override {
    if (tree_.is_open()) {
      tree_.key(name);
    } else if (depth_ == 1 || in_piece()) {
      key_ = name;
    }
    if (depth_ == 1) top_key_ = name;
  }
  void on_begin_object() override { begin(true); }
  void on_begin_array() override { begin(false); }
  void on_end_object() override { end(); }
  void on_end_array() override { end(); }

  JsonValue config, special_tokens;
  PieceTable pieces;  // bytes; the id is the rank

 private:
  // document 1, vocab 2, piece 3
  bool in_piece() const { return depth_ == 3 && top_key_ == "vocab"; }

  void begin(bool is_object) {
    if (depth_ == 0 && !is_object) fail(ErrorKind::kFormat, "expected an object");
    if (top_key_ == "vocab" && (depth_ == 1 || depth_ == 2) && is_object != (depth_ == 2)) {
      fail(ErrorKind::kFormat, "vocab: expected a list of objects");
    }
    ++depth_;
    if (tree_.is_open() || (depth_ == 2 && (top_key_ == "config" || top_key_ == "special_tokens"))) {
      tree_.begin(is_object);
    }
    if (in_piece()) {
      rank_.clear();
      bytes_.clear();
    }
  }

  void end() {
    if (in_piece()) add_piece();
    --depth_;
    if (!tree_.is_open()) return;
    tree_.end();
    if (!tree_.is_open()) (top_key_ == "config" ? config : special_tokens) = tree_.take();
  }

  template <typename Make>
  void scalar(Make make) {
    if (depth_ == 0) fail(ErrorKind::kFormat, "expected an object");
    if (tree_.is_open()) {
      tree_.add(make());
    } else if (top_key_ == "vocab" && depth_ < 3) {
      fail(ErrorKind::kFormat, "vocab: expected a list of objects");
    }
  }

  void add_piece() {
    const std::size_t index = pieces.size();
    if (rank_ != std::to_string(index)) {
      fail(ErrorKind::kFormat, "vocab[{}]: expected rank {}, found {}", index, index, shown(rank_, 40));
    }
    std::string bytes;
    if (!decode_base64(bytes_, bytes) || bytes.empty()) {
      fail(ErrorKind::kFormat, "vocab[{}]: expected base64 token_bytes, found {}", index, shown(bytes_, 40));
    }
    if (!pieces.insert(bytes, static_cast<std::uint32_t>(index))) {
      fail(ErrorKind::kFormat, "vocab[{}]: {} appears twice", index, shown(bytes, 40));
    }
  }

  static constexpr std::size_t kMaxTreeValues = 100'000;
  JsonTreeBuilder tree_{kMaxTreeValues};
  int depth_ = 0;
  std::string top_key_, key_, rank_, bytes_;
};

std::uint32_t count_member(const JsonValue& config, const char* key) {
  constexpr std::int64_t kMaxCount = 10'000'000;
  const JsonValue* member = config.find(key);
  const std::int64_t value = member != nullptr && member->is_number() ? member->as_int64() : -1;
  if (value < 0 || value > kMaxCount) fail(ErrorKind::kFormat, "config.{}: expected a count", key);
  return static_cast<std::uint32_t>(value);
}

/// Files up to version 7 need not list them.
std::vector<AddedToken> default_special_tokens() {
  constexpr std::array<const char*, 20> kTexts = {"<unk>",
                                                  "<s>",
                                                  "</s>",
                                                  "[INST]",
                                                  "[/INST]",
                                                  "[AVAILABLE_TOOLS]",
                                                  "[/AVAILABLE_TOOLS]",
                                                  "[TOOL_RESULTS]",
                                                  "[/TOOL_RESULTS]",
                                                  "[TOOL_CALLS]",
                                                  "[IMG]",
                                                  "<pad>",
                                                  "[IMG_BREAK]",
                                                  "[IMG_END]",
                                                  "[PREFIX]",
                                                  "[MIDDLE]",
                                                  "[SUFFIX]",
                                                  "[SYSTEM_PROMPT]",
                                                  "[/SYSTEM_PROMPT]",
                                                  "[TOOL_CONTENT]"};
  std::vector<AddedToken> tokens;
  for (const char* text : kTexts) {
    AddedToken token;
    token.id = static_cast<std::uint32_t>(tokens.size());
    token.content = text;
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

std::vector<AddedToken> read_special_tokens(const JsonValue& list, std::uint32_t num_special) {
  if (list.is_null()) return default_special_tokens();
  std::vector<AddedToken> tokens;
  for (const JsonValue& item : list.as_array()) {
    const JsonValue* text = item.find("token_str");
    const JsonValue* rank = item.find("rank");
    const JsonValue* control = item.find("is_control");
    const std::int64_t id = rank != nullptr && rank->is_number() ? rank->as_int64() : -1;
    if (text == nullptr || !text->is_string() || id < 0 || id >= num_special) {
      fail(ErrorKind::kFormat, "special_tokens[{}]: expected a token_str and a rank below {}", tokens.size(),
           num_special);
    }
    AddedToken token;
    token.id = static_cast<std::uint32_t>(id);
    token.content = text->as_string();
    token.special = control == nullptr || !control->is_bool() || control->as_bool();
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// The special tokens, with fillers for the ranks that have none.
void add_special_tokens(const std::vector<AddedToken>& tokens, std::uint32_t num_special,
                        AddedTokenIds& added) {
  std::vector<bool> is_taken(num_special, false);
  for (const AddedToken& token : tokens) {
    if (token.id >= num_special || is_taken[token.id]) {
      fail(ErrorKind::kFormat, "special token {}: rank {} is taken or beyond the {} special tokens",
           shown(token.content), token.id, num_special);
    }
    is_taken[token.id] = true;
    added.put_at(token);
  }
  for (std::uint32_t id = 0; id < num_special; ++id) {
    if (is_taken[id]) continue;
    AddedToken token;
    token.id = id;
    token.content = fmt::format("<SPECIAL_{}>", id);
    token.special = true;
    added.put_at(token);
  }
}

TokenizerModel build(TekkenReader& reader, const SourceOptions& options, TokenizerConfig& config) {
  const JsonValue* pattern = reader.config.find("pattern");
  if (pattern == nullptr || !pattern->is_string())
    fail(ErrorKind::kFormat, "config.pattern: expected a string");
  constexpr std::uint32_t kMaxSpecial = 65'536;  // 1,000 in files that exist
  const std::uint32_t num_special = count_member(reader.config, "default_num_special_tokens");
  const std::uint32_t vocab_size = count_member(reader.config, "default_vocab_size");
  if (num_special > kMaxSpecial || vocab_size <= num_special ||
      vocab_size - num_special > reader.pieces.size()) {
    fail(ErrorKind::kFormat, "config: default_vocab_size {} with {} special tokens needs {} pieces, found {}",
         vocab_size, num_special, static_cast<std::int64_t>(vocab_size) - num_special, reader.pieces.size());
  }
  PieceTable ranked;
  for (std::uint32_t rank = 0; rank < vocab_size - num_special; ++rank)
    ranked.insert(reader.pieces.text(rank), num_special + rank);
  reader.pieces = PieceTable();

  TokenizerModel model;
  set_ranked_vocabulary(ranked, model);
  add_ranked_pipeline(std::string(pattern->as_string()), false, model);
  const ClassTokens tokens{{"<s>", "</s>", "<unk>"}, false, false};
  AddedTokenIds added(model.pieces, vocab_size);
  add_special_tokens(read_special_tokens(reader.special_tokens, num_special), num_special, added);
  put_configured(options, tokens, added);
  model.set_added(added.take());
  if (config.add_bos_token.value_or(true)) {
    model.prefix_ids = {required_id(model, options, TokenRole::kBos, tokens, "add_bos_token")};
  }
  apply_class_tokens(tokens, config);
  return model;
}

}  // namespace

TokenizerModel load_tekken(const std::filesystem::path& path, const SourceOptions& options,
                           TokenizerConfig& config) {
  TekkenReader reader;
  JsonLimits limits;
  limits.max_bytes = kMaxTokenizerJsonBytes;
  load_json_events(path, reader, limits);
  try {
    return build(reader, options, config);
  } catch (Error& error) {
    error.add_context(shown(path.filename().string()));
    throw;
  }
}

}  // namespace llm2mnn
