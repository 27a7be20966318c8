#pragma once
// config.json and a list of tensors, read through a family.

#include <set>
#include <span>

#include "arch/decoder_spec.h"
#include "arch/family_data.h"
#include "base/json.h"

namespace llm2mnn {

struct DescribeInput {
  const Family& family;
  const JsonValue& config;
  std::span<const TensorInfo> tensors;  ///< sorted by name
  std::set<std::string> known_keys;     ///< config keys that any family of the registry reads
  bool by_type = false;                 ///< the user chose the family, `architectures` is not looked at
};

/// FamilyRegistry::describe without a registry; its errors.
DecoderSpec describe_model(const DescribeInput& input);

}  // namespace llm2mnn
