#pragma once
// Which families are like a checkpoint whose model_type nobody claims, by its tensor names and config keys.

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "arch/family_data.h"
#include "base/json.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {

/// What a family makes of a checkpoint's names. Numbers between dots are written {i}, each name once.
struct FamilyFit {
  const Family* family;
  std::vector<std::string> strange_tensors;  ///< no role and no rule of the family names them
  std::vector<std::string> missing_tensors;  ///< of roles that every model of the family has
  std::vector<std::string> strange_keys;     ///< config keys that may matter and that it would refuse
  bool is_close = false;                     ///< it knows more than half of the names

  bool is_whole() const { return strange_tensors.empty() && missing_tensors.empty() && strange_keys.empty(); }
};

/// All families, the nearest first: fewest strange and missing tensors, then fewest strange keys, then those
/// that inherit from none, then by name.
/// @param known_keys  config keys that any family reads
std::vector<FamilyFit> fit_families(std::span<const std::shared_ptr<const Family>> families,
                                    const JsonValue& config, std::span<const TensorInfo> tensors,
                                    const std::set<std::string>& known_keys);

/// One clause for an error: which families come near, and what the nearest would not understand.
std::string describe_fit(const std::vector<FamilyFit>& fits);

}  // namespace llm2mnn
