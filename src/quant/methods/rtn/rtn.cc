// Plain rounding; see README.md.
#include "quant/method.h"

namespace llm2mnn {
namespace {

class Rtn final : public QuantMethod {
 public:
  std::string_view name() const override { return "rtn"; }
  std::string_view summary() const override { return "the grid spans the group's range"; }
  std::size_t scratch_floats(std::size_t) const override { return 0; }
  bool choose_grids(const WeightGroups& groups, const GridRule& rule, std::span<float>,
                    const StoredGrids& out) const override {
    return group_grids(rule, groups.min, groups.max, groups.num_groups, out.scale, out.offset, out.alpha);
  }
};

}  // namespace

const QuantMethod& rtn_method() {
  static const Rtn method;
  return method;
}

}  // namespace llm2mnn
