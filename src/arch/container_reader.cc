// container.toml to Container: every key and every type checked, with the line.

#include <toml++/toml.h>

#include "arch/container.h"
#include "base/error.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

using Texts = std::map<std::string, std::string>;

class ContainerReader {
 public:
  ContainerReader(std::string name, std::string file) : file_(std::move(file)) {
    container_.name = std::move(name);
  }

  Container read(std::string_view text) {
    for (const auto& [key, node] : parse(text))
      read_top(key, node);
    if (container_.model_types.empty() || container_.text_configs.empty() || container_.renamed.empty())
      fail_at(1, "a container needs [model_types], [text] with 'config', and [tensors]");
    return std::move(container_);
  }

 private:
  [[noreturn]] void fail_at(std::uint32_t line, std::string_view problem) const {
    fail(ErrorKind::kFormat, "{}:{}: {}", file_, line, problem);
  }
  [[noreturn]] void fail_key(const toml::key& key, std::string_view section,
                             const std::vector<std::string>& known) const {
    fail_at(key.source().begin.line,
            fmt::format("unknown key {}{}{}", shown(key.str()), section, did_you_mean(key.str(), known)));
  }

  toml::table parse(std::string_view text) const {
    try {
      return toml::parse(text);
    } catch (const toml::parse_error& error) {
      fail_at(error.source().begin.line, shown(error.description(), 200));
    }
  }

  std::string text_of(const toml::node& node, std::string_view key) const {
    if (const auto* value = node.as_string()) return value->get();
    fail_at(node.source().begin.line, fmt::format("{} must be a string", shown(key)));
  }

  const toml::table& table_of(const toml::node& node, std::string_view key) const {
    if (const toml::table* table = node.as_table()) return *table;
    fail_at(node.source().begin.line, fmt::format("{} must be a table", shown(key)));
  }

  Texts texts_of(const toml::node& node, std::string_view section) const {
    Texts texts;
    for (const auto& [key, value] : table_of(node, section))
      texts[std::string(key.str())] = text_of(value, key);
    return texts;
  }

  void read_top(const toml::key& key, const toml::node& node) {
    if (key == "source") {
      container_.source = text_of(node, key);
    } else if (key == "model_types") {
      container_.model_types = texts_of(node, key);
    } else if (key == "refuse") {
      container_.refused = texts_of(node, key);
    } else if (key == "tensors") {
      container_.renamed = texts_of(node, key);
    } else if (key == "left_out") {
      container_.left_out = texts_of(node, key);
    } else if (key == "harmless") {
      for (const auto& [name, reason] : texts_of(node, key))
        container_.harmless.insert(name);
    } else if (key == "text") {
      for (const auto& [field, value] : table_of(node, key))
        read_text(field, value);
    } else {
      fail_key(key, "", {"source", "model_types", "refuse", "text", "tensors", "left_out", "harmless"});
    }
  }

  void read_text(const toml::key& key, const toml::node& node) {
    if (key == "config" && node.is_array()) {
      for (const toml::node& path : *node.as_array())
        container_.text_configs.push_back(text_of(path, key));
    } else if (key == "flat" && node.is_boolean()) {
      container_.is_flat = node.as_boolean()->get();
    } else if (key == "types") {
      container_.text_types = texts_of(node, key);
    } else {
      fail_key(key, " in [text]", {"config", "flat", "types"});
    }
  }

  std::string file_;
  Container container_;
};

}  // namespace

Container read_container(std::string_view text, std::string name, const std::string& file) {
  return ContainerReader(std::move(name), file).read(text);
}

}  // namespace llm2mnn
