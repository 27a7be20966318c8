#include "arch/binding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <variant>

#include "arch/column_source.h"
#include "arch/scaled_source.h"
#include "arch/source_quant.h"
#include "base/checked.h"
#include "base/overloaded.h"
#include "kernels/convert.h"

namespace llm2mnn {
namespace {

// Rows closer than this are read in one go and thinned out: the kernel reads whole pages anyway.
constexpr std::uint64_t kPageBytes = 4096;

struct SourceOp {
  TensorId tensor;
};
struct TransposedOp {
  TensorId tensor;
};
struct DequantisedOp {
  Binding::ZeroPointCodes codes;
};
struct ScaledOp {
  Binding::ScaledBlocks blocks;
};
struct Mxfp4Op {
  Binding::Mxfp4Groups groups;
};
struct TernaryOp {
  Binding::TernaryCodes codes;
};
struct ConstantOp {
  float value;
};
struct ValuesOp {
  std::vector<float> values;
};
struct ConcatOp {
  std::vector<Binding> parts;
};
struct ConcatColsOp {
  std::vector<Binding> parts;
};
struct GatherOp {
  Binding from;
  std::vector<RowRun> runs;
};
struct ScaleOp {
  Binding from;
  float factor;
};
struct AddOp {
  Binding from;
  float term;
};
struct ClampOp {
  Binding from;
  float limit;
};
struct ExponentialOp {
  Binding from;
};
struct SoftplusOp {
  Binding from;
};
struct NormaliseOp {
  Binding from;
};

// Rows of the head are a few thousand values: a sum in double has room for their squares.
void normalise(std::span<float> row) {
  double square = 0;
  for (const float value : row)
    square += static_cast<double>(value) * value;
  const auto length = static_cast<float>(std::max(std::sqrt(square), 1e-12));
  for (float& value : row)
    value /= length;
}

bool all_finite(const float* values, std::size_t count) {
  // Exponents of all ones; the loop has no branch, so that it runs at memory speed.
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i)
    bad |= (std::bit_cast<std::uint32_t>(values[i]) & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  return bad == 0;
}

std::string number_text(float value) { return std::isnan(value) ? "NaN" : value > 0 ? "Inf" : "-Inf"; }

// Names the value that `values` must not have.
[[noreturn]] void fail_not_finite(const TensorInfo& info, std::int64_t row, const float* values,
                                  std::size_t cols) {
  const float* bad = std::find_if(values, values + cols, [](float value) { return !std::isfinite(value); });
  fail(ErrorKind::kFormat, "tensor {}: row {}, column {} is {}; weights must be finite", shown(info.name),
       row, bad - values, number_text(*bad));
}

std::size_t as_size(std::int64_t value) { return checked_cast<std::size_t>(value); }

}  // namespace

struct Binding::Node {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::variant<SourceOp, TransposedOp, DequantisedOp, ScaledOp, Mxfp4Op, TernaryOp, ConstantOp, ValuesOp,
               ConcatOp, ConcatColsOp, GatherOp, ScaleOp, AddOp, ClampOp, ExponentialOp, SoftplusOp,
               NormaliseOp>
      op;
};

Binding Binding::source(const Checkpoint& checkpoint, TensorId id) {
  return source(id, checkpoint.tensor(id).shape);
}

Binding Binding::source(TensorId id, const Shape& shape) {
  const std::int64_t rows = shape.empty() ? 1 : shape.front();
  std::int64_t cols = 1;
  for (std::size_t i = 1; i < shape.size(); ++i)
    LLM2MNN_CHECK(checked_mul(cols, shape[i], cols));
  return Binding(std::make_shared<const Node>(Node{rows, cols, SourceOp{id}}));
}

Binding Binding::transposed_source(const Checkpoint& checkpoint, TensorId id) {
  return transposed_source(id, checkpoint.tensor(id).shape);
}

Binding Binding::transposed_source(TensorId id, const Shape& shape) {
  LLM2MNN_CHECK(shape.size() == 2 || shape.size() == 3);
  std::int64_t rows = shape.back();
  if (shape.size() == 3) LLM2MNN_CHECK(checked_mul(rows, shape[0], rows));
  return Binding(std::make_shared<const Node>(Node{rows, shape[shape.size() - 2], TransposedOp{id}}));
}

Binding Binding::dequantised(const ZeroPointCodes& codes) {
  LLM2MNN_CHECK((codes.bits == 4 || codes.bits == 8) && codes.block > 0 && codes.cols % codes.block == 0);
  return Binding(std::make_shared<const Node>(Node{codes.rows, codes.cols, DequantisedOp{codes}}));
}

Binding Binding::dequantised(const ScaledBlocks& blocks) {
  LLM2MNN_CHECK(blocks.rows >= 0 && blocks.cols >= 0 && blocks.block_rows > 0 && blocks.block_cols > 0);
  LLM2MNN_CHECK(blocks.matrices > 0 && blocks.rows % blocks.matrices == 0);
  return Binding(std::make_shared<const Node>(Node{blocks.rows, blocks.cols, ScaledOp{blocks}}));
}

Binding Binding::dequantised(const Mxfp4Groups& groups) {
  LLM2MNN_CHECK(groups.rows >= 0 && groups.cols >= 0 && groups.cols % 32 == 0);
  return Binding(std::make_shared<const Node>(Node{groups.rows, groups.cols, Mxfp4Op{groups}}));
}

Binding Binding::values(std::int64_t cols, std::vector<float> values) {
  LLM2MNN_CHECK(cols > 0 && std::ssize(values) % cols == 0);
  const std::int64_t rows = std::ssize(values) / cols;
  return Binding(std::make_shared<const Node>(Node{rows, cols, ValuesOp{std::move(values)}}));
}

Binding Binding::dequantised(const TernaryCodes& codes) {
  LLM2MNN_CHECK(codes.rows >= 0 && codes.cols >= 0 && codes.rows % kTernaryPerByte == 0);
  return Binding(std::make_shared<const Node>(Node{codes.rows, codes.cols, TernaryOp{codes}}));
}

Binding Binding::constant(std::int64_t rows, float value) {
  LLM2MNN_CHECK(rows >= 0);
  return Binding(std::make_shared<const Node>(Node{rows, 1, ConstantOp{value}}));
}

Binding Binding::concat_rows(std::vector<Binding> parts) {
  LLM2MNN_CHECK(!parts.empty());
  std::int64_t rows = 0;
  const std::int64_t cols = parts.front().cols();
  for (const Binding& part : parts) {
    LLM2MNN_CHECK(part.cols() == cols);
    LLM2MNN_CHECK(checked_add(rows, part.rows(), rows));
  }
  return Binding(std::make_shared<const Node>(Node{rows, cols, ConcatOp{std::move(parts)}}));
}

Binding Binding::concat_cols(std::vector<Binding> parts) {
  LLM2MNN_CHECK(!parts.empty());
  std::int64_t cols = 0;
  const std::int64_t rows = parts.front().rows();
  for (const Binding& part : parts) {
    LLM2MNN_CHECK(part.rows() == rows);
    LLM2MNN_CHECK(checked_add(cols, part.cols(), cols));
  }
  return Binding(std::make_shared<const Node>(Node{rows, cols, ConcatColsOp{std::move(parts)}}));
}

Binding Binding::gather_rows(std::vector<RowRun> runs) const {
  std::int64_t num_rows = 0;
  for (const RowRun& run : runs) {
    LLM2MNN_CHECK(run.begin >= 0 && run.count >= 1 && run.stride >= 1);
    std::int64_t last = 0;
    LLM2MNN_CHECK(checked_mul(run.count - 1, run.stride, last) && checked_add(last, run.begin, last));
    LLM2MNN_CHECK(last < rows());
    LLM2MNN_CHECK(checked_add(num_rows, run.count, num_rows));
  }
  return Binding(std::make_shared<const Node>(Node{num_rows, cols(), GatherOp{*this, std::move(runs)}}));
}

Binding Binding::scale(float factor) const {
  return Binding(std::make_shared<const Node>(Node{rows(), cols(), ScaleOp{*this, factor}}));
}

Binding Binding::add(float term) const {
  return Binding(std::make_shared<const Node>(Node{rows(), cols(), AddOp{*this, term}}));
}

Binding Binding::clamp(float limit) const {
  return Binding(std::make_shared<const Node>(Node{rows(), cols(), ClampOp{*this, limit}}));
}

Binding Binding::exponential() const {
  return Binding(std::make_shared<const Node>(Node{rows(), cols(), ExponentialOp{*this}}));
}

Binding Binding::softplus() const {
  return Binding(std::make_shared<const Node>(Node{rows(), cols(), SoftplusOp{*this}}));
}

Binding Binding::normalise_rows() const {
  return Binding(std::make_shared<const Node>(Node{rows(), cols(), NormaliseOp{*this}}));
}

std::int64_t Binding::rows() const {
  LLM2MNN_CHECK(node_ != nullptr);
  return node_->rows;
}

std::int64_t Binding::cols() const {
  LLM2MNN_CHECK(node_ != nullptr);
  return node_->cols;
}

std::optional<TensorId> Binding::plain_source() const {
  if (node_ == nullptr) return std::nullopt;
  const auto* source = std::get_if<SourceOp>(&node_->op);
  return source == nullptr ? std::nullopt : std::optional(source->tensor);
}

namespace {

std::string runs_text(const std::vector<RowRun>& runs) {
  constexpr std::size_t kShownRuns = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(runs.size(), kShownRuns); ++i) {
    const RowRun& run = runs[i];
    text +=
        fmt::format("{}{}..{}", i == 0 ? "" : ", ", run.begin, run.begin + (run.count - 1) * run.stride + 1);
    if (run.stride != 1) text += fmt::format(" by {}", run.stride);
  }
  if (runs.size() > kShownRuns) text += fmt::format(", ... ({} runs)", runs.size());
  return text;
}

}  // namespace

bool Binding::reads_columns() const {
  if (node_ == nullptr) return false;
  const auto any_reads_columns = [](const std::vector<Binding>& parts) {
    return std::any_of(parts.begin(), parts.end(), [](const Binding& part) { return part.reads_columns(); });
  };
  return std::visit(Overloaded{[](const TransposedOp&) { return true; },
                               [](const DequantisedOp& op) { return op.codes.transposed; },
                               [](const SourceOp&) { return false; },
                               [](const ScaledOp& op) { return op.blocks.transposed; },
                               [](const Mxfp4Op&) { return false; }, [](const ConstantOp&) { return false; },
                               [](const TernaryOp&) { return false; }, [](const ValuesOp&) { return false; },
                               [&](const ConcatOp& op) { return any_reads_columns(op.parts); },
                               [&](const ConcatColsOp& op) { return any_reads_columns(op.parts); },
                               [](const auto& op) { return op.from.reads_columns(); }},
                    node_->op);
}

void Binding::collect_sources(std::vector<TensorId>& out) const {
  if (node_ == nullptr) return;
  std::visit(Overloaded{[&](const SourceOp& op) { out.push_back(op.tensor); },
                        [&](const TransposedOp& op) { out.push_back(op.tensor); },
                        [&](const DequantisedOp& op) {
                          out.insert(out.end(), {op.codes.codes, op.codes.scales, op.codes.zero_points});
                        },
                        [&](const ScaledOp& op) {
                          out.insert(out.end(), {op.blocks.values, op.blocks.scales});
                        },
                        [&](const Mxfp4Op& op) {
                          out.insert(out.end(), {op.groups.codes, op.groups.scales});
                        },
                        [&](const TernaryOp& op) {
                          out.insert(out.end(), {op.codes.codes, op.codes.scale});
                        },
                        [](const ConstantOp&) {}, [](const ValuesOp&) {},
                        [&](const ConcatOp& op) {
                          for (const Binding& part : op.parts)
                            part.collect_sources(out);
                        },
                        [&](const ConcatColsOp& op) {
                          for (const Binding& part : op.parts)
                            part.collect_sources(out);
                        },
                        [&](const auto& op) { op.from.collect_sources(out); }},
             node_->op);
}

std::string Binding::text(const Checkpoint& checkpoint) const {
  if (node_ == nullptr) return "nothing";
  const auto joined = [&](const std::vector<Binding>& parts, std::string_view between) {
    std::string text = "(";
    for (const Binding& part : parts)
      text += (&part == parts.data() ? "" : std::string(between)) + part.text(checkpoint);
    return text + ")";
  };
  return std::visit(
      Overloaded{
          [&](const SourceOp& op) { return checkpoint.tensor(op.tensor).name; },
          [&](const TransposedOp& op) { return checkpoint.tensor(op.tensor).name + " transposed"; },
          [&](const DequantisedOp& op) { return checkpoint.tensor(op.codes.codes).name + " dequantised"; },
          [&](const ScaledOp& op) { return checkpoint.tensor(op.blocks.values).name + " dequantised"; },
          [&](const Mxfp4Op& op) { return checkpoint.tensor(op.groups.codes).name + " dequantised"; },
          [&](const TernaryOp& op) { return checkpoint.tensor(op.codes.codes).name + " dequantised"; },
          [&](const ConstantOp& op) { return fmt::format("{} times {}", node_->rows, op.value); },
          [&](const ValuesOp&) { return fmt::format("{} x {} numbers", node_->rows, node_->cols); },
          [&](const ConcatOp& op) { return joined(op.parts, "; "); },
          [&](const ConcatColsOp& op) { return joined(op.parts, " beside "); },
          [&](const GatherOp& op) { return op.from.text(checkpoint) + " rows " + runs_text(op.runs); },
          [&](const ScaleOp& op) { return fmt::format("{}, * {}", op.from.text(checkpoint), op.factor); },
          [&](const AddOp& op) { return fmt::format("{}, + {}", op.from.text(checkpoint), op.term); },
          [&](const ClampOp& op) { return fmt::format("{}, within {}", op.from.text(checkpoint), op.limit); },
          [&](const ExponentialOp& op) { return fmt::format("exp({})", op.from.text(checkpoint)); },
          [&](const SoftplusOp& op) { return op.from.text(checkpoint) + ", softplus"; },
          [&](const NormaliseOp& op) { return op.from.text(checkpoint) + ", rows over their lengths"; }},
      node_->op);
}

namespace {

// The rows of one call, and where they go.
struct Request {
  const Checkpoint& checkpoint;
  std::vector<std::byte>& scratch;
  std::int64_t cols;
};

// Rows begin, begin + stride, ... of a stored tensor.
void read_source(const Request& request, TensorId id, const RowRun& run, float* out) {
  const TensorInfo& info = request.checkpoint.tensor(id);
  const std::size_t cols = as_size(request.cols);
  const std::uint64_t row_bytes = cols * static_cast<std::uint64_t>(dtype_bytes(info.dtype));
  const bool as_span = run.stride == 1 || row_bytes * static_cast<std::uint64_t>(run.stride) <= kPageBytes;
  const std::int64_t rows_at_once = as_span ? run.count : 1;
  bool finite = true;
  for (std::int64_t i = 0; i < run.count; i += rows_at_once) {
    const std::int64_t first = run.begin + i * run.stride;
    const std::int64_t spanned = (rows_at_once - 1) * run.stride + 1;
    request.scratch.resize(as_size(spanned) * row_bytes);
    request.checkpoint.read(id, static_cast<std::uint64_t>(first) * row_bytes, request.scratch);
    if (run.stride == 1) {
      finite = decode_to_f32(request.scratch.data(), info.dtype, as_size(run.count) * cols, out);
      continue;
    }
    for (std::int64_t k = 0; k < rows_at_once; ++k) {
      const std::byte* row = request.scratch.data() + static_cast<std::uint64_t>(k * run.stride) * row_bytes;
      finite = decode_to_f32(row, info.dtype, cols, out + as_size(i + k) * cols) && finite;
    }
  }
  if (finite) return;
  for (std::int64_t i = 0; i < run.count; ++i) {
    const float* row = out + as_size(i) * cols;
    if (!all_finite(row, cols)) fail_not_finite(info, run.begin + i * run.stride, row, cols);
  }
}

void check_result(const Binding& binding, const Checkpoint& checkpoint, std::int64_t row_begin,
                  std::size_t cols, const float* values, std::size_t count) {
  if (all_finite(values, count)) return;
  const float* bad = std::find_if(values, values + count, [](float value) { return !std::isfinite(value); });
  fail(ErrorKind::kFormat, "{}: row {} overflows float32", shown(binding.text(checkpoint), 200),
       row_begin + static_cast<std::int64_t>(static_cast<std::size_t>(bad - values) / cols));
}

}  // namespace

void Binding::read_rows(const Checkpoint& checkpoint, std::int64_t row_begin, std::int64_t row_count,
                        float* out, std::vector<std::byte>& scratch) const {
  LLM2MNN_CHECK(node_ != nullptr && row_begin >= 0 && row_count >= 0 && row_begin <= rows() - row_count);
  if (row_count == 0 || node_->cols == 0) return;
  const std::size_t cols = as_size(node_->cols);
  const std::size_t count = as_size(row_count) * cols;
  const auto read_concat = [&](const ConcatOp& op) {
    std::int64_t part_begin = 0;
    float* next = out;
    for (const Binding& part : op.parts) {
      const std::int64_t from = std::max(row_begin, part_begin);
      const std::int64_t to = std::min(row_begin + row_count, part_begin + part.rows());
      if (from < to) {
        part.read_rows(checkpoint, from - part_begin, to - from, next, scratch);
        next += as_size(to - from) * cols;
      }
      part_begin += part.rows();
    }
  };
  const auto read_concat_cols = [&](const ConcatColsOp& op) {
    for (std::int64_t row = 0; row < row_count; ++row) {
      float* next = out + as_size(row) * cols;
      for (const Binding& part : op.parts) {
        part.read_rows(checkpoint, row_begin + row, 1, next, scratch);
        next += part.cols();
      }
    }
  };
  const auto read_gather = [&](const GatherOp& op) {
    std::int64_t run_begin = 0;  // of the result's rows
    float* next = out;
    for (const RowRun& run : op.runs) {
      const std::int64_t from = std::max(row_begin, run_begin);
      const std::int64_t to = std::min(row_begin + row_count, run_begin + run.count);
      if (from < to) {
        const RowRun part{run.begin + (from - run_begin) * run.stride, to - from, run.stride};
        op.from.read_run(checkpoint, part, next, scratch);
        next += as_size(to - from) * cols;
      }
      run_begin += run.count;
    }
  };
  std::visit(Overloaded{[&](const SourceOp&) {
                          read_run(checkpoint, {row_begin, row_count, 1}, out, scratch);
                        },
                        [&](const TransposedOp&) {
                          read_run(checkpoint, {row_begin, row_count, 1}, out, scratch);
                        },
                        [&](const DequantisedOp& op) {
                          read_dequantised(checkpoint, op.codes, row_begin, row_count, out, scratch);
                        },
                        [&](const ScaledOp&) {
                          read_run(checkpoint, {row_begin, row_count, 1}, out, scratch);
                        },
                        [&](const Mxfp4Op&) {
                          read_run(checkpoint, {row_begin, row_count, 1}, out, scratch);
                        },
                        [&](const TernaryOp&) {
                          read_run(checkpoint, {row_begin, row_count, 1}, out, scratch);
                        },
                        [&](const ConstantOp& op) { std::fill_n(out, count, op.value); },
                        [&](const ValuesOp& op) {
                          std::copy_n(op.values.begin() + row_begin * node_->cols, count, out);
                        },
                        read_concat, read_concat_cols, read_gather,
                        [&](const ScaleOp& op) {
                          op.from.read_rows(checkpoint, row_begin, row_count, out, scratch);
                          for (std::size_t i = 0; i < count; ++i)
                            out[i] *= op.factor;
                          check_result(*this, checkpoint, row_begin, cols, out, count);
                        },
                        [&](const AddOp& op) {
                          op.from.read_rows(checkpoint, row_begin, row_count, out, scratch);
                          for (std::size_t i = 0; i < count; ++i)
                            out[i] += op.term;
                          check_result(*this, checkpoint, row_begin, cols, out, count);
                        },
                        [&](const ClampOp& op) {
                          op.from.read_rows(checkpoint, row_begin, row_count, out, scratch);
                          for (std::size_t i = 0; i < count; ++i)
                            out[i] = std::clamp(out[i], -op.limit, op.limit);
                        },
                        [&](const ExponentialOp& op) {
                          op.from.read_rows(checkpoint, row_begin, row_count, out, scratch);
                          for (std::size_t i = 0; i < count; ++i)
                            out[i] = std::exp(out[i]);
                          check_result(*this, checkpoint, row_begin, cols, out, count);
                        },
                        [&](const SoftplusOp& op) {
                          op.from.read_rows(checkpoint, row_begin, row_count, out, scratch);
                          for (std::size_t i = 0; i < count; ++i)
                            out[i] = std::max(out[i], 0.0F) + std::log1p(std::exp(-std::abs(out[i])));
                        },
                        [&](const NormaliseOp& op) {
                          op.from.read_rows(checkpoint, row_begin, row_count, out, scratch);
                          for (std::int64_t row = 0; row < row_count; ++row)
                            normalise({out + as_size(row) * cols, cols});
                        }},
             node_->op);
}

void Binding::read_run(const Checkpoint& checkpoint, const RowRun& run, float* out,
                       std::vector<std::byte>& scratch) const {
  if (const auto* source = std::get_if<SourceOp>(&node_->op)) {
    read_source({checkpoint, scratch, node_->cols}, source->tensor, run, out);
  } else if (const auto* transposed = std::get_if<TransposedOp>(&node_->op)) {
    read_transposed(checkpoint, transposed->tensor, run, out, scratch);
  } else if (const auto* scaled = std::get_if<ScaledOp>(&node_->op)) {
    read_scaled(checkpoint, scaled->blocks, run, out, scratch);
  } else if (const auto* mxfp4 = std::get_if<Mxfp4Op>(&node_->op)) {
    read_mxfp4(checkpoint, mxfp4->groups, run, out, scratch);
  } else if (const auto* ternary = std::get_if<TernaryOp>(&node_->op)) {
    read_ternary(checkpoint, ternary->codes, run, out, scratch);
  } else if (run.stride == 1) {
    read_rows(checkpoint, run.begin, run.count, out, scratch);
  } else {
    for (std::int64_t i = 0; i < run.count; ++i)
      read_rows(checkpoint, run.begin + i * run.stride, 1, out + as_size(i * node_->cols), scratch);
  }
}

}  // namespace llm2mnn
