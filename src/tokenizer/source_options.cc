#include "tokenizer/source_options.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/tokenizer_json.h"

namespace llm2mnn {

namespace {

JsonValue load_object(const std::filesystem::path& dir, const char* name) {
  if (!entry_exists(dir / name)) return JsonValue::make_object({});
  constexpr std::uint64_t kMaxBytes = 2u << 20;  // as load_tokenizer_config
  JsonLimits limits;
  limits.max_bytes = kMaxBytes;
  JsonValue value = load_json(dir / name, limits);
  if (!value.is_object()) fail(ErrorKind::kFormat, "{}: expected an object", shown(name));
  return value;
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
  const JsonValue* member = special_map.find(kTokenRoleKeys[index]);
  if (member == nullptr) member = config.find(kTokenRoleKeys[index]);
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
  if (!config.has_added_tokens_decoder) options.special_map = load_object(dir, "special_tokens_map.json");
  options.listed = config.added_tokens;
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

void put_configured(const SourceOptions& options, const ClassTokens& defaults, AddedTokenIds& added) {
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
    if (token.content.empty()) continue;
    const std::uint32_t id = added.put(token);
    if (id == token.id) continue;
    fail(ErrorKind::kFormat,
         "added token {}: the configuration says id {}, but behind the vocabulary its id is {}",
         shown(token.content), token.id, id);
  }
  for (const AddedToken& token : named)
    added.put(token);
  for (const AddedToken& token : additional) {
    if (!added.contains(token.content)) added.put(token);
  }
}

std::uint32_t required_id(const TokenizerModel& model, const SourceOptions& options, TokenRole role,
                          const ClassTokens& defaults, std::string_view key) {
  const auto token = options.named(role, defaults);
  const auto id = token ? model.find_id(token->content) : std::nullopt;
  if (!id) {
    fail(ErrorKind::kFormat, "'tokenizer_config.json': {} asks for {}, but there is none in the vocabulary",
         key, kTokenRoleKeys[static_cast<std::size_t>(role)]);
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
