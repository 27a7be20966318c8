#pragma once
// Values of config.json under the names that a family gives them.

#include <map>
#include <string>
#include <utility>

#include "arch/family_data.h"
#include "base/json.h"

namespace llm2mnn {

/// Not thread-safe: values are read once and kept.
class ConfigReader {
 public:
  ConfigReader(const Family& family, const JsonValue& config) : family_(family), config_(config) {}

  /// The value of a [config] name: the first of its keys that is there, else its default. true is 1. Of a key
  /// that holds a list with a value for each layer: that of layer `layer`; outside the layers (-1) the one
  /// that all have.
  /// @throws Error(kFormat) naming the key for a value of the wrong kind or range, for two keys that
  /// disagree, and for a missing key without default; kUnsupported for a list whose values differ, outside
  /// the layers.
  double number(const std::string& name, std::int64_t layer = -1);
  /// A value that is an integer of at least 1.
  std::int64_t size(const std::string& name, std::int64_t layer = -1);
  /// Whether some value read so far differs from layer to layer.
  bool has_layer_values() const { return !layer_values_.empty(); }
  /// Whether config.json itself gives the value (null counts as not given).
  bool is_given(const std::string& name) const;

  /// The value of an expression for layer `layer` (-1: outside the layers) or expert `expert` (-1: outside).
  double evaluate(const Expression& expression, const Location& where, std::int64_t layer = -1,
                  std::int64_t expert = -1);
  /// The same for a setting of the family.
  double evaluate(std::string_view path, std::int64_t layer = -1) {
    const Setting setting = family_.setting(path);
    return evaluate(setting.expression, setting.where, layer);
  }
  /// Whether a kLayerExpression is not 0 for a layer, by a list of config.json or by its expression.
  bool is_on(const Setting& setting, std::int64_t layer) { return layer_value(setting, layer) != 0; }
  /// The value of a setting for one layer: of a config list with a number, true or false for each, or of its
  /// expression.
  double layer_value(const Setting& setting, std::int64_t layer);
  double evaluate_setting(const Setting& setting) { return evaluate(setting.expression, setting.where); }

  const JsonValue& config() const { return config_; }
  const Family& family() const { return family_; }

 private:
  double compute(const std::string& name, std::int64_t layer);
  const JsonValue& item_of(const JsonValue& list, const std::string& key, std::int64_t layer);

  const Family& family_;
  const JsonValue& config_;
  std::map<std::string, double> values_;  // those that all layers have
  std::map<std::pair<std::string, std::int64_t>, double> layer_values_;
  bool differs_ = false;     // what is computed now reads a list whose values differ
  bool reads_list_ = false;  // the number of layers is being read for a list
};

/// The member at a dotted path, or null.
const JsonValue* find_path(const JsonValue& config, std::string_view path);

}  // namespace llm2mnn
