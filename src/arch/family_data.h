#pragma once
// A family file in memory. Maps keep every derived list in one order.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "arch/expression.h"
#include "arch/vocabulary.h"
#include "base/error.h"

namespace llm2mnn {

/// Where something was written.
struct Location {
  std::shared_ptr<const std::string> file;
  std::uint32_t line = 0;
  /// "family.toml:12".
  std::string text() const;
};

/// Throws Error(kFormat) "FILE:LINE: ...".
template <typename... Args>
[[noreturn]] void fail_at(const Location& where, fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorKind::kFormat, "{}: {}", where.text(), fmt::format(format, std::forward<Args>(args)...));
}

/// [config] NAME: where a value is found in config.json, and what holds when it is not there.
struct ConfigEntry {
  Location where;
  std::vector<std::string> keys;  ///< tried in order; a dot goes into an object; empty: the name itself
  std::optional<Expression> if_missing;  ///< `default`
  std::optional<Expression> if_null;     ///< `null`; without it `default` holds
  std::map<std::string, double> words;   ///< what the strings of a key stand for
};

/// A choice or number of the vocabulary.
struct Setting {
  Location where;
  std::string word;       ///< of a menu
  Expression expression;  ///< of an expression, or the `default` of layer_types
  /// Not of kExpression and kMenu: config keys, tried in order. Empty: `word` or `expression` always holds.
  std::vector<std::string> keys;
  std::map<std::string, std::string> words;  ///< config word -> menu word, before the general table
};

/// Rows of a stored tensor that a role takes: for g < groups, rows [begin + g * stride, + count).
struct RowPick {
  Expression begin, count;
  Expression groups = Expression::constant(1);
  Expression stride = Expression::constant(0);
};

struct TensorPattern {
  Location where;
  std::string name;                 ///< with {i} for the layer and {e} for the expert
  std::vector<std::string> others;  ///< looked for in turn when `name` is not there
  bool transposed = false;          ///< stored [in, out]
  std::optional<RowPick> rows;
  std::optional<Expression> add;        ///< to every element
  std::optional<Expression> scale;      ///< of every element, after `add`
  std::optional<Expression> normalise;  ///< not 0: each row over its length, before all else
  std::vector<TensorPattern>
      alternatives;  ///< other ways to store it: the first whose tensor is there counts
};

/// The pattern and its alternatives, in order.
std::vector<const TensorPattern*> patterns_of(const TensorPattern& pattern);

struct IgnoreRule {
  Location where;
  std::string rule;
};

/// A model of the family's type that the family does not describe.
struct Refusal {
  Location where;
  Expression when;  ///< not 0: this model
  std::string reason;
};

/// A family: first as its file says, then with its ancestors' parts filled in.
class Family {
 public:
  std::string name;
  Location top;
  std::string source;
  std::string inherits;
  std::optional<std::string> base_prefix;
  std::vector<std::string> model_types;
  std::vector<std::string> architectures;
  std::map<std::string, ConfigEntry> config;
  std::map<std::string, IgnoreRule> harmless;  ///< config keys that cannot change the result, with the reason
  std::map<std::string, Setting> settings;
  std::map<std::string, TensorPattern> tensors;
  std::map<std::string, IgnoreRule> ignore;
  std::map<std::string, Refusal> refuse;  ///< by the text of the expression

  /// The setting at `path`; the vocabulary's fallback when nobody set it.
  Setting setting(std::string_view path) const;
  /// A setting of the rope of one layer type: [rope.full] before [rope].
  Setting rope_setting(std::string_view layer_type, std::string_view key) const;
  /// The setting that decides whether a role is used ("attention.q_bias"), or empty for one always used.
  static std::string switch_of(std::string_view role);
  /// The same where two settings decide together: the one that leaves the role out.
  std::string off_switch(std::string_view role) const;
  /// Whether the family's choices leave the role out whatever config.json says.
  bool never_uses(std::string_view role) const;
  /// Names of [config] that some expression or the code reads.
  std::set<std::string> used_names() const;
  /// Config keys that the family consumes, dotted paths by their first part too.
  std::set<std::string> consumed_keys() const;
};

/// Parses one file; inheritance is not resolved. `file` is shown in messages.
Family read_family(std::string_view text, std::string name, std::string file);

/// `child` with what it does not say taken from `parent` (already complete), then checked as a whole.
Family inherit(Family child, const Family* parent);

}  // namespace llm2mnn
