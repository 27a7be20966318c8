#include "kernels/simd_level.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hwy/highway.h>

#include "base/error.h"
#include "kernels/kernel_table.h"

namespace llm2mnn {
namespace {

constexpr std::string_view kScalar = "scalar";

std::string level_name(std::int64_t target) {
  std::string name = hwy::TargetName(target);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

struct NamedLevel {
  std::string name;
  const KernelTable* table;  // null: not on this CPU
};

/// Every level of this binary, best first, the scalar reference last.
const std::vector<NamedLevel>& all_levels() {
  static const std::vector<NamedLevel> kLevels = [] {
    std::vector<NamedLevel> levels;
    for (const SimdLevel& level : simd_levels()) {
      const std::string name = level_name(level.target);
      if (name != kScalar) levels.push_back({name, level.table});
    }
    levels.push_back({std::string(kScalar), &scalar_kernels()});
    return levels;
  }();
  return kLevels;
}

const NamedLevel* best_level() {
  for (const NamedLevel& level : all_levels()) {
    if (level.table != nullptr) return &level;
  }
  return nullptr;  // not reached: scalar always has a table
}

std::atomic<const NamedLevel*>& active_level() {
  static std::atomic<const NamedLevel*> level{best_level()};
  return level;
}

}  // namespace

const KernelTable& active_kernels() { return *active_level().load(std::memory_order_relaxed)->table; }

std::string active_simd_level() { return active_level().load()->name; }

std::vector<std::string> available_simd_levels() {
  std::vector<std::string> names;
  for (const NamedLevel& level : all_levels()) {
    if (level.table != nullptr) names.push_back(level.name);
  }
  return names;
}

void force_simd_level(std::string_view name) {
  for (const NamedLevel& level : all_levels()) {
    if (level.name != name) continue;
    if (level.table == nullptr) {
      fail(ErrorKind::kInvalidArgument, "SIMD level {}: this CPU lacks it; it has {}", shown(name),
           fmt::join(available_simd_levels(), ", "));
    }
    active_level() = &level;
    return;
  }
  fail(ErrorKind::kInvalidArgument, "SIMD level {}: unknown; this CPU has {}", shown(name),
       fmt::join(available_simd_levels(), ", "));
}

void select_simd_level() {
  const char* wanted = std::getenv(kSimdLevelVariable);
  if (wanted == nullptr || *wanted == '\0') {
    active_level() = best_level();
    return;
  }
  try {
    force_simd_level(wanted);
  } catch (Error& error) {
    error.add_context(kSimdLevelVariable);
    throw;
  }
}

}  // namespace llm2mnn
