#include "kernels/kernel_table.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd_kernels.cc"
#include <hwy/foreach_target.h>  // compiles this file once per target
#include <hwy/highway.h>
// clang-format on

#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
#include "kernels/convert-inl.h"
#include "kernels/groups-inl.h"
#include "kernels/pack-inl.h"
#include "kernels/search-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace llm2mnn::HWY_NAMESPACE {

const KernelTable* target_kernels() {
#if HWY_TARGET != HWY_SCALAR && !HWY_HAVE_SCALABLE
  static constexpr KernelTable kTable = {&decode,      &encode,       &group_min_max, &group_grids,
                                         &group_codes, &search_batch, &search_lanes,  &pack_codes};
  return &kTable;
#else
  return &scalar_kernels();
#endif
}

}  // namespace llm2mnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llm2mnn {

HWY_EXPORT(target_kernels);

std::vector<SimdLevel> simd_levels() {
  std::vector<SimdLevel> levels;
  const std::int64_t supported = hwy::SupportedTargets();
  for (std::int64_t left = HWY_TARGETS; left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;  // a smaller bit is a better target
    SimdLevel level{target, nullptr};
    if ((supported & target) != 0) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(target);
      level.table = HWY_DYNAMIC_DISPATCH(target_kernels)();
    }
    levels.push_back(level);
  }
  hwy::SetSupportedTargetsForTest(0);
  return levels;
}

}  // namespace llm2mnn
#endif
