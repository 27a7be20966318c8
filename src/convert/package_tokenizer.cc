#include "convert/package_tokenizer.h"

#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "convert/package_names.h"

namespace llm2mnn {
namespace {

// Twice the file of the largest public vocabulary (262,144 pieces with 515,000 merges).
constexpr std::uint64_t kMaxTokenizerFileBytes = 64u << 20;

JsonValue load_if_there(const std::filesystem::path& path) {
  return entry_exists(path) ? load_json(path) : JsonValue();
}

/// Objects member by member; anything else is replaced. Deep only as far as the reader lets it be.
JsonValue merged(const JsonValue& base, const JsonValue& over) {
  if (!base.is_object() || !over.is_object()) return over.is_null() ? base : over;
  JsonValue::Object members = base.as_object();
  members.reserve(members.size() + over.as_object().size());  // the index below refers to their keys
  std::unordered_map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < members.size(); ++i)
    index.emplace(members[i].first, i);
  for (const auto& [key, value] : over.as_object()) {
    const auto known = index.find(key);
    if (known == index.end()) {
      members.emplace_back(key, value);
    } else {
      JsonValue& member = members[known->second].second;
      member = member.is_object() ? merged(member, value) : value;
    }
  }
  return JsonValue::make_object(std::move(members));
}

/// The name of a file in the package that `key` gives.
std::string file_name(const JsonValue& config, std::string_view key, const char* absent) {
  const JsonValue* name = config.find(key);
  if (name == nullptr) return absent;
  if (!name->is_string() || name->as_string().find('/') != std::string_view::npos)
    fail(ErrorKind::kFormat, "{}: {}: expected the name of a file in the package", shown(kConfigName), key);
  return std::string(name->as_string());
}

JsonValue load_config(const std::filesystem::path& dir) {
  const JsonValue config = load_if_there(dir / kConfigName);
  return merged(config, load_if_there(dir / file_name(config, "llm_config", kLlmConfigName)));
}

std::string text_of(const JsonValue* value) {
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

verify::RuntimeTokenizer load_file(const std::filesystem::path& dir, const std::string& name) {
  const std::string bytes = read_text_file(dir / name, kMaxTokenizerFileBytes);
  try {
    return verify::RuntimeTokenizer::parse(bytes);
  } catch (Error& error) {
    error.add_context(shown(name));
    throw;
  }
}

}  // namespace

PackageTokenizer load_package_tokenizer(const std::filesystem::path& dir) {
  const JsonValue config = load_config(dir);
  PackageTokenizer package = {
      load_file(dir, file_name(config, "tokenizer_file", kTxtName)), {}, {}};  // the runtime's default
  package.chat_template = package.tokenizer.chat_template();
  package.context.bos_token = package.tokenizer.bos_token();
  package.context.eos_token = package.tokenizer.eos_token();
  const JsonValue* jinja = config.find("jinja");
  if (jinja != nullptr && jinja->find("chat_template") != nullptr) {
    package.chat_template = text_of(jinja->find("chat_template"));
    package.context.eos_token = text_of(jinja->find("eos"));
  }
  const JsonValue* stated = jinja == nullptr ? nullptr : jinja->find("context");
  const JsonValue context =
      merged(stated == nullptr ? JsonValue() : *stated, load_if_there(dir / "context.json"));
  if (context.is_object()) package.context.context = context.as_object();
  return package;
}

}  // namespace llm2mnn
