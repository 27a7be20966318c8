#include "arch/nearest_family.h"

#include <algorithm>
#include <tuple>

#include "arch/config_keys.h"
#include "arch/name_pattern.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

constexpr std::size_t kShownNames = 2;   // a message has at most 500 characters
constexpr std::size_t kMaxNames = 2000;  // a model has some hundred without its numbers; comparing costs time

// "model.layers.3.mlp" and "model.layers.{i}.mlp" alike: a part between dots that is a number or in braces.
std::string without_numbers(std::string_view name) {
  std::string out;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    const std::string_view part = name.substr(at, dot - at);
    const bool is_number = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    const bool is_index = part.size() > 2 && part.front() == '{' && part.back() == '}';
    if (at != 0) out += '.';
    out += is_number || is_index ? "{i}" : part;
    at = dot + 1;
  }
  return out;
}

// A role that every model of the family has: no switch of the config turns it off. A family of mixtures has
// experts, though not in every layer.
bool is_certain(const Family& family, std::string_view role) {
  if (role == "lm_head" || role == "pre_mlp_norm" || family.never_uses(role)) return false;
  const std::string path = Family::switch_of(role);
  return path.empty() || path == "moe.layers" || find_vocabulary_key(path)->kind == KeyKind::kMenu;
}

FamilyFit fit(const Family& family, const std::set<std::string>& names) {
  FamilyFit fit{&family, {}, {}, {}, false};
  const std::string prefix = family.base_prefix.value_or("");
  const bool strips =
      !prefix.empty() && std::none_of(names.begin(), names.end(),
                                      [&](const std::string& name) { return name.rfind(prefix, 0) == 0; });
  const auto as_stored = [&](std::string name) {
    if (strips && name.rfind(prefix, 0) == 0) name.erase(0, prefix.size());
    return without_numbers(name);
  };
  std::set<std::string> known;
  for (const auto& [role, pattern] : family.tensors) {
    if (family.never_uses(role)) continue;
    bool is_there = false;
    for (const TensorPattern* way : patterns_of(pattern)) {
      known.insert(as_stored(way->name));
      is_there = is_there || names.count(as_stored(way->name)) != 0;
    }
    if (is_certain(family, role) && !is_there) fit.missing_tensors.push_back(as_stored(pattern.name));
  }
  std::sort(fit.missing_tensors.begin(), fit.missing_tensors.end());
  fit.missing_tensors.erase(std::unique(fit.missing_tensors.begin(), fit.missing_tensors.end()),
                            fit.missing_tensors.end());
  for (const std::string& name : names) {
    const bool is_ignored = std::any_of(family.ignore.begin(), family.ignore.end(), [&](const auto& rule) {
      // Names here have lost their numbers.
      return rule.first.find("{n}") == std::string::npos && matches_pattern(as_stored(rule.first), name, 0);
    });
    if (known.count(name) == 0 && !is_ignored) fit.strange_tensors.push_back(name);
  }
  fit.is_close = 2 * fit.strange_tensors.size() < names.size();
  return fit;
}

std::string short_list(const std::vector<std::string>& names) {
  std::vector<std::string> cut;
  for (const std::string& name : names)
    cut.push_back(name.size() <= 60 ? name : name.substr(0, 57) + "...");
  return list_names(cut, kShownNames);
}

}  // namespace

std::vector<FamilyFit> fit_families(std::span<const std::shared_ptr<const Family>> families,
                                    const JsonValue& config, std::span<const TensorInfo> tensors,
                                    const std::set<std::string>& known_keys) {
  std::set<std::string> names;
  for (const TensorInfo& info : tensors) {
    if (names.size() == kMaxNames) break;
    names.insert(without_numbers(info.name));
  }
  std::vector<FamilyFit> fits;
  for (const auto& family : families) {
    fits.push_back(fit(*family, names));
    fits.back().strange_keys = refused_config_keys(config, *family, known_keys);
  }
  const auto rank = [](const FamilyFit& fit) {
    return std::tuple(fit.strange_tensors.size() + fit.missing_tensors.size(), fit.strange_keys.size(),
                      !fit.family->inherits.empty());
  };
  std::stable_sort(fits.begin(), fits.end(),
                   [&](const FamilyFit& a, const FamilyFit& b) { return rank(a) < rank(b); });
  return fits;
}

std::string describe_fit(const std::vector<FamilyFit>& fits) {
  if (fits.empty()) return {};
  const FamilyFit& best = fits.front();
  if (!best.is_close)
    return fmt::format("its tensors are like no family's: {}", short_list(best.strange_tensors));
  const std::string& type = best.family->model_types.front();
  if (best.is_whole())
    return fmt::format("its tensors and keys are those of {}: --type {} reads it", shown(type), shown(type));
  const std::string text = fmt::format(
      "by its tensors it is nearest to {} (--type {}), which does not understand", shown(type), shown(type));
  std::vector<std::string> parts;
  if (!best.strange_tensors.empty()) parts.push_back("tensors " + short_list(best.strange_tensors));
  if (!best.strange_keys.empty()) parts.push_back("keys " + short_list(best.strange_keys));
  if (!best.missing_tensors.empty()) parts.push_back("a lack of " + short_list(best.missing_tensors));
  return fmt::format("{} {}", text, fmt::join(parts, "; "));
}

}  // namespace llm2mnn
