#pragma once
// Simple chat templates of the wide-spread families. They know texts of system, user and assistant only, and
// once lowered, MNN's runtime renders them as Jinja would.

#include <span>
#include <string_view>

namespace llm2mnn::jinja {

struct FamilyTemplate {
  std::string_view name;  ///< "chatml", "llama3", ...
  std::string_view text;
};

std::span<const FamilyTemplate> family_templates();

}  // namespace llm2mnn::jinja
