#include "tokenizer/source_options.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace llm2mnn {

namespace {

AddedToken token_of(const NamedToken& named, bool normalized) {
  AddedToken token = named.object.value_or(AddedToken{});
  token.content = named.text;
  if (!named.object) token.normalized = normalized;
  token.special = true;
  return token;
}

}  // namespace

std::optional<AddedToken> SourceOptions::named(TokenRole role, const ClassTokens& defaults) const {
  const auto index = static_cast<std::size_t>(role);
  NamedToken name = config.role_tokens[index].value_or(NamedToken{});
  if (!config.role_tokens[index] && defaults.text[index] != nullptr) name.text = defaults.text[index];
  if (name.text.empty()) return std::nullopt;
  AddedToken token = token_of(name, defaults.normalized && role != TokenRole::kMask);
  if (!name.object) token.lstrip = role == TokenRole::kMask && defaults.lstrip_mask;
  // The listed token of this text, where there is one, says how it is matched.
  for (const AddedToken& other : config.added_tokens) {
    if (other.content == token.content) token = other;
  }
  token.special = true;
  return token;
}

std::vector<AddedToken> SourceOptions::additional() const {
  std::vector<AddedToken> tokens;
  for (const NamedToken& name : config.additional_tokens)
    tokens.push_back(token_of(name, false));
  return tokens;
}

SourceOptions::SourceOptions(const TokenizerConfig& of_checkpoint)
    : tokenizer_class(of_checkpoint.tokenizer_class), config(of_checkpoint) {
  constexpr std::string_view kFast = "Fast";
  if (tokenizer_class.ends_with(kFast)) tokenizer_class.resize(tokenizer_class.size() - kFast.size());
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
  for (AddedToken token : options.config.added_tokens) {
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

void apply_class_tokens(const ClassTokens& defaults, TokenizerConfig& config) {
  for (std::size_t role = 0; role < kNumTokenRoles; ++role) {
    auto& token = config.role_tokens[role];
    if (!token && defaults.text[role] != nullptr) token = NamedToken{defaults.text[role], std::nullopt, true};
  }
  collect_special_tokens(config);
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
