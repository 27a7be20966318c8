#include "arch/tensor_claims.h"

#include <algorithm>
#include <cmath>

#include "arch/name_pattern.h"
#include "base/checked.h"

namespace llm2mnn {
namespace {

constexpr std::string_view kScales = "scales";  // the user of a tensor of scales

// Each group costs a claim in memory. Alternating rows of all experts of a layer are some hundred thousand.
constexpr std::int64_t kMaxGroups = std::int64_t{1} << 20;

std::int64_t as_row(double value, const Location& where, std::string_view what) {
  if (!(value >= 0) || value > 0x1p53 || value != std::floor(value))
    fail_at(where, "{} comes to {}, expected a non-negative integer", what, value);
  return static_cast<std::int64_t>(value);
}

// A tensor of all experts, [E, rows, cols], as the rows of all of them; `transposed`: [E, cols, rows].
Shape flattened(const Shape& shape, std::size_t rank, bool transposed) {
  Shape flat = shape;
  if (transposed && shape.size() >= 2) std::swap(flat[flat.size() - 1], flat[flat.size() - 2]);
  while (flat.size() > rank && flat.size() > 1) {
    if (!checked_mul(flat[0], flat[1], flat[0])) return shape;
    flat.erase(flat.begin() + 1);
  }
  return flat;
}

/// A stored shape as [O, I], whichever way it is stored.
Shape shape_in_rows(Shape shape, bool transposed) {
  if (transposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

}  // namespace

TensorClaims::TensorClaims(const Family& family, ConfigReader& config, std::span<const TensorInfo> tensors,
                           const SourceQuant& quant)
    : family_(family), config_(config), tensors_(tensors), stored_(tensors, quant), used_by_(tensors.size()) {
  const std::string prefix = family.base_prefix.value_or("");
  strip_prefix_ = !prefix.empty() &&
                  std::none_of(tensors.begin(), tensors.end(),
                               [&](const TensorInfo& info) { return info.name.rfind(prefix, 0) == 0; });
}

std::string TensorClaims::tensor_name(const TensorPattern& pattern, std::int64_t layer,
                                      std::int64_t expert) const {
  const auto stored_name = [&](std::string name) {
    if (layer >= 0) name = with_number(std::move(name), "{i}", layer);
    if (expert >= 0) name = with_number(std::move(name), "{e}", expert);
    if (strip_prefix_ && name.rfind(*family_.base_prefix, 0) == 0) name.erase(0, family_.base_prefix->size());
    return name;
  };
  std::string name = stored_name(pattern.name);
  if (pattern.others.empty() || stored_.find_name(name).has_value()) return name;
  for (const std::string& other : pattern.others)
    if (std::string found = stored_name(other); stored_.find_name(found).has_value()) return found;
  return name;
}

std::optional<TensorId> TensorClaims::find(std::string_view role, std::int64_t layer) const {
  const auto pattern = family_.tensors.find(std::string(role));
  if (pattern == family_.tensors.end()) return std::nullopt;
  return stored_.find_name(tensor_name(pattern_there(pattern->second, layer, -1), layer, -1));
}

const TensorPattern& TensorClaims::pattern_there(const TensorPattern& pattern, std::int64_t layer,
                                                 std::int64_t expert) const {
  if (pattern.alternatives.empty()) return pattern;
  for (const TensorPattern* way : patterns_of(pattern))
    if (stored_.find(tensor_name(*way, layer, expert)).has_value()) return *way;
  return pattern;
}

std::string_view TensorClaims::shape_words(const RoleInfo& role) {
  const bool is_latent = family_.setting("attention.kind").word == "latent";
  if (role.role == WeightRole::kOProj && !role.is_bias && is_latent)
    return "hidden_size, num_attention_heads * v_head_dim";
  const bool has_embed_size = (role.role == WeightRole::kEmbedTokens || role.role == WeightRole::kLmHead) &&
                              !role.is_bias && config_.evaluate("model.embed_proj") != 0;
  if (has_embed_size) return "vocab_size, embed_size";
  const bool is_q = role.role == WeightRole::kQNorm, is_k = role.role == WeightRole::kKNorm;
  if (!is_q && !is_k) return role.shape;
  const std::string kind = family_.setting("attention.qk_norm").word;
  if (kind == "all") return is_q ? "num_attention_heads * head_dim" : "num_key_value_heads * head_dim";
  if (kind != "heads" || is_per_head(family_.tensors.at(std::string(role.name)).name)) return role.shape;
  return is_q ? "num_attention_heads, head_dim" : "num_key_value_heads, head_dim";
}

Shape TensorClaims::expected_shape(const RoleInfo& role, std::int64_t layer) {
  // All layers share a shape until one is known to have sizes of its own.
  const auto key = [&] { return std::pair(role.name, config_.has_layer_values() ? layer : -1); };
  const auto known = shapes_.find(key());
  if (known != shapes_.end()) return known->second;
  Shape shape;
  std::string_view rest = shape_words(role);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(", "), rest.size());
    const Expression size = Expression::parse(std::string(rest.substr(0, comma)));
    shape.push_back(static_cast<std::int64_t>(config_.evaluate(size, family_.top, layer)));
    rest.remove_prefix(std::min(comma + 2, rest.size()));
  }
  if (role.role == WeightRole::kPositionEmbedding) {
    const Setting offset = family_.setting("model.position_offset");
    shape[0] += as_row(config_.evaluate_setting(offset), family_.top, "model.position_offset");
  }
  return shapes_[key()] = shape;
}

void TensorClaims::mark_used(TensorId id, const RoleInfo& role) {
  std::string& user = used_by_[id];
  if (!user.empty() && partial_.count(id) == 0)
    fail(ErrorKind::kFormat, "tensor {} is used twice, as '{}' and as '{}', by family '{}'",
         shown(tensors_[id].name), user, role.name, family_.name);
  user = std::string(role.name);
}

Binding TensorClaims::stored(TensorId id, const Shape& shape, bool transposed) {
  Binding binding = stored_.read(id, shape, transposed);
  const auto found = stored_.scales().find(id);
  if (found == stored_.scales().end()) return binding;
  std::string& user = used_by_[found->second];
  if (!user.empty() && user != kScales)
    fail(ErrorKind::kFormat, "tensor {} is used twice, as '{}' and as scales",
         shown(tensors_[found->second].name), user);
  user = kScales;
  return binding;
}

std::vector<TensorId> TensorClaims::scales() const {
  std::vector<TensorId> ids;
  for (const auto& [values, scales] : stored_.scales())
    ids.push_back(scales);
  std::sort(ids.begin(), ids.end());
  return ids;
}

Binding TensorClaims::whole(TensorId id, const RoleInfo& role, const Shape& expected,
                            const TensorPattern& pattern) {
  const TensorInfo& info = tensors_[id];
  if (partial_.count(id) != 0)
    fail(ErrorKind::kFormat, "tensor {} is used twice, in part as '{}' and whole as '{}', by family '{}'",
         shown(info.name), used_by_[id], role.name, family_.name);
  // Some store a vector as a matrix of one row.
  const bool is_row = expected.size() == 1 && info.shape == Shape{1, expected[0]};
  if (is_row) {
    mark_used(id, role);
    return stored(id, expected, false).gather_rows({{0, expected[0], 1}});
  }
  const bool transposed = pattern.transposed && !stored_.is_mxfp4(id);
  if (shape_in_rows(stored_.shape_of(id), transposed) != expected)
    fail(ErrorKind::kFormat, "tensor {}: shape is {}, config.json asks for [{}] = {}{}", shown(info.name),
         shape_text(stored_.shape_of(id)), shape_words(role), shape_text(expected),
         transposed ? ", transposed" : "");
  mark_used(id, role);
  Binding binding = stored(id, stored_.shape_of(id), transposed);
  // The norms of q and k are vectors, however they are stored.
  const bool is_head_norm = role.role == WeightRole::kQNorm || role.role == WeightRole::kKNorm;
  if (is_head_norm && expected.size() == 2 && binding.plain_source().has_value())
    return Binding::source(id, {expected[0] * expected[1]});
  // And so are the factors of convolutions; as a run of rows, since a whole tensor is read by the rows of its
  // shape.
  if (expected.size() == 3 && binding.plain_source().has_value()) {
    const std::int64_t count = binding.rows() * binding.cols();
    return Binding::source(id, {count}).gather_rows({{0, count, 1}});
  }
  return binding;
}

Binding TensorClaims::heads(const std::string& name, const RoleInfo& role, const TensorPattern& pattern,
                            std::int64_t layer) {
  const bool is_q = role.role == WeightRole::kQNorm;
  const std::int64_t count = config_.size(is_q ? "num_attention_heads" : "num_key_value_heads", layer);
  std::vector<Binding> parts;
  for (std::int64_t head = 0; head < count; ++head) {
    const std::string own = with_number(name, kHeadMark, head);
    const std::optional<TensorId> id = stored_.find_name(own);
    if (!id.has_value()) {
      missing_.push_back(own);
      return {};
    }
    parts.push_back(whole(*id, role, expected_shape(role, layer), pattern));
  }
  return Binding::concat_rows(std::move(parts));
}

Binding TensorClaims::picked(TensorId id, const RoleInfo& role, const Shape& expected,
                             const TensorPattern& pattern, std::int64_t layer, std::int64_t expert) {
  const TensorInfo& info = tensors_[id];
  const auto evaluate = [&](const Expression& expression, std::string_view what) {
    return as_row(config_.evaluate(expression, pattern.where, layer, expert), pattern.where,
                  fmt::format("'{}' of rows", what));
  };
  RowClaim rows{role.name, 0, 0, 0, 0};
  rows.begin = evaluate(pattern.rows->begin, "begin");
  rows.count = evaluate(pattern.rows->count, "count");
  rows.groups = evaluate(pattern.rows->groups, "groups");
  rows.stride = evaluate(pattern.rows->stride, "stride");
  std::int64_t num_rows = 0, end = 0;
  const bool fits = checked_mul(rows.groups, rows.count, num_rows) && rows.groups >= 1 &&
                    checked_mul(rows.groups - 1, rows.stride, end) && checked_add(end, rows.begin, end) &&
                    checked_add(end, rows.count, end);
  if (!fits || num_rows != expected[0] || (rows.groups > 1 && rows.stride < rows.count))
    fail_at(pattern.where, "role '{}': rows gives {} groups of {} with stride {}, needs {} = {} rows in all",
            role.name, rows.groups, rows.count, rows.stride,
            shape_words(role).substr(0, shape_words(role).find(',')), expected[0]);
  if (rows.groups > kMaxGroups)
    fail_at(pattern.where, "role '{}': rows gives {} groups, at most {} are read", role.name, rows.groups,
            kMaxGroups);
  const bool transposed = pattern.transposed && !stored_.is_mxfp4(id);
  const Shape shape = role.is_expert ? flattened(stored_.shape_of(id), expected.size(), transposed)
                                     : shape_in_rows(stored_.shape_of(id), transposed);
  const bool shape_fits =
      shape.size() == expected.size() && shape[0] >= end && (expected.size() == 1 || shape[1] == expected[1]);
  if (!shape_fits)
    fail(ErrorKind::kFormat, "tensor {}: shape is {}, '{}' takes rows up to {}{} by config.json{}",
         shown(info.name), shape_text(stored_.shape_of(id)), role.name, end,
         expected.size() == 1 ? "" : fmt::format(" of {} columns", expected[1]),
         transposed ? ", transposed" : "");
  mark_used(id, role);
  std::vector<RowRun> runs;
  if (rows.count == 1 && rows.groups > 1) {
    runs.push_back({rows.begin, rows.groups, rows.stride});
  } else {
    for (std::int64_t g = 0; g < rows.groups; ++g)
      runs.push_back({rows.begin + g * rows.stride, rows.count, 1});
  }
  Shared& shared = partial_[id];
  if (!shared.claims.empty() && shared.transposed != pattern.transposed)
    fail_at(pattern.where, "roles '{}' and '{}' share a tensor, and only one is transposed",
            shared.claims.front().role, role.name);
  shared.transposed = pattern.transposed;
  shared.rows = shape[0];
  shared.claims.push_back(rows);
  return stored(id, shape, transposed).gather_rows(std::move(runs));
}

Binding TensorClaims::claim(std::string_view role_name, std::int64_t layer, std::int64_t expert) {
  const RoleInfo* role = find_role(role_name);
  LLM2MNN_CHECK(role != nullptr);
  const auto found = family_.tensors.find(std::string(role_name));
  if (found == family_.tensors.end())
    fail_at(family_.top, "[tensors] names no tensor for role '{}', which this model needs", role_name);
  const TensorPattern& pattern = pattern_there(found->second, layer, expert);
  const std::string name = tensor_name(pattern, layer, expert);
  Binding binding;
  if (is_per_head(name)) {
    binding = heads(name, *role, pattern, layer);
    if (binding.is_empty()) return {};
  } else {
    const std::optional<TensorId> id = stored_.find(name);
    if (!id.has_value()) {
      missing_.push_back(name);
      return {};
    }
    const Shape expected = expected_shape(*role, layer);
    binding = pattern.rows.has_value() ? picked(*id, *role, expected, pattern, layer, expert)
                                       : whole(*id, *role, expected, pattern);
  }
  if (pattern.normalise.has_value() &&
      config_.evaluate(*pattern.normalise, pattern.where, layer, expert) != 0)
    binding = binding.normalise_rows();
  if (pattern.add.has_value())
    binding = binding.add(static_cast<float>(config_.evaluate(*pattern.add, pattern.where, layer, expert)));
  if (pattern.scale.has_value())
    binding =
        binding.scale(static_cast<float>(config_.evaluate(*pattern.scale, pattern.where, layer, expert)));
  return binding;
}

void TensorClaims::ignore(TensorId id, std::string rule) {
  if (!used_by_[id].empty()) return;
  used_by_[id] = "ignored";
  ignored_.push_back({id, std::move(rule)});
}

bool TensorClaims::ignored_by_family(TensorId id) {
  const std::int64_t num_layers = config_.size("num_hidden_layers");
  // Few models have more than one; a number that is none leaves nothing out.
  constexpr double kMostFurther = 64;
  const double further = config_.evaluate("model.mtp_layers");
  const std::int64_t num_further =
      further >= 0 && further <= kMostFurther ? static_cast<std::int64_t>(further) : 0;
  const std::string& name = tensors_[id].name;
  for (const auto& [pattern, rule] : family_.ignore) {
    const bool strips = strip_prefix_ && pattern.rfind(*family_.base_prefix, 0) == 0;
    const std::string_view shorter =
        strips ? std::string_view(pattern).substr(family_.base_prefix->size()) : std::string_view(pattern);
    if (!matches_pattern(shorter, name, num_layers, num_further)) continue;
    ignore(id, rule.rule);
    return true;
  }
  return false;
}

void TensorClaims::check_row_coverage() const {
  for (const auto& [id, shared] : partial_)
    check_row_coverage(id, shared);
}

void TensorClaims::check_row_coverage(TensorId id, const Shared& shared) const {
  struct Block {
    std::int64_t begin, end;
    std::string_view role;
  };
  std::vector<Block> sorted;
  for (const RowClaim& claim : shared.claims)
    for (std::int64_t g = 0; g < claim.groups; ++g)
      sorted.push_back(
          {claim.begin + g * claim.stride, claim.begin + g * claim.stride + claim.count, claim.role});
  std::sort(sorted.begin(), sorted.end(), [](const Block& a, const Block& b) { return a.begin < b.begin; });
  std::int64_t next = 0;
  const Block* last = nullptr;
  for (const Block& block : sorted) {
    if (block.begin < next)
      fail(ErrorKind::kFormat, "tensor {}: row {} is used twice, as '{}' and as '{}'",
           shown(tensors_[id].name), block.begin, last->role, block.role);
    if (block.begin > next) break;
    next = block.end;
    last = &block;
  }
  if (next != shared.rows)
    fail(ErrorKind::kFormat, "tensor {}: shape is {}, but row {} is used by no role of family '{}'",
         shown(tensors_[id].name), shape_text(tensors_[id].shape), next, family_.name);
}

std::vector<DecoderSpec::Ignored> TensorClaims::finish() {
  std::vector<TensorId> left;
  for (TensorId id = 0; id < tensors_.size(); ++id) {
    if (!used_by_[id].empty() || ignored_by_family(id)) continue;
    if (!stored_.scales().empty() && is_activation_scale(tensors_[id].name))
      ignore(id, "scale of activations, which stay float");
    else
      left.push_back(id);
  }
  if (!left.empty()) fail_left_over(left);
  check_row_coverage();
  std::sort(ignored_.begin(), ignored_.end(),
            [](const auto& a, const auto& b) { return a.tensor < b.tensor; });
  return std::move(ignored_);
}

}  // namespace llm2mnn
