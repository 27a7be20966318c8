// The grid of least squared error; see README.md.
#include "kernels/search.h"

#include "quant/method.h"

namespace llm2mnn {
namespace {

class Search final : public QuantMethod {
 public:
  std::string_view name() const override { return "search"; }
  std::string_view summary() const override { return "the grid of least squared error"; }
  std::size_t batch() const override { return kSearchBatch; }
  std::size_t scratch_floats(std::size_t group_len) const override {
    return search_scratch(group_len, false);
  }
  bool choose_grids(const WeightGroups& groups, const GridRule& rule, std::span<float> scratch,
                    const StoredGrids& out) const override {
    return search_grids(groups.data, groups.dtype, groups.group_len, groups.num_groups, rule, groups.min,
                        groups.max, nullptr, scratch.data(), out.scale, out.offset, out.alpha);
  }
};

}  // namespace

const QuantMethod& search_method() {
  static const Search method;
  return method;
}

}  // namespace llm2mnn
