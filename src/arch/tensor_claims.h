#pragma once
// The exact-once rule: each tensor of the checkpoint is used once, every row of it, or ignored by a named
// rule.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "arch/config_reader.h"
#include "arch/decoder_spec.h"
#include "arch/family_data.h"
#include "arch/stored_tensors.h"

namespace llm2mnn {

class TensorClaims {
 public:
  /// `tensors` sorted by name. References are kept.
  TensorClaims(const Family& family, ConfigReader& config, std::span<const TensorInfo> tensors,
               const SourceQuant& quant);

  /// The weight of a role, for layer `layer` and expert `expert` (-1: none). A missing tensor is remembered
  /// and gives an empty binding, so that all missing ones of a layer can be named at once.
  /// @throws Error: kFormat for a shape that config.json contradicts, or a tensor used twice; kUnsupported
  /// for a dtype that holds no plain weights.
  Binding claim(std::string_view role, std::int64_t layer = -1, std::int64_t expert = -1);
  /// Whether the role's tensor is in the checkpoint.
  std::optional<TensorId> find(std::string_view role, std::int64_t layer = -1) const;
  /// Leaves a stored tensor out by a rule of the code.
  void ignore(TensorId id, std::string rule);

  /// @throws Error(kFormat) naming what `claim` missed so far, with near matches.
  void fail_if_missing(std::int64_t layer);
  /// Checks that nothing is left over and that no row is used twice or never.
  /// @returns the ignored tensors, by name.
  std::vector<DecoderSpec::Ignored> finish();
  /// Tensors that hold scales of claimed weights, sorted.
  std::vector<TensorId> scales() const;

 private:
  /// Rows that a role takes of a tensor: RowPick in numbers.
  struct RowClaim {
    std::string_view role;
    std::int64_t begin, count, groups, stride;
  };
  /// A tensor that several roles share.
  struct Shared {
    bool transposed = false;
    std::int64_t rows = 0;
    std::vector<RowClaim> claims;
  };

  /// The pattern, or that of its alternatives whose tensor is there.
  const TensorPattern& pattern_there(const TensorPattern& pattern, std::int64_t layer,
                                     std::int64_t expert) const;
  std::string tensor_name(const TensorPattern& pattern, std::int64_t layer, std::int64_t expert) const;
  /// StoredTensors::read; the scales count as used.
  Binding stored(TensorId id, const Shape& shape, bool transposed);
  Binding whole(TensorId id, const RoleInfo& role, const Shape& expected, const TensorPattern& pattern);
  /// The vectors of all heads, one after the other; `name` has {h}. Empty when one is missing.
  Binding heads(const std::string& name, const RoleInfo& role, const TensorPattern& pattern,
                std::int64_t layer);
  Binding picked(TensorId id, const RoleInfo& role, const Shape& expected, const TensorPattern& pattern,
                 std::int64_t layer, std::int64_t expert);
  /// The role's shape in config names; that of q_norm, k_norm and o_proj is a choice of the family.
  std::string_view shape_words(const RoleInfo& role);
  Shape expected_shape(const RoleInfo& role, std::int64_t layer);
  void mark_used(TensorId id, const RoleInfo& role);
  void check_row_coverage() const;
  void check_row_coverage(TensorId id, const Shared& shared) const;
  bool ignored_by_family(TensorId id);
  [[noreturn]] void fail_left_over(const std::vector<TensorId>& left) const;
  std::string why_left_over(const std::string& name) const;
  /// Why no role used the tensor that `wanted`, a pattern of `role`, names.
  std::string why_unused(const std::string& role, const std::string& wanted, const std::string& name) const;

  const Family& family_;
  ConfigReader& config_;
  std::span<const TensorInfo> tensors_;
  StoredTensors stored_;
  bool strip_prefix_ = false;         // the whole checkpoint lacks the base prefix
  std::vector<std::string> used_by_;  // [tensors] role, or empty
  std::map<TensorId, Shared> partial_;
  std::vector<DecoderSpec::Ignored> ignored_;
  std::vector<std::string> missing_;
  std::map<std::pair<std::string_view, std::int64_t>, Shape> shapes_;  // by role and layer
};

}  // namespace llm2mnn
