// What TensorClaims says of tensors that are missing or left over.
#include <algorithm>
#include <array>

#include "arch/name_pattern.h"
#include "arch/tensor_claims.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

// Suffixes under which quantised checkpoints store what we would call a weight.
constexpr std::array<std::string_view, 9> kQuantizedSuffixes = {
    ".qweight",      ".qzeros",           ".g_idx",         ".scales", ".weight_packed",
    ".weight_scale", ".weight_scale_inv", ".weight.absmax", ".SCB"};

bool looks_quantized(std::string_view name) {
  return std::any_of(kQuantizedSuffixes.begin(), kQuantizedSuffixes.end(), [&](std::string_view suffix) {
    return name.size() > suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
  });
}

}  // namespace

void TensorClaims::fail_if_missing(std::int64_t layer) {
  if (missing_.empty()) return;
  constexpr std::size_t kMaxCandidates = 4000;  // comparing names costs time
  std::vector<std::string> unused;
  bool quantized = false;
  for (TensorId id = 0; id < tensors_.size() && unused.size() < kMaxCandidates; ++id) {
    if (used_by_[id].empty()) unused.push_back(tensors_[id].name);
    quantized = quantized || looks_quantized(tensors_[id].name);
  }
  if (quantized)
    fail(ErrorKind::kUnsupported,
         "tensor {} is missing; the checkpoint is quantised already, which is not supported",
         shown(missing_.front()));
  const std::string place =
      layer < 0 ? "" : fmt::format(" (looking at layer {} of {})", layer, config_.size("num_hidden_layers"));
  fail(ErrorKind::kFormat, "missing tensors: {}{}{}; is the download complete and --type right?",
       list_names(missing_), place, did_you_mean(missing_.front(), unused));
}

std::string TensorClaims::why_left_over(const std::string& name) const {
  for (const auto& [role, whole] : family_.tensors) {
    for (const TensorPattern* pattern : patterns_of(whole)) {
      std::string wanted = pattern->name;
      if (strip_prefix_ && wanted.rfind(*family_.base_prefix, 0) == 0)
        wanted.erase(0, family_.base_prefix->size());
      if (const std::size_t at = wanted.find(kHeadMark); at != std::string::npos)
        wanted.replace(at, kHeadMark.size(), "*");
      if (matches_pattern(wanted, name, kAnyLayer)) return why_unused(role, wanted, name);
    }
  }
  return {};
}

std::string TensorClaims::why_unused(const std::string& role, const std::string& wanted,
                                     const std::string& name) const {
  const std::int64_t num_layers = config_.size("num_hidden_layers");
  if (!matches_pattern(wanted, name, num_layers))
    return fmt::format(": its layer is beyond num_hidden_layers = {}", num_layers);
  const RoleInfo* info = find_role(role);
  if (info != nullptr && info->is_expert && !info->is_bias)
    return fmt::format(": moe.layers = {} and 'num_experts' = {} have no such expert",
                       shown(family_.setting("moe.layers").expression.text(), 80),
                       config_.number("num_experts"));
  const std::string path = family_.off_switch(role);
  const Setting state = path.empty() ? Setting{} : family_.setting(path);
  return fmt::format(": role '{}' is off, {} = {}", role, path,
                     shown(state.word.empty() ? state.expression.text() : state.word, 80));
}

void TensorClaims::fail_left_over(const std::vector<TensorId>& left) const {
  std::vector<std::string> names;
  names.reserve(left.size());
  for (const TensorId id : left)
    names.push_back(tensors_[id].name);
  const auto quantized = std::find_if(names.begin(), names.end(), looks_quantized);
  if (quantized != names.end())
    fail(ErrorKind::kUnsupported, "tensor {} belongs to a quantised checkpoint, which is not supported",
         shown(*quantized));
  fail(ErrorKind::kFormat, "{} left over, family '{}' uses no {}{}",
       names.size() == 1 ? "a tensor is" : fmt::format("{} tensors are", names.size()), family_.name,
       list_names(names), why_left_over(names.front()));
}

}  // namespace llm2mnn
