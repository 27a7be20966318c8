#pragma once
// families/*/family.toml and containers/*/container.toml, as the build put them into the binary.

#include <span>
#include <string_view>

namespace llm2mnn {

struct EmbeddedFamily {
  std::string_view name;  ///< of the folder
  std::string_view text;
};

/// Sorted by name. Defined in a file that the build generates (cmake/embed_families.cmake).
std::span<const EmbeddedFamily> embedded_families();
std::span<const EmbeddedFamily> embedded_containers();

}  // namespace llm2mnn
