#pragma once
// What becomes of the config keys that a family does not read.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "arch/family_data.h"
#include "base/json.h"

namespace llm2mnn {

/// Whether the name of a config key speaks of the computation ("attention_multiplier", "use_qk_norm").
bool speaks_of_computation(std::string_view key);
/// Whether `key` does nothing at this value (null, false, 0, 1 for a factor).
bool is_neutral_value(std::string_view key, const JsonValue& value, const JsonValue& config);
/// Keys that never change the result: training, generation, bookkeeping.
bool is_harmless_key(std::string_view key);

/// Config keys that the family does not read and that may change the computation.
/// @param known  keys that any family reads
std::vector<std::string> refused_config_keys(const JsonValue& config, const Family& family,
                                             const std::set<std::string>& known);
/// Keys that config.json has, that nobody reads, and that cannot change the result.
/// @param known  keys that any family of the registry reads
/// @throws Error(kUnsupported) naming a key that may change the computation and is not neutral.
std::vector<std::string> unread_config_keys(const JsonValue& config, const Family& family,
                                            const std::set<std::string>& known);

}  // namespace llm2mnn
