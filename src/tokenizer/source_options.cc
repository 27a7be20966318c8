#include "tokenizer/source_options.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/tokenizer_json.h"

namespace llm2mnn {

namespace {

constexpr std::array<const char*, kNumTokenRoles> kRoleKeys = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
constexpr std::uint32_t kMaxId = 0x7FFFFFFFu;

JsonValue load_object(const std::filesystem::path& dir, const char* name) {
  if (!entry_exists(dir / name)) return JsonValue::make_object({});
  constexpr std::uint64_t kMaxBytes = 2u << 20;  // as load_tokenizer_config
  JsonLimits limits;
  limits.max_bytes = kMaxBytes;
  JsonValue value = load_json(dir / name, limits);
  if (!value.is_object()) fail(ErrorKind::kFormat, "{}: expected an object", shown(name));
  return value;
}

/// added_tokens.json: an object of texts and ids. Special are those that have a name.
std::vector<AddedToken> read_added_tokens_file(const JsonValue& value, const TokenizerConfig& config) {
  std::vector<AddedToken> tokens;
  for (const auto& [text, id] : value.as_object()) {
    std::uint32_t number = 0;
    const std::string_view digits = id.is_number() ? id.number_text() : std::string_view();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || number > kMaxId) {
      fail(ErrorKind::kFormat, "'added_tokens.json': {}: expected an id from 0 to {}", shown(text), kMaxId);
    }
    AddedToken token;
    token.id = number;
    token.content = text;
    const auto& special = config.special_tokens;
    token.special = std::find(special.begin(), special.end(), text) != special.end();
    token.normalized = !token.special;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// A named token: text, or an object with flags.
AddedToken read_named(const JsonValue& value, bool normalized) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.as_string();
    token.normalized = normalized;
  } else {
    token = parse_added_token(value);
  }
  token.special = true;
  return token;
}

}  // namespace

bool SourceOptions::flag(const char* key, bool fallback) const {
  return optional_flag(key).value_or(fallback);
}

std::optional<bool> SourceOptions::optional_flag(const char* key) const {
  const JsonValue* member = config.find(key);
  if (member == nullptr || member->is_null()) return std::nullopt;
  if (!member->is_bool()) {
    fail(ErrorKind::kFormat, "'tokenizer_config.json': {}: expected true or false", key);
  }
  return member->as_bool();
}

std::optional<AddedToken> SourceOptions::named(TokenRole role, const ClassTokens& defaults) const {
  const auto index = static_cast<std::size_t>(role);
  const bool lstrip = role == TokenRole::kMask && defaults.lstrip_mask;
  const bool normalized = defaults.normalized && role != TokenRole::kMask;
  const JsonValue* member = special_map.find(kRoleKeys[index]);
  if (member == nullptr) member = config.find(kRoleKeys[index]);
  AddedToken token;
  if (member == nullptr) {
    if (defaults.text[index] == nullptr) return std::nullopt;
    token = read_named(JsonValue::make_string(defaults.text[index]), normalized);
    token.lstrip = lstrip;
  } else {
    if (member->is_null()) return std::nullopt;
    token = read_named(*member, normalized);
    if (member->is_string()) token.lstrip = lstrip;
  }
  if (token.content.empty()) return std::nullopt;
  // The listed token of this text, where there is one, says how it is matched.
  for (const AddedToken& other : listed) {
    if (other.content == token.content) token = other;
  }
  token.special = true;
  return token;
}

std::vector<AddedToken> SourceOptions::additional() const {
  constexpr const char* kKey = "additional_special_tokens";
  std::vector<AddedToken> tokens;
  for (const JsonValue* object : {&config, &special_map}) {
    const JsonValue* member = object->find(kKey);
    if (member == nullptr || member->is_null()) continue;
    for (const JsonValue& item : member->as_array())
      tokens.push_back(read_named(item, false));
  }
  return tokens;
}

SourceOptions load_source_options(const std::filesystem::path& dir, const TokenizerConfig& config) {
  SourceOptions options;
  options.config = load_object(dir, "tokenizer_config.json");
  options.special_map = JsonValue::make_object({});
  options.tokenizer_class = config.tokenizer_class;
  constexpr std::string_view kFast = "Fast";
  if (options.tokenizer_class.ends_with(kFast)) {
    options.tokenizer_class.resize(options.tokenizer_class.size() - kFast.size());
  }
  if (options.config.find("added_tokens_decoder") != nullptr) {
    options.listed = config.added_tokens;
  } else {
    options.special_map = load_object(dir, "special_tokens_map.json");
    options.listed = read_added_tokens_file(load_object(dir, "added_tokens.json"), config);
  }
  std::stable_sort(options.listed.begin(), options.listed.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return options;
}

void require_class(const SourceOptions& options, std::span<const std::string_view> known,
                   std::string_view source) {
  if (std::find(known.begin(), known.end(), options.tokenizer_class) != known.end()) return;
  std::string list;
  for (const std::string_view name : known) {
    if (!list.empty()) list += ", ";
    list += name;
  }
  if (options.tokenizer_class.empty()) {
    fail(ErrorKind::kUnsupported,
         "'tokenizer_config.json': no tokenizer_class says how to read {}: expected one of {}", source, list);
  }
  fail(ErrorKind::kUnsupported,
       "'tokenizer_config.json': tokenizer_class {} with {} is not supported: expected one of {}",
       shown(options.tokenizer_class), source, list);
}

std::uint32_t AddedTokenIds::next_id() const {
  return largest_ && *largest_ >= vocab_size_ ? *largest_ + 1 : vocab_size_;
}

std::uint32_t AddedTokenIds::put(AddedToken token) {
  if (token.content.empty()) return 0;
  if (const auto index = index_.find(token.content)) {
    token.id = tokens_[*index].id;
    tokens_[*index] = std::move(token);
    return tokens_[*index].id;
  }
  token.id = pieces_.find_id(token.content).value_or(next_id());
  largest_ = std::max(largest_.value_or(0), token.id);
  index_.insert(token.content, token.id);
  tokens_.push_back(std::move(token));
  return tokens_.back().id;
}

void AddedTokenIds::put_stated(const AddedToken& token) {
  const std::uint32_t id = put(token);
  if (id == token.id || token.content.empty()) return;
  fail(ErrorKind::kFormat,
       "added token {}: the configuration says id {}, but behind a vocabulary of {} entries its id is {}",
       shown(token.content), token.id, vocab_size_, id);
}

void AddedTokenIds::put_at(const AddedToken& token) {
  if (token.content.empty()) fail(ErrorKind::kFormat, "special token {} has no text", token.id);
  if (index_.find(token.content) || pieces_.find(token.content)) {
    fail(ErrorKind::kFormat, "special token {}: the text appears twice", shown(token.content));
  }
  largest_ = std::max(largest_.value_or(0), token.id);
  index_.insert(token.content, token.id);
  tokens_.push_back(token);
}

void AddedTokenIds::put_configured(const SourceOptions& options, const ClassTokens& defaults) {
  std::vector<AddedToken> named;
  for (std::size_t role = 0; role < kNumTokenRoles; ++role) {
    if (auto token = options.named(static_cast<TokenRole>(role), defaults)) named.push_back(*token);
  }
  const std::vector<AddedToken> additional = options.additional();
  PieceTable special;
  for (const AddedToken& token : named)
    special.insert(token.content, 0);
  for (const AddedToken& token : additional)
    special.insert(token.content, 0);
  for (AddedToken token : options.listed) {
    token.special = token.special || special.find(token.content).has_value();
    put_stated(token);
  }
  for (const AddedToken& token : named)
    put(token);
  for (const AddedToken& token : additional) {
    if (!contains(token.content)) put(token);
  }
}

std::vector<AddedToken> AddedTokenIds::take() {
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return std::move(tokens_);
}

std::uint32_t required_id(const TokenizerModel& model, const SourceOptions& options, TokenRole role,
                          const ClassTokens& defaults, std::string_view key) {
  const auto token = options.named(role, defaults);
  const auto id = token ? model.find_id(token->content) : std::nullopt;
  if (!id) {
    fail(ErrorKind::kFormat, "'tokenizer_config.json': {} asks for {}, but there is none in the vocabulary",
         key, kRoleKeys[static_cast<std::size_t>(role)]);
  }
  return *id;
}

void apply_class_tokens(const SourceOptions& options, const ClassTokens& defaults, TokenizerConfig& config) {
  for (std::size_t role = 0; role < kNumTokenRoles; ++role) {
    const auto token = options.named(static_cast<TokenRole>(role), defaults);
    if (!token) continue;
    auto& special = config.special_tokens;
    if (std::find(special.begin(), special.end(), token->content) == special.end()) {
      special.push_back(token->content);
    }
    if (static_cast<TokenRole>(role) == TokenRole::kBos) config.bos_token = token->content;
    if (static_cast<TokenRole>(role) == TokenRole::kEos) config.eos_token = token->content;
  }
}

bool LineReader::next() {
  if (!is_ended_) return false;
  ++number_;
  const std::size_t end = rest_.find_first_of("\r\n");
  is_ended_ = end != std::string_view::npos;
  line_ = rest_.substr(0, end);
  if (!is_ended_) return true;
  const bool is_pair = rest_.substr(end, 2) == "\r\n";
  rest_.remove_prefix(end + (is_pair ? 2 : 1));
  return true;
}

std::string read_vocabulary(const std::filesystem::path& path) {
  std::string text = read_text_file(path, kMaxVocabularyBytes);
  if (!is_utf8(text)) fail(ErrorKind::kFormat, "{}: not valid UTF-8", shown(path.filename().string()));
  return text;
}

}  // namespace llm2mnn
