// family.toml to Family: every key and every type checked, with the line.

#include <toml++/toml.h>

#include "arch/family_data.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

std::string_view type_word(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date";
  }
}

// Depth of a table comes from dots in one line, and toml++ destroys tables recursively.
constexpr std::size_t kMaxLineBytes = 4000;
constexpr std::size_t kMaxConfigNames = 500;  // a family has a few dozen

class Reader {
 public:
  Reader(std::string name, std::string file) : file_(std::make_shared<const std::string>(std::move(file))) {
    family_.name = std::move(name);
    family_.top = {file_, 1};
  }

  Family read(std::string_view text) {
    const toml::table document = parse(text);
    for (const auto& [key, node] : document)
      read_top(key, node);
    if (family_.model_types.empty()) fail_at(family_.top, "'model_types' is missing or empty");
    return std::move(family_);
  }

 private:
  void check_line_lengths(std::string_view text) {
    for (std::uint32_t line = 1; !text.empty(); ++line) {
      const std::size_t length = std::min(text.find('\n'), text.size());
      if (length > kMaxLineBytes)
        fail_at({file_, line}, "the line has {} bytes, at most {} are read", length, kMaxLineBytes);
      text.remove_prefix(std::min(length + 1, text.size()));
    }
  }

  toml::table parse(std::string_view text) {
    check_line_lengths(text);
    try {
      return toml::parse(text);
    } catch (const toml::parse_error& error) {
      fail_at({file_, error.source().begin.line}, "{}", shown(error.description(), 200));
    }
  }

  Location at(const toml::node& node) const { return {file_, node.source().begin.line}; }
  Location at(const toml::key& key) const { return {file_, key.source().begin.line}; }

  [[noreturn]] void fail_unknown(const toml::key& key, std::string_view what,
                                 const std::vector<std::string>& known) {
    const std::string near = did_you_mean(key.str(), known);
    const std::string all = near.empty() ? "; known: " + list_names(known, 12) : near;
    fail_at(at(key), "unknown {} {}{}", what, shown(key.str()), all);
  }

  static std::vector<std::string> names_of(std::span<const std::string_view> names) {
    return {names.begin(), names.end()};
  }

  [[noreturn]] void fail_type(const toml::node& node, std::string_view key, std::string_view expected) {
    fail_at(at(node), "{} must be {}, found {}", shown(key), expected, type_word(node));
  }

  std::string text_of(const toml::node& node, std::string_view key) {
    const auto* value = node.as_string();
    if (value == nullptr) fail_type(node, key, "a string");
    return value->get();
  }

  std::vector<std::string> texts_of(const toml::node& node, std::string_view key) {
    const toml::array* list = node.as_array();
    if (list == nullptr) fail_type(node, key, "a list of strings");
    std::vector<std::string> texts;
    for (const toml::node& item : *list)
      texts.push_back(text_of(item, key));
    if (texts.empty()) fail_at(at(node), "{} is empty", shown(key));
    return texts;
  }

  bool flag_of(const toml::node& node, std::string_view key) {
    const auto* value = node.as_boolean();
    if (value == nullptr) fail_type(node, key, "true or false");
    return value->get();
  }

  const toml::table& table_of(const toml::node& node, std::string_view key) {
    const toml::table* table = node.as_table();
    if (table == nullptr) fail_type(node, key, "a table");
    return *table;
  }

  // A number, true, false, or an expression in a string.
  Expression expression_of(const toml::node& node, std::string_view key,
                           std::vector<std::string> words = {}) {
    if (const auto* value = node.as_boolean()) return Expression::constant(value->get() ? 1 : 0);
    if (const auto* value = node.as_integer()) return Expression::constant(static_cast<double>(value->get()));
    if (const auto* value = node.as_floating_point()) {
      if (!std::isfinite(value->get())) fail_at(at(node), "{} is not finite", shown(key));
      return Expression::constant(value->get());
    }
    const auto* text = node.as_string();
    if (text == nullptr) fail_type(node, key, "a number, true, false or an expression");
    return parse_expression(text->get(), at(node), std::move(words));
  }

  static Expression parse_expression(std::string text, const Location& where,
                                     std::vector<std::string> words = {}) {
    try {
      return Expression::parse(std::move(text), std::move(words));
    } catch (Error& error) {
      error.add_context(where.text());
      throw;
    }
  }

  void read_top(const toml::key& key, const toml::node& node) {
    if (key == "source") {
      family_.source = text_of(node, key);
    } else if (key == "inherits") {
      family_.inherits = text_of(node, key);
      family_.top = at(node);
    } else if (key == "base_prefix") {
      family_.base_prefix = text_of(node, key);
    } else if (key == "model_types") {
      family_.model_types = texts_of(node, key);
    } else if (key == "architectures") {
      family_.architectures = texts_of(node, key);
    } else if (key == "config") {
      for (const auto& [name, entry] : table_of(node, key))
        read_config_entry(name, entry);
    } else if (key == "harmless") {
      read_reasons(table_of(node, key), family_.harmless);
    } else if (key == "ignore") {
      read_reasons(table_of(node, key), family_.ignore);
    } else if (key == "refuse") {
      read_refusals(table_of(node, key));
    } else if (key == "tensors") {
      for (const auto& [role, pattern] : table_of(node, key))
        read_tensor(role, pattern);
    } else if (is_section(key.str())) {
      read_section(std::string(key.str()), table_of(node, key));
    } else {
      std::vector<std::string> known = names_of(file_keys());
      for (const std::string& section : names_of(named_sections()))
        known.push_back(section);
      for (const VocabularyKey& choice : vocabulary())
        known.emplace_back(choice.path.substr(0, choice.path.find('.')));
      fail_unknown(key, "key", known);
    }
  }

  static bool is_section(std::string_view name) {
    for (const VocabularyKey& key : vocabulary()) {
      if (key.path.substr(0, key.path.find('.')) == name) return true;
    }
    return false;
  }

  static std::vector<std::string> keys_of_section(std::string_view section) {
    std::vector<std::string> keys;
    for (const VocabularyKey& key : vocabulary()) {
      const std::size_t dot = key.path.find('.');
      if (key.path.substr(0, dot) == section) keys.emplace_back(key.path.substr(dot + 1));
    }
    for (const Shorthand& one : shorthands()) {
      const std::size_t dot = one.path.find('.');
      if (one.path.substr(0, dot) == section) keys.emplace_back(one.path.substr(dot + 1));
    }
    return keys;
  }

  void read_section(const std::string& section, const toml::table& table) {
    for (const auto& [key, node] : table) {
      const bool is_layer_type = section == "rope" && (key == "full" || key == "sliding");
      if (is_layer_type) {
        for (const auto& [inner_key, inner_node] : table_of(node, key))
          read_setting("rope", "rope." + std::string(key.str()), inner_key, inner_node);
      } else if (!read_shorthand(section, key, node)) {
        read_setting(section, section, key, node);
      }
    }
  }

  bool read_shorthand(const std::string& section, const toml::key& key, const toml::node& node) {
    const std::string path = section + "." + std::string(key.str());
    for (const Shorthand& one : shorthands()) {
      if (one.path != path) continue;
      Setting setting;
      setting.expression = expression_of(node, key);
      setting.where = at(key);
      for (const std::string& covered : split_words(one.covers))
        family_.settings.emplace(covered, setting);  // a named one stays, or comes and overrules
      return true;
    }
    return false;
  }

  void read_setting(const std::string& section, const std::string& prefix, const toml::key& key,
                    const toml::node& node) {
    const VocabularyKey* known = find_vocabulary_key(section + "." + std::string(key.str()));
    if (known == nullptr) {
      std::vector<std::string> keys = keys_of_section(section);
      if (prefix == "rope") keys.insert(keys.end(), {"full", "sliding"});
      fail_unknown(key, fmt::format("key in [{}]:", prefix), keys);
    }
    Setting setting;
    switch (known->kind) {
      case KeyKind::kExpression:
        setting.expression = expression_of(node, key);
        break;
      case KeyKind::kMenu:
        setting.word = menu_word(node, key, known->words);
        break;
      case KeyKind::kLayerList:
        setting = list_key_of(node, key);
        break;
      case KeyKind::kActivation:
      case KeyKind::kLayerTypes:
      case KeyKind::kLayerExpression:
        setting = selector_of(node, key, *known);
        break;
    }
    setting.where = at(key);
    family_.settings[prefix + "." + std::string(key.str())] = std::move(setting);
  }

  std::string menu_word(const toml::node& node, std::string_view key, std::string_view words) {
    std::string word = text_of(node, key);
    const std::vector<std::string> menu = split_words(words);
    if (std::find(menu.begin(), menu.end(), word) == menu.end())
      fail_at(at(node), "{} is {}, expected one of: {}{}", shown(key), shown(word), fmt::join(menu, ", "),
              did_you_mean(word, menu));
    return word;
  }

  void set_default(const toml::node& node, std::string_view key, const VocabularyKey& known,
                   Setting& setting) {
    if (known.kind == KeyKind::kActivation)
      setting.word = menu_word(node, key, known.words);
    else
      setting.expression = expression_of(node, key, split_words(known.words));
  }

  Setting list_key_of(const toml::node& node, std::string_view key) {
    Setting setting;
    for (const auto& [field, value] : table_of(node, key)) {
      if (field == "key")
        setting.keys = {text_of(value, field)};
      else if (field == "keys")
        setting.keys = texts_of(value, field);
      else
        fail_unknown(field, fmt::format("field of {}:", key), {"key", "keys"});
    }
    if (setting.keys.empty()) fail_at(at(node), "{} lacks 'key'", shown(key));
    return setting;
  }

  Setting selector_of(const toml::node& node, std::string_view key, const VocabularyKey& known) {
    Setting setting;
    if (!node.is_table()) {
      set_default(node, key, known, setting);
      return setting;
    }
    const toml::table& table = *node.as_table();
    for (const auto& [field, value] : table) {
      if (field == "key")
        setting.keys = {text_of(value, field)};
      else if (field == "keys")
        setting.keys = texts_of(value, field);
      else if (field == "default")
        set_default(value, field, known, setting);
      else if (field == "words" && known.kind != KeyKind::kLayerExpression)
        read_words(table_of(value, field), known, setting);
      else
        fail_unknown(field, fmt::format("field of {}:", key), {"key", "keys", "default", "words"});
    }
    if (!table.contains("default")) fail_at(at(node), "{} lacks 'default'", shown(key));
    return setting;
  }

  void read_words(const toml::table& table, const VocabularyKey& known, Setting& setting) {
    for (const auto& [config_word, word] : table)
      setting.words[std::string(config_word.str())] = menu_word(word, config_word, known.words);
  }

  void read_config_entry(const toml::key& name, const toml::node& node) {
    for (const char c : name.str()) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_')
        fail_at(at(name), "config name {} must be made of letters, digits and '_'", shown(name.str()));
    }
    if (name == "i" || name == "e" || name == "full" || name == "sliding" || name == "mixer" ||
        name == "chunked")
      fail_at(at(name), "config name {} is a word of the expressions", shown(name.str()));
    ConfigEntry entry;
    entry.where = at(name);
    for (const auto& [field, value] : table_of(node, name)) {
      if (field == "key")
        entry.keys = {text_of(value, field)};
      else if (field == "keys")
        entry.keys = texts_of(value, field);
      else if (field == "default")
        entry.if_missing = expression_of(value, field);
      else if (field == "null")
        entry.if_null = expression_of(value, field);
      else if (field == "words")
        read_word_values(table_of(value, field), entry);
      else
        fail_unknown(field, fmt::format("field of [config] {}:", name.str()), names_of(config_fields()));
    }
    family_.config[std::string(name.str())] = std::move(entry);
    if (family_.config.size() > kMaxConfigNames)
      fail_at(at(name), "[config] has more than {} names", kMaxConfigNames);
  }

  void read_word_values(const toml::table& table, ConfigEntry& entry) {
    for (const auto& [word, node] : table) {
      const std::optional<double> number = node.value<double>();
      if (!number.has_value()) fail_at(at(node), "word {} stands for no number", shown(word.str()));
      entry.words[std::string(word.str())] = *number;
    }
  }

  void read_reasons(const toml::table& table, std::map<std::string, IgnoreRule>& rules) {
    for (const auto& [key, node] : table) {
      IgnoreRule rule{at(key), text_of(node, key)};
      if (rule.rule.empty()) fail_at(rule.where, "the reason for {} is empty", shown(key.str()));
      rules[std::string(key.str())] = std::move(rule);
    }
  }

  void read_refusals(const toml::table& table) {
    for (const auto& [key, node] : table) {
      Refusal refusal{at(key), parse_expression(std::string(key.str()), at(key)), text_of(node, key)};
      if (refusal.reason.empty()) fail_at(refusal.where, "the reason for {} is empty", shown(key.str()));
      family_.refuse[std::string(key.str())] = std::move(refusal);
    }
  }

  void read_tensor(const toml::key& key, const toml::node& node) {
    const RoleInfo* role = find_role(key.str());
    if (role == nullptr) {
      std::vector<std::string> names;
      for (const RoleInfo& known : roles())
        names.emplace_back(known.name);
      fail_unknown(key, "role", names);
    }
    const toml::array* list = node.as_array();
    if (list == nullptr) {
      family_.tensors[std::string(key.str())] = pattern_of(node, key, *role, at(key));
      return;
    }
    if (list->empty()) fail_at(at(key), "role {} has an empty list", shown(key.str()));
    TensorPattern pattern = pattern_of(list->front(), key, *role, at(list->front()));
    for (auto item = std::next(list->begin()); item != list->end(); ++item)
      pattern.alternatives.push_back(pattern_of(*item, key, *role, at(*item)));
    family_.tensors[std::string(key.str())] = std::move(pattern);
  }

  TensorPattern pattern_of(const toml::node& node, const toml::key& key, const RoleInfo& role,
                           const Location& where) {
    TensorPattern pattern;
    pattern.where = where;
    if (node.is_table())
      read_tensor_table(*node.as_table(), pattern);
    else
      pattern.name = text_of(node, key);
    if (pattern.name.empty()) fail_at(pattern.where, "role {} lacks a tensor 'name'", shown(key.str()));
    if (pattern.transposed && role.shape.find(',') == std::string_view::npos)
      fail_at(pattern.where, "role {} is a vector, 'transposed' is for matrices", shown(key.str()));
    check_marks(pattern, key, role);
    return pattern;
  }

  void check_marks(const TensorPattern& pattern, const toml::key& key, const RoleInfo& role) const {
    const bool has_index = pattern.name.find("{i}") != std::string::npos;
    if (has_index != role.is_layer)
      fail_at(pattern.where, "the name of role {} must {} '{{i}}'", shown(key.str()),
              role.is_layer ? "contain" : "not contain");
    const bool is_head_norm = role.role == WeightRole::kQNorm || role.role == WeightRole::kKNorm;
    if (!is_head_norm && pattern.name.find("{h}") != std::string::npos)
      fail_at(pattern.where, "role {}: only q_norm and k_norm can have '{{h}}'", shown(key.str()));
    const bool has_expert = pattern.name.find("{e}") != std::string::npos;
    if (has_expert && !role.is_expert)
      fail_at(pattern.where, "the name of role {} must not contain '{{e}}'", shown(key.str()));
    if (!has_expert && role.is_expert && !pattern.rows.has_value())
      fail_at(pattern.where,
              "role {} has one tensor for all experts: give the 'rows' of expert e, or '{{e}}' in the name",
              shown(key.str()));
  }

  void read_names(const toml::node& node, std::string_view key, TensorPattern& pattern) {
    if (!node.is_array()) {
      pattern.name = text_of(node, key);
      return;
    }
    pattern.others = texts_of(node, key);
    pattern.name = pattern.others.front();
    pattern.others.erase(pattern.others.begin());
    for (const std::string& other : pattern.others)
      if ((other.find("{i}") == std::string::npos) != (pattern.name.find("{i}") == std::string::npos))
        fail_at(at(node), "either all names of {} contain '{{i}}' or none", shown(key));
  }

  void read_tensor_table(const toml::table& table, TensorPattern& pattern) {
    for (const auto& [field, value] : table) {
      if (field == "name")
        read_names(value, field, pattern);
      else if (field == "rows")
        pattern.rows = row_pick_of(table_of(value, field), at(value));
      else if (field == "transposed")
        pattern.transposed = flag_of(value, field);
      else if (field == "add")
        pattern.add = expression_of(value, field);
      else if (field == "scale")
        pattern.scale = expression_of(value, field);
      else if (field == "normalise")
        pattern.normalise = expression_of(value, field);
      else
        fail_unknown(field, "field of a tensor:", names_of(tensor_fields()));
    }
  }

  RowPick row_pick_of(const toml::table& table, const Location& where) {
    RowPick pick;
    for (const auto& [field, value] : table) {
      if (field == "begin")
        pick.begin = expression_of(value, field);
      else if (field == "count")
        pick.count = expression_of(value, field);
      else if (field == "groups")
        pick.groups = expression_of(value, field);
      else if (field == "stride")
        pick.stride = expression_of(value, field);
      else
        fail_unknown(field, "field of 'rows':", names_of(row_fields()));
    }
    if (!table.contains("count")) fail_at(where, "'rows' lacks 'count'");
    if (table.contains("groups") != table.contains("stride"))
      fail_at(where, "'rows' needs both 'groups' and 'stride', or neither");
    return pick;
  }

  std::shared_ptr<const std::string> file_;
  Family family_;
};

}  // namespace

Family read_family(std::string_view text, std::string name, std::string file) {
  return Reader(std::move(name), std::move(file)).read(text);
}

}  // namespace llm2mnn
