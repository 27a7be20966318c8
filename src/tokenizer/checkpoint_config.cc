#include "tokenizer/checkpoint_config.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tokenizer/tokenizer_json.h"

namespace llm2mnn {

namespace {

// The largest public tokenizer_config.json (6,415 added tokens) has 1.2 MB. A tree of a hostile
// document of this size stays below 200 MB.
constexpr std::uint64_t kMaxConfigBytes = 2u << 20;
constexpr std::uint64_t kMaxTemplateBytes = 1u << 20;
constexpr std::uint32_t kMaxTokenId = 0x7FFFFFFF;

/// Calls `read` with the parsed file `name` if there is one; messages start with the name.
template <typename Read>
void with_json(const std::filesystem::path& dir, const char* name, Read read) {
  if (!entry_exists(dir / name)) return;
  JsonLimits limits;
  limits.max_bytes = kMaxConfigBytes;
  const JsonValue value = load_json(dir / name, limits);
  try {
    if (!value.is_object()) fail(ErrorKind::kFormat, "expected an object");
    read(value);
  } catch (Error& error) {
    error.add_context(shown(name));
    throw;
  }
}

/// A string, an AddedToken object, or null.
NamedToken read_named_token(const JsonValue& value, std::string_view key) {
  if (value.is_null()) return {};
  if (value.is_string()) return {std::string(value.as_string()), std::nullopt, false};
  const JsonValue* content = value.find("content");
  if (content == nullptr || !content->is_string()) {
    fail(ErrorKind::kFormat, "{}: expected a string or an object with content", key);
  }
  AddedToken token = parse_added_token(value);
  token.special = true;
  return {token.content, std::move(token), false};
}

/// A later file counts instead of an earlier one.
void read_named_tokens(const JsonValue& value, TokenizerConfig& config) {
  for (std::size_t role = 0; role < kNumTokenRoles; ++role) {
    if (const JsonValue* member = value.find(kTokenRoleKeys[role])) {
      config.role_tokens[role] = read_named_token(*member, kTokenRoleKeys[role]);
    }
  }
  constexpr std::string_view kMore = "additional_special_tokens";
  const JsonValue* more = value.find(kMore);
  if (more == nullptr || more->is_null()) return;
  if (!more->is_array()) fail(ErrorKind::kFormat, "{}: expected a list", kMore);
  auto& tokens = config.additional_tokens;
  constexpr std::size_t kMaxMore = 10'000;  // hundreds in files that exist; uniqueness is checked by search
  if (more->as_array().size() + tokens.size() > kMaxMore) {
    fail(ErrorKind::kFormat, "{}: more than {} entries", kMore, kMaxMore);
  }
  for (const JsonValue& item : more->as_array())
    tokens.push_back(read_named_token(item, kMore));
}

std::optional<bool> optional_bool(const JsonValue& value, const char* key) {
  const JsonValue* member = value.find(key);
  if (member == nullptr || member->is_null()) return std::nullopt;
  if (!member->is_bool()) fail(ErrorKind::kFormat, "{}: expected true or false", key);
  return member->as_bool();
}

/// Of two templates with one name the later counts.
void set_template(TokenizerConfig& config, std::string name, std::string text) {
  for (auto& [known, known_text] : config.chat_templates) {
    if (known != name) continue;
    known_text = std::move(text);
    return;
  }
  constexpr std::size_t kMaxTemplates = 100;  // ten in files that exist; names are found by search
  if (config.chat_templates.size() == kMaxTemplates) {
    fail(ErrorKind::kFormat, "more than {} chat templates", kMaxTemplates);
  }
  config.chat_templates.emplace_back(std::move(name), std::move(text));
}

/// A string, or a list of {name, template}.
void read_json_templates(const JsonValue& value, TokenizerConfig& config) {
  const JsonValue* member = value.find("chat_template");
  if (member == nullptr || member->is_null()) return;
  if (member->is_string()) {
    set_template(config, "default", std::string(member->as_string()));
    return;
  }
  if (!member->is_array()) fail(ErrorKind::kFormat, "chat_template: expected a string or a list");
  for (const JsonValue& item : member->as_array()) {
    const JsonValue* name = item.find("name");
    const JsonValue* text = item.find("template");
    if (name == nullptr || text == nullptr || !name->is_string() || !text->is_string()) {
      fail(ErrorKind::kFormat, "chat_template: expected a list of objects with name and template");
    }
    set_template(config, std::string(name->as_string()), std::string(text->as_string()));
  }
}

std::uint32_t parse_token_id(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || id > kMaxTokenId) {
    fail(ErrorKind::kFormat, "expected an id from 0 to {}", kMaxTokenId);
  }
  return id;
}

/// Keys of `added_tokens_decoder` are ids.
void read_added_tokens(const JsonValue& value, TokenizerConfig& config) {
  const JsonValue* member = value.find("added_tokens_decoder");
  if (member == nullptr || member->is_null()) return;
  if (!member->is_object()) fail(ErrorKind::kFormat, "added_tokens_decoder: expected an object");
  config.has_added_tokens_decoder = true;
  for (const auto& [key, item] : member->as_object()) {
    try {
      AddedToken token = parse_added_token(item);
      token.id = parse_token_id(key);
      config.added_tokens.push_back(std::move(token));
    } catch (Error& error) {
      error.add_context(fmt::format("added_tokens_decoder {}", shown(key)));
      throw;
    }
  }
}

/// added_tokens.json: an object of texts and ids. Special are those that have a name.
void read_added_tokens_file(const JsonValue& value, TokenizerConfig& config) {
  for (const auto& [text, id] : value.as_object()) {
    try {
      AddedToken token;
      token.id = parse_token_id(id.is_number() ? id.number_text() : std::string_view());
      token.content = text;
      const auto& special = config.special_tokens;
      token.special = std::find(special.begin(), special.end(), text) != special.end();
      token.normalized = !token.special;
      config.added_tokens.push_back(std::move(token));
    } catch (Error& error) {
      error.add_context(shown(text));
      throw;
    }
  }
}

void read_tokenizer_config(const JsonValue& value, TokenizerConfig& config) {
  if (const JsonValue* name = value.find("tokenizer_class"); name != nullptr && name->is_string()) {
    config.tokenizer_class = name->as_string();
  }
  read_named_tokens(value, config);
  config.add_bos_token = optional_bool(value, "add_bos_token");
  config.add_eos_token = optional_bool(value, "add_eos_token");
  config.add_prefix_space = optional_bool(value, "add_prefix_space");
  config.has_prefix_space_key = value.find("add_prefix_space") != nullptr;
  config.legacy = optional_bool(value, "legacy");
  config.do_lower_case = optional_bool(value, "do_lower_case");
  config.strip_accents = optional_bool(value, "strip_accents");
  config.tokenize_chinese_chars = optional_bool(value, "tokenize_chinese_chars");
  config.clean_up_tokenization_spaces = optional_bool(value, "clean_up_tokenization_spaces").value_or(false);
  read_json_templates(value, config);
  read_added_tokens(value, config);
}

void read_generation_config(const JsonValue& value, std::vector<std::int64_t>& eos) {
  const JsonValue* member = value.find("eos_token_id");
  if (member == nullptr || member->is_null()) return;
  const auto read_id = [&](const JsonValue& item) {
    if (!item.is_number()) fail(ErrorKind::kFormat, "eos_token_id: expected an id or a list of ids");
    std::int64_t id = -1;
    try {
      id = item.as_int64();
    } catch (Error& error) {
      error.add_context("eos_token_id");
      throw;
    }
    if (id < 0 || id > 0x7FFFFFFF) fail(ErrorKind::kFormat, "eos_token_id: {} is no token id", id);
    eos.push_back(id);
  };
  if (member->is_array()) {
    for (const JsonValue& item : member->as_array())
      read_id(item);
  } else {
    read_id(*member);
  }
}

/// The NAME.jinja of `dir`, which need not exist, by name.
std::vector<std::filesystem::path> template_files(const std::filesystem::path& dir) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  if (!std::filesystem::is_directory(dir, error)) return files;
  const std::filesystem::directory_iterator end;
  for (std::filesystem::directory_iterator entry(dir, error); !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".jinja") files.push_back(entry->path());
  }
  if (error) {
    fail(ErrorKind::kIo, "{}: {}", shown(dir.filename().string()), system_message(error.value()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Template files, where there are any, count instead of what the JSON files say.
void read_template_files(const std::filesystem::path& dir, TokenizerConfig& config) {
  const std::vector<std::filesystem::path> more = template_files(dir / "additional_chat_templates");
  const bool has_default = entry_exists(dir / "chat_template.jinja");
  if (!has_default && more.empty()) return;
  config.chat_templates.clear();
  if (has_default) set_template(config, "default", read_chat_template(dir / "chat_template.jinja"));
  for (const std::filesystem::path& file : more)
    set_template(config, file.stem().string(), read_chat_template(file));
}

void choose_template(TokenizerConfig& config) {
  for (const auto& [name, text] : config.chat_templates) {
    if (name != "default") continue;
    config.chat_template = text;
    return;
  }
}

}  // namespace

std::string read_chat_template(const std::filesystem::path& file) {
  std::string text = read_text_file(file, kMaxTemplateBytes);
  if (!is_utf8(text)) fail(ErrorKind::kFormat, "{}: not valid UTF-8", shown(file.filename().string()));
  return text;
}

std::vector<std::int64_t> load_generation_eos(const std::filesystem::path& dir) {
  std::vector<std::int64_t> eos;
  with_json(dir, "generation_config.json", [&](const JsonValue& v) { read_generation_config(v, eos); });
  return eos;
}

void collect_special_tokens(TokenizerConfig& config) {
  config.named_tokens.clear();
  config.special_tokens.clear();
  const auto add_special = [&](const std::string& text) {
    auto& tokens = config.special_tokens;
    if (!text.empty() && std::find(tokens.begin(), tokens.end(), text) == tokens.end())
      tokens.push_back(text);
  };
  const auto text_of = [&](std::size_t role) {
    const auto& token = config.role_tokens[role];
    return token ? token->text : std::string();
  };
  for (std::size_t role = 0; role < kNumTokenRoles; ++role) {
    const std::string text = text_of(role);
    if (!text.empty()) config.named_tokens.emplace_back(kTokenRoleKeys[role], text);
    add_special(text);
  }
  for (const NamedToken& token : config.additional_tokens)
    add_special(token.text);
  config.bos_token = text_of(static_cast<std::size_t>(TokenRole::kBos));
  config.eos_token = text_of(static_cast<std::size_t>(TokenRole::kEos));
}

TokenizerConfig load_tokenizer_config(const std::filesystem::path& dir) {
  TokenizerConfig config;
  with_json(dir, "tokenizer_config.json", [&](const JsonValue& v) { read_tokenizer_config(v, config); });
  // Broken ones are named although they may not count.
  const bool counts = !config.has_added_tokens_decoder;
  with_json(dir, "special_tokens_map.json", [&](const JsonValue& v) {
    if (counts) read_named_tokens(v, config);
  });
  collect_special_tokens(config);
  with_json(dir, "added_tokens.json", [&](const JsonValue& v) {
    if (counts) read_added_tokens_file(v, config);
  });
  std::stable_sort(config.added_tokens.begin(), config.added_tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  config.generation_eos = load_generation_eos(dir);
  read_template_files(dir, config);
  if (config.chat_templates.empty()) {
    with_json(dir, "chat_template.json", [&](const JsonValue& v) { read_json_templates(v, config); });
  }
  choose_template(config);
  return config;
}

}  // namespace llm2mnn
