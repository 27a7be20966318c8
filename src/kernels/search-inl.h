// Search for the grid of a group; a lane is a group, so that sums run in one order at every level. Included
// once per Highway target (see simd_kernels.cc).
// clang-format off
#if defined(LLM2MNN_KERNELS_SEARCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LLM2MNN_KERNELS_SEARCH_INL_H_
#undef LLM2MNN_KERNELS_SEARCH_INL_H_
#else
#define LLM2MNN_KERNELS_SEARCH_INL_H_
#endif
// clang-format on

#include <algorithm>
#include <array>
#include <limits>

#include "kernels/kernel_table.h"
#include "kernels/lanes-inl.h"
#include "kernels/scalar_kernels.h"
#include "kernels/search.h"
#include "kernels/search_starts.h"

HWY_BEFORE_NAMESPACE();
namespace llm2mnn::HWY_NAMESPACE {

template <class V>
struct SearchGrid {
  V error;  // of its codes, in squares of the unit
  V scale;
  V offset;
};

// One batch of Lanes(df) groups. Weighted: every square and product times the value's importance.
template <class DF, bool kWeighted>
class GridSearch {
  using V = VecOf<DF>;
  using Grid = SearchGrid<V>;

 public:
  /// `values` and `importance`: [group_len][lanes].
  GridSearch(const GridRule& rule, std::size_t group_len, const float* values, const float* importance, V min,
             V max)
      : rule_(rule),
        plan_(search::plan_of(rule, group_len)),
        len_(group_len),
        lanes_(hn::Lanes(df_)),
        values_(values),
        importance_(importance),
        min_(min),
        max_(max) {
    const auto half = static_cast<float>(1 << (rule.bits - 1));
    low_ = hn::Set(df_, -half);
    high_ = hn::Set(df_, half - 1);
    magic_ = hn::Set(df_, scalar::kRoundMagic);
    const V range = hn::Sub(max, min);
    const V one = hn::Set(df_, 1.0f);
    const V step = hn::Div(range, hn::Set(df_, 2 * half - 1));
    unit_ = hn::IfThenElse(hn::Lt(range, hn::Set(df_, search::kLeastRange)), one, step);
    per_unit_ = hn::Div(one, unit_);
    const V count = total_importance();
    per_count_ = hn::IfThenElse(hn::Gt(count, hn::Zero(df_)), hn::Div(one, count), hn::Zero(df_));
  }

  /// Replaces the stored grids of the lanes for which it finds a better one.
  void improve(float* scale, float* offset) {
    std::array<Grid, search::kSecond> second;
    clear(second);
    add_starts(second);
    std::array<Grid, search::kThird> third;
    clear(third);
    for (std::size_t i = 0; i < plan_.second; ++i)
      insert(third, plan_.third, fit(second[i].scale, second[i].offset));
    V best_scale = hn::LoadU(df_, scale);
    V best_offset = hn::LoadU(df_, offset);
    V best_error = stored_error(best_scale, best_offset);
    for (std::size_t i = 0; i < plan_.third; ++i) {
      const Grid grid = stored(alternate(third[i]));
      const auto better = hn::Lt(grid.error, best_error);
      best_error = hn::IfThenElse(better, grid.error, best_error);
      best_scale = hn::IfThenElse(better, grid.scale, best_scale);
      best_offset = hn::IfThenElse(better, grid.offset, best_offset);
    }
    hn::StoreU(best_scale, df_, scale);
    hn::StoreU(best_offset, df_, offset);
  }

 private:
  struct Sums {
    V q, qq, r, qr, rr;
    void add(const Sums& other) {
      q = hn::Add(q, other.q);
      qq = hn::Add(qq, other.qq);
      r = hn::Add(r, other.r);
      qr = hn::Add(qr, other.qr);
      rr = hn::Add(rr, other.rr);
    }
  };
  Sums no_sums() const {
    const V zero = hn::Zero(df_);
    return {zero, zero, zero, zero, zero};
  }

  V total_importance() const {
    if constexpr (!kWeighted) return hn::Set(df_, static_cast<float>(len_));
    V total = hn::Zero(df_);
    for (std::size_t begin = 0; begin < len_; begin += search::kSumRun) {
      V run = hn::Zero(df_);
      for (std::size_t i = begin; i < std::min(len_, begin + search::kSumRun); ++i)
        run = hn::Add(run, hn::LoadU(df_, importance_ + i * lanes_));
      total = hn::Add(total, run);
    }
    return total;
  }

  /// Sums over the codes q nearest to a grid and what they leave, r = (value - offset) / scale - q.
  Sums sums_of(V scale, V offset) const {
    const V per_step = hn::Div(hn::Set(df_, 1.0f), scale);
    Sums total = no_sums();
    for (std::size_t begin = 0; begin < len_; begin += search::kSumRun) {
      Sums run = no_sums();
      for (std::size_t i = begin; i < std::min(len_, begin + search::kSumRun); ++i) {
        const V t = hn::Mul(hn::Sub(hn::LoadU(df_, values_ + i * lanes_), offset), per_step);
        const V clamped = hn::Min(hn::Max(t, low_), high_);
        const V q = hn::Sub(hn::Add(clamped, magic_), magic_);
        const V r = hn::Sub(t, q);
        V wq = q, wr = r;
        if constexpr (kWeighted) {
          const V weight = hn::LoadU(df_, importance_ + i * lanes_);
          wq = hn::Mul(q, weight);
          wr = hn::Mul(r, weight);
        }
        run.q = hn::Add(run.q, wq);
        run.qq = hn::Add(run.qq, hn::Mul(wq, q));
        run.r = hn::Add(run.r, wr);
        run.qr = hn::Add(run.qr, hn::Mul(wq, r));
        run.rr = hn::Add(run.rr, hn::Mul(wr, r));
      }
      total.add(run);
    }
    return total;
  }

  /// The codes of a grid, and the grid of least squares for them with its error.
  Grid fit(V scale, V offset) const {
    const Sums sums = sums_of(scale, offset);
    const V zero = hn::Zero(df_);
    V qq = sums.qq, qr = sums.qr, rr = sums.rr;
    if (!rule_.symmetric) {
      qq = hn::Sub(qq, hn::Mul(hn::Mul(sums.q, sums.q), per_count_));
      qr = hn::Sub(qr, hn::Mul(hn::Mul(sums.q, sums.r), per_count_));
      rr = hn::Sub(rr, hn::Mul(hn::Mul(sums.r, sums.r), per_count_));
    }
    const V a = hn::IfThenElse(hn::Gt(qq, zero), hn::Div(qr, qq), zero);
    const V step = hn::Mul(scale, per_unit_);
    Grid grid;
    grid.error = hn::Max(hn::Mul(hn::Sub(rr, hn::Mul(a, qr)), hn::Mul(step, step)), zero);
    grid.scale = hn::Add(scale, hn::Mul(scale, a));
    grid.offset = offset;
    if (!rule_.symmetric) {
      const V b = hn::Mul(hn::Sub(sums.r, hn::Mul(a, sums.q)), per_count_);
      grid.offset = hn::Add(offset, hn::Mul(scale, b));
    }
    // The codes of a usable grid grow with the values.
    const auto usable = hn::Gt(grid.scale, zero);
    grid.scale = hn::IfThenElse(usable, grid.scale, scale);
    grid.offset = hn::IfThenElse(usable, grid.offset, offset);
    return grid;
  }

  /// Sum of squared errors of a grid as it is stored, with the codes of `group_codes`.
  V stored_error(V scale, V offset) const {
    V total = hn::Zero(df_);
    for (std::size_t begin = 0; begin < len_; begin += search::kSumRun) {
      V run = hn::Zero(df_);
      for (std::size_t i = begin; i < std::min(len_, begin + search::kSumRun); ++i) {
        const V x = hn::LoadU(df_, values_ + i * lanes_);
        const V t = hn::Div(hn::Sub(x, offset), scale);
        const V q = hn::Sub(hn::Add(hn::Min(hn::Max(t, low_), high_), magic_), magic_);
        const V d = hn::Mul(hn::Sub(x, hn::Add(hn::Mul(q, scale), offset)), per_unit_);
        V square = hn::Mul(d, d);
        if constexpr (kWeighted) square = hn::Mul(square, hn::LoadU(df_, importance_ + i * lanes_));
        run = hn::Add(run, square);
      }
      total = hn::Add(total, run);
    }
    return total;
  }

  /// Codes and fit in turn, in each lane until that gains too little.
  Grid alternate(Grid grid) const {
    auto is_active = hn::Gt(grid.scale, hn::Zero(df_));
    for (int n = 0; n < search::kMaxAlternations; ++n) {
      const Grid next = fit(grid.scale, grid.offset);
      const V gain = hn::Mul(grid.error, hn::Set(df_, search::kLeastGain));
      is_active = hn::And(is_active, hn::Lt(next.error, hn::Sub(grid.error, gain)));
      if (hn::AllFalse(df_, is_active)) break;
      grid.error = hn::IfThenElse(is_active, next.error, grid.error);
      grid.scale = hn::IfThenElse(is_active, next.scale, grid.scale);
      grid.offset = hn::IfThenElse(is_active, next.offset, grid.offset);
    }
    return grid;
  }

  /// A grid rounded to its stored types, the offset fitted to the stored scale; its error is Inf when it
  /// cannot be stored.
  Grid stored(const Grid& grid) const {
    Grid result;
    result.scale = as_stored(grid.scale);
    result.offset = grid.offset;
    const V inf = hn::Set(df_, std::numeric_limits<float>::infinity());
    const auto fits = hn::And(hn::Gt(result.scale, hn::Zero(df_)), hn::Lt(result.scale, inf));
    const V safe = hn::IfThenElse(fits, result.scale, unit_);
    if (!rule_.symmetric) {
      const Sums sums = sums_of(safe, grid.offset);
      result.offset = as_stored(hn::Add(grid.offset, hn::Mul(safe, hn::Mul(sums.r, per_count_))));
    }
    const auto is_finite = hn::And(fits, hn::Lt(hn::Abs(result.offset), inf));
    result.error = hn::IfThenElse(is_finite, stored_error(safe, result.offset), inf);
    return result;
  }

  V as_stored(V value) const {
    if (!rule_.f16) return value;
    const hn::Rebind<std::uint32_t, DF> d32;
    const auto bits = f32_to_half(df_, value);
    const auto too_large = hn::Ge(hn::Abs(value), hn::Set(df_, 65520.0f));
    return hn::IfThenElse(too_large, hn::Set(df_, std::numeric_limits<float>::infinity()),
                          half_to_f32(d32, bits));
  }

  template <std::size_t kCount>
  void clear(std::array<Grid, kCount>& list) const {
    list.fill({hn::Set(df_, std::numeric_limits<float>::infinity()), unit_, hn::Zero(df_)});
  }

  /// Keeps the `count` grids of least error, in order; of equal ones the first.
  template <std::size_t kCount>
  void insert(std::array<Grid, kCount>& list, std::size_t count, Grid grid) const {
    for (std::size_t i = 0; i < count; ++i) {
      Grid& kept = list[i];
      const auto better = hn::Lt(grid.error, kept.error);
      const Grid old = kept;
      kept.error = hn::IfThenElse(better, grid.error, old.error);
      kept.scale = hn::IfThenElse(better, grid.scale, old.scale);
      kept.offset = hn::IfThenElse(better, grid.offset, old.offset);
      grid.error = hn::IfThenElse(better, old.error, grid.error);
      grid.scale = hn::IfThenElse(better, old.scale, grid.scale);
      grid.offset = hn::IfThenElse(better, old.offset, grid.offset);
    }
  }

  void add_starts(std::array<Grid, search::kSecond>& list) const {
    if (rule_.symmetric) {
      add_symmetric_starts(list);
    } else if (plan_.kind == search::StartKind::kRatios) {
      add_ratio_starts(list);
    } else {
      const V zero = hn::Zero(df_);
      const auto add = [&](search::Inset inset) HWY_ATTR {
        add_start(list, zero, hn::Sub(hn::Neg(min_), hn::Mul(unit_, hn::Set(df_, inset.low))),
                  hn::Sub(max_, hn::Mul(unit_, hn::Set(df_, inset.high))));
      };
      if (plan_.kind == search::StartKind::kInsets)
        for (const search::Inset inset : search::kInside)
          add(inset);
      else
        for (std::size_t i = 0; i < plan_.starts; ++i)
          add(search::kAround[i]);
    }
  }

  /// A grid from `middle - below` to `middle + above`.
  void add_start(std::array<Grid, search::kSecond>& list, V middle, V below, V above) const {
    const V per_level = hn::Set(df_, 1.0f / static_cast<float>((1 << rule_.bits) - 1));
    const V scale = hn::Mul(hn::Add(below, above), per_level);
    const V safe = hn::IfThenElse(hn::Gt(scale, hn::Zero(df_)), scale, unit_);
    insert(list, plan_.second, fit(safe, hn::Sub(hn::Sub(middle, below), hn::Mul(safe, low_))));
  }

  void add_ratio_starts(std::array<Grid, search::kSecond>& list) const {
    const V mean = mean_of();
    const V least = hn::Max(hn::Mul(deviation_of(mean), hn::Set(df_, plan_.deviations)), unit_);
    std::array<V, search::kRatioEnds> below, above;
    place_ends(hn::Sub(mean, min_), least, below);
    place_ends(hn::Sub(max_, mean), least, above);
    for (const V low : below)
      for (const V high : above)
        add_start(list, mean, low, high);
  }

  /// From the range's end at `distance` down to `least`.
  void place_ends(V distance, V least, std::array<V, search::kRatioEnds>& ends) const {
    static_assert(search::kRatioEnds == 6, "two ends, and four ratios to the last one");
    const V one = hn::Set(df_, 1.0f);
    const V all = hn::IfThenElse(hn::Gt(distance, least), hn::Div(least, distance), one);
    const V ratio = hn::Sqrt(hn::Sqrt(all));
    ends[0] = hn::Add(distance, hn::Mul(unit_, hn::Set(df_, 0.5f)));
    ends[1] = distance;
    for (std::size_t i = 2; i < ends.size(); ++i)
      ends[i] = hn::Mul(ends[i - 1], ratio);
  }

  void add_symmetric_starts(std::array<Grid, search::kSecond>& list) const {
    const V steps = hn::Add(high_, hn::Set(df_, 0.5f));
    V largest = hn::Max(hn::Neg(min_), max_);
    largest = hn::IfThenElse(hn::Gt(largest, hn::Set(df_, search::kLeastRange)), largest, hn::Set(df_, 1.0f));
    const V scale = hn::Div(largest, steps);
    V first = hn::Mul(scale, hn::Add(hn::Set(df_, 1.0f), hn::Div(hn::Set(df_, 0.9f), hn::Neg(low_))));
    V last = hn::Mul(scale, hn::Sub(hn::Set(df_, 1.0f), hn::Div(hn::Set(df_, 1.8f), hn::Neg(low_))));
    if (plan_.kind == search::StartKind::kRatios) {
      const V least = hn::Mul(deviation_of(hn::Zero(df_)), hn::Set(df_, plan_.deviations));
      first = scale;
      last = hn::Min(scale, hn::Div(least, steps));
    }
    last = hn::Max(last, hn::Mul(scale, hn::Set(df_, 0.05f)));
    const V gap = hn::Mul(hn::Sub(last, first), hn::Set(df_, 1.0f / (search::kSymmetricStarts - 1)));
    for (std::size_t i = 0; i < search::kSymmetricStarts; ++i)
      insert(list, plan_.second,
             fit(hn::Add(first, hn::Mul(gap, hn::Set(df_, static_cast<float>(i)))), hn::Zero(df_)));
  }

  V mean_of() const {
    V total = hn::Zero(df_);
    for (std::size_t begin = 0; begin < len_; begin += search::kSumRun) {
      V run = hn::Zero(df_);
      for (std::size_t i = begin; i < std::min(len_, begin + search::kSumRun); ++i)
        run = hn::Add(run, hn::LoadU(df_, values_ + i * lanes_));
      total = hn::Add(total, run);
    }
    return hn::Mul(total, hn::Set(df_, 1.0f / static_cast<float>(len_)));
  }

  V deviation_of(V mean) const {
    V total = hn::Zero(df_);
    for (std::size_t begin = 0; begin < len_; begin += search::kSumRun) {
      V run = hn::Zero(df_);
      for (std::size_t i = begin; i < std::min(len_, begin + search::kSumRun); ++i) {
        const V d = hn::Mul(hn::Sub(hn::LoadU(df_, values_ + i * lanes_), mean), per_unit_);
        run = hn::Add(run, hn::Mul(d, d));
      }
      total = hn::Add(total, run);
    }
    return hn::Mul(hn::Sqrt(hn::Mul(total, hn::Set(df_, 1.0f / static_cast<float>(len_)))), unit_);
  }

  const DF df_;
  const GridRule rule_;
  const search::Plan plan_;
  const std::size_t len_, lanes_;
  const float* values_;
  const float* importance_;
  V min_, max_;
  V low_, high_, magic_;  // codes; kRoundMagic
  V unit_, per_unit_;     // the step of the range's own grid: errors are measured by it
  V per_count_;           // 1 over the number of values, or over their importance
};

template <class DF>
void improve_grids(const SearchInput& in, float* scale, float* offset) {
  const DF df;
  const auto min = hn::LoadU(df, in.min);
  const auto max = hn::LoadU(df, in.max);
  if (in.importance == nullptr)
    GridSearch<DF, false>(in.rule, in.group_len, in.values, nullptr, min, max).improve(scale, offset);
  else
    GridSearch<DF, true>(in.rule, in.group_len, in.values, in.importance, min, max).improve(scale, offset);
}

void search_batch(const SearchInput& in, float* scale, float* offset) {
  improve_grids<hn::CappedTag<float, kSearchBatch>>(in, scale, offset);
}
std::size_t search_lanes() { return hn::Lanes(hn::CappedTag<float, kSearchBatch>()); }

}  // namespace llm2mnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
