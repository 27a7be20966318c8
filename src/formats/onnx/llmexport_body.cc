// Arithmetic on activations and positions, linear layers, attention.

#include <algorithm>
#include <array>
#include <cmath>

#include "base/checked.h"
#include "formats/onnx/llmexport_rotary.h"
#include "formats/onnx/llmexport_walk.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

// The elementwise functions that the graph has an op for, as llmexport spells them.
struct Spelling {
  std::string_view text;
  ir::UnaryKind kind;
};
constexpr std::array<Spelling, 9> kSpellings = {{
    {"mul(sigmoid(x),x)", ir::UnaryKind::kSilu},
    {"mul(0.5,mul(add(1,erf(div(x,1.41421))),x))", ir::UnaryKind::kGeluErf},
    {"mul(add(1,erf(div(x,1.41421))),mul(0.5,x))", ir::UnaryKind::kGeluErf},
    {"mul(0.5,mul(add(1,tanh(mul(0.797885,add(mul(0.044715,mul(square(x),x)),x)))),x))",
     ir::UnaryKind::kGeluTanh},
    {"mul(0.5,mul(add(1,tanh(mul(0.797885,add(mul(0.044715,cube(x)),x)))),x))", ir::UnaryKind::kGeluTanh},
    {"mul(add(1,tanh(mul(0.797885,add(mul(0.044715,cube(x)),x)))),mul(0.5,x))", ir::UnaryKind::kGeluTanh},
    {"relu(x)", ir::UnaryKind::kRelu},
    {"square(relu(x))", ir::UnaryKind::kRelu2},
    {"tanh(x)", ir::UnaryKind::kTanh},
}};
// x / sqrt(mean(x^2) + eps), both ways that llmexport writes it.
constexpr std::array<std::string_view, 2> kNormalised = {"mul(div(1,sqrt(add(eps,mean(square(x))))),x)",
                                                         "div(x,sqrt(add(eps,mean(square(x)))))"};

std::optional<ir::UnaryKind> unary_of(std::string_view text) {
  const auto* found = std::ranges::find(kSpellings, text, &Spelling::text);
  if (found == kSpellings.end()) return std::nullopt;
  return found->kind;
}

bool is_plain(const Activation& x) { return x.text == "x"; }
bool is_normalised(const Activation& x) {
  return std::ranges::find(kNormalised, x.text) != kNormalised.end();
}

std::string binary(std::string_view op, std::string a, std::string b) {
  if ((op == "add" || op == "mul") && b < a) std::swap(a, b);
  return fmt::format("{}({},{})", op, a, b);
}

// Channels behind T; nothing when T is not there or more than ones stand in front of it.
std::optional<std::int64_t> row_width(const Dims& dims) {
  const auto rows = std::ranges::find_if(dims, [](std::int64_t dim) { return !is_number(dim); });
  if (rows == dims.end()) return std::nullopt;
  const std::optional<Dims> flat = reshaped(dims, {1, *rows, -1});
  if (!flat) return std::nullopt;
  return flat->back();
}

bool same_table(const TableRows& a, const TableRows& b) { return a.table.name == b.table.name; }

}  // namespace

Activation Walk::expression(const Activation& base, Dims dims, std::string text) const {
  // Longer than any spelling; squares of squares would grow without end.
  constexpr std::size_t kMostText = 256;
  if (text.size() > kMostText) refuse_here("no elementwise function that llm2mnn knows");
  if (base.part != Activation::Part::kPlain) refuse_here("rotated queries and keys belong into attention");
  Activation out = base;
  out.dims = std::move(dims);
  out.text = std::move(text);
  out.factor = 0;
  return out;
}

ir::ValueId Walk::materialised(const Activation& x) {
  if (x.part != Activation::Part::kPlain) refuse_here("rotated queries and keys belong into attention");
  if (is_plain(x)) return x.id;
  const std::pair<ir::ValueId, std::string> key = {x.id, fmt::format("{} {}", x.text, x.factor)};
  const auto known = expressions_.find(key);
  if (known != expressions_.end()) return known->second;
  const std::optional<ir::UnaryKind> kind = unary_of(x.text);
  if (!kind && x.factor == 0)
    refuse_here(fmt::format("{} is no elementwise function that llm2mnn knows", x.text));
  const ir::ValueId y = value();
  if (kind)
    emit(ir::Unary{x.id, y, *kind});
  else
    emit(ir::Scale{x.id, y, x.factor});
  expressions_[key] = y;
  return y;
}

void Walk::function(std::string_view name) {
  expect_inputs(1, 1);
  const auto& x = input_as<Activation>(0, "an activation");
  output(expression(x, x.dims, fmt::format("{}({})", name, x.text)));
}

void Walk::pow() {
  expect_inputs(2, 2);
  const auto& x = input_as<Activation>(0, "an activation");
  const std::optional<float> power = scalar_input(1);
  if (power != 2.F && power != 3.F) refuse_here("expected a power of 2 or 3");
  output(expression(x, x.dims, fmt::format("{}({})", power == 2.F ? "square" : "cube", x.text)));
}

void Walk::sqrt() {
  expect_inputs(1, 1);
  const auto& x = input_as<Activation>(0, "an activation");
  output(expression(x, x.dims, fmt::format("sqrt({})", x.text)));
}

void Walk::reduce_mean() {
  expect_inputs(1, 2);
  const auto& x = input_as<Activation>(0, "an activation");
  const std::vector<std::int64_t> axes = axes_input(1);
  if (attributes_->integer("noop_with_empty_axes", 0) != 0 || attributes_->integer("keepdims", 1) != 1 ||
      axes.size() != 1 || x.dims.empty() || axis_of(axes[0], x.dims.size()) != x.dims.size() - 1)
    refuse_here("expected the mean over the last axis");
  Dims dims = x.dims;
  dims.back() = 1;
  output(expression(x, std::move(dims), fmt::format("mean({})", x.text)));
}

void Walk::clip() {
  expect_inputs(3, 3);
  Positions positions = input_as<Positions>(0, "position_ids");
  const Ints least = ints_input(1), most = ints_input(2);
  if (positions.stage != Positions::Stage::kPosition || positions.limit != INT64_MAX ||
      least.values != Dims{0} || most.values.size() != 1 || most.values[0] < 1)
    refuse_here("expected positions from 0 to the end of the tables");
  positions.limit = most.values[0];
  output(std::move(positions));
}

// position / split, (position / split) * split, and what remains.
bool Walk::position_arithmetic(std::string_view op) {
  const auto* positions = input_if<Positions>(0);
  if (positions == nullptr) return false;
  using Stage = Positions::Stage;
  Positions out = *positions;
  if (op == "sub") {
    const auto& high = input_as<Positions>(1, "a multiple of the split");
    if (out.stage != Stage::kPosition || high.stage != Stage::kHighTimesSplit || high.dims != out.dims ||
        high.limit != out.limit)
      refuse_here("expected position - position / split * split");
    out.stage = Stage::kLow;
    out.split = high.split;
  } else {
    const Ints split = ints_input(1);
    constexpr std::int64_t kMostSplit = 1 << 20;
    if (split.values.size() != 1 || split.values[0] < 2 || split.values[0] > kMostSplit)
      refuse_here("expected the split of the rotary tables");
    const bool divides = op == "div" && out.stage == Stage::kPosition;
    const bool multiplies = op == "mul" && out.stage == Stage::kHigh && out.split == split.values[0];
    if (!divides && !multiplies) refuse_here("expected position / split * split");
    out.stage = divides ? Stage::kHigh : Stage::kHighTimesSplit;
    out.split = split.values[0];
  }
  output(std::move(out));
  return true;
}

// cos(a + b) and sin(a + b) of products of table rows.
bool Walk::rotary_mul() {
  const auto* rows = input_if<TableRows>(0);
  const auto* rotary = input_if<Rotary>(0) != nullptr ? input_if<Rotary>(0) : input_if<Rotary>(1);
  if (rows != nullptr) {
    const auto& other = input_as<TableRows>(1, "rows of a rotary table");
    const bool high_first = rows->index.stage == Positions::Stage::kHigh;
    const TableRows& high = high_first ? *rows : other;
    const TableRows& low = high_first ? other : *rows;
    if (high.index.stage != Positions::Stage::kHigh || low.index.stage != Positions::Stage::kLow ||
        high.index.split != low.index.split || high.index.limit != low.index.limit)
      refuse_here("expected rows of a high and of a low rotary table");
    output(TableProduct{high, low});
    return true;
  }
  if (rotary == nullptr) return false;
  const std::optional<float> factor = scalar_input(input_if<Rotary>(0) != nullptr ? 1 : 0);
  if (!factor) refuse_here("expected a number");
  Rotary scaled = *rotary;
  scaled.factor *= static_cast<double>(*factor);
  output(std::move(scaled));
  return true;
}

Rotary Walk::rotary(const Rotary::Tables& tables, Rotary::Part part) const {
  const Positions& a = tables.cos_high.index;
  const Positions& b = tables.sin_high.index;
  if (a.split != b.split || a.limit != b.limit) refuse_here("products of different rotary tables");
  Rotary out;
  out.tables = tables;
  out.part = part;
  out.dims = {kTokens, tables.cos_high.table.shape[1]};
  return out;
}

void Walk::combine(std::string_view op, const Activation& a, const Activation& b) {
  Dims dims = a.dims;
  // A mean has one channel.
  if (a.dims != b.dims) {
    if (a.dims.size() != b.dims.size() || !std::equal(a.dims.begin(), a.dims.end() - 1, b.dims.begin()) ||
        (a.dims.back() != 1 && b.dims.back() != 1))
      refuse_here("its inputs have different shapes");
    if (a.dims.back() == 1) dims = b.dims;
  }
  if (a.eps != 0 && b.eps != 0) refuse_here("no elementwise function that llm2mnn knows");
  Activation base = a;
  base.eps = a.eps != 0 ? a.eps : b.eps;
  if (b.part != Activation::Part::kPlain) base.part = b.part;
  output(expression(
      base, std::move(dims),
      op == "mul" && a.text == b.text ? fmt::format("square({})", a.text) : binary(op, a.text, b.text)));
}

void Walk::combine_scalar(std::string_view op, const Activation& a, float number, bool number_first) {
  Activation x = a;
  if (op == "add" && a.text == "mean(square(x))") {
    if (!(number >= 0) || !std::isfinite(number)) refuse_here("its epsilon is no small positive number");
    x = expression(a, a.dims, "add(eps,mean(square(x)))");
    x.eps = static_cast<double>(number);
    return output(std::move(x));
  }
  const std::string text = fmt::format("{:.6g}", number);
  const bool scales =
      is_plain(a) && (op == "mul" || (op == "div" && !number_first)) && std::isfinite(number) && number != 0;
  x = expression(a, a.dims, number_first ? binary(op, text, a.text) : binary(op, a.text, text));
  if (scales) x.factor = op == "mul" ? static_cast<double>(number) : 1 / static_cast<double>(number);
  output(std::move(x));
}

void Walk::mul() {
  expect_inputs(2, 2);
  if (position_arithmetic("mul") || rotary_mul()) return;
  for (const int first : {0, 1}) {
    const auto* x = input_if<Activation>(first);
    const auto* constant = input_if<Constant>(1 - first);
    if (x == nullptr || constant == nullptr) continue;
    if (const std::optional<float> number = scalar_of(*constant, read_); number && !is_normalised(*x))
      return combine_scalar("mul", *x, *number, first == 1);
    if (!is_normalised(*x) || constant->shape != Shape{x->dims.back()})
      refuse_here("a product with a vector behind no norm");
    const std::optional<std::int64_t> width = row_width(x->dims);
    if (!width || x->part != Activation::Part::kPlain) refuse_here("the norm is not over channels");
    Activation y;
    y.id = norm(x->id, *constant, x->eps, x->dims.back(), *width / x->dims.back());
    y.dims = x->dims;
    return output(std::move(y));
  }
  const auto& a = input_as<Activation>(0, "an activation");
  const auto& b = input_as<Activation>(1, "an activation");
  if (a.id == b.id) return combine("mul", a, b);
  gate(a, b);
}

void Walk::gate(const Activation& a, const Activation& b) {
  const std::optional<ir::UnaryKind> left = unary_of(a.text), right = unary_of(b.text);
  if (left.has_value() == right.has_value() || a.dims != b.dims)
    refuse_here("a product of two activations, of which not one is gated");
  const Activation& gated = left ? a : b;
  const Activation& up = left ? b : a;
  if (gated.part != Activation::Part::kPlain) refuse_here("rotated queries and keys belong into attention");
  Activation y;
  const ir::ValueId from = materialised(up);
  y.id = value();
  y.dims = a.dims;
  emit(ir::GatedUnit{gated.id, from, y.id, left ? *left : *right});
  output(std::move(y));
}

void Walk::add() {
  expect_inputs(2, 2);
  if (const auto* product = input_if<TableProduct>(0)) {
    const auto& other = input_as<TableProduct>(1, "a product of rotary tables");
    // sinH cosL + cosH sinL; the meeting with the cosines shows whether they are that.
    return output(rotary({other.high, product->high, product->low, other.low}, Rotary::Part::kSin));
  }
  for (const int first : {0, 1}) {
    const auto* x = input_if<Activation>(first);
    const auto* constant = input_if<Constant>(1 - first);
    if (x == nullptr || constant == nullptr) continue;
    if (const std::optional<float> number = scalar_of(*constant, read_))
      return combine_scalar("add", *x, *number, first == 1);
    if (first == 1) refuse_here("expected the bias as the second input");
    return add_bias(*x, *constant);
  }
  const auto& a = input_as<Activation>(0, "an activation");
  const auto& b = input_as<Activation>(1, "an activation");
  if (a.id == b.id) return combine("add", a, b);
  if (a.dims != b.dims) refuse_here("its inputs have different shapes");
  Activation y;
  const ir::ValueId left = materialised(a);
  const ir::ValueId right = materialised(b);
  y.id = value();
  y.dims = a.dims;
  emit(ir::Add{left, right, y.id});
  output(std::move(y));
}

void Walk::add_bias(const Activation& x, const Constant& vector) {
  const auto linear = linears_.find(x.id);
  if (linear == linears_.end() || !is_plain(x) || x.part != Activation::Part::kPlain ||
      node_->input(0) != linear->second.output || uses_.at(node_->input(0)) != 1)
    refuse_here("a vector is added to what no MatMul has just made");
  auto& op = std::get<ir::Linear>(out_.graph.nodes[linear->second.node].op);
  if (vector.shape != Shape{op.out_features})
    refuse_here(
        fmt::format("its bias has the shape {}, expected [{}]", shape_text(vector.shape), op.out_features));
  op.bias = weight(vector, vector.shape, false);
  linears_.erase(linear);
  output(x);
}

void Walk::sub() {
  expect_inputs(2, 2);
  if (position_arithmetic("sub")) return;
  const auto& product = input_as<TableProduct>(0, "a product of rotary tables");
  const auto& other = input_as<TableProduct>(1, "a product of rotary tables");
  output(rotary({product.high, other.high, product.low, other.low}, Rotary::Part::kCos));
}

void Walk::div() {
  expect_inputs(2, 2);
  if (position_arithmetic("div")) return;
  const auto* a = input_if<Activation>(0);
  const auto* b = input_if<Activation>(1);
  if (a != nullptr && b != nullptr && a->id == b->id) return combine("div", *a, *b);
  const std::optional<float> number = scalar_input(a != nullptr ? 1 : 0);
  if (!number || (a == nullptr && b == nullptr)) refuse_here("this division is not expected");
  combine_scalar("div", a != nullptr ? *a : *b, *number, a == nullptr);
}

void Walk::matmul() {
  expect_inputs(2, 2);
  const auto& x = input_as<Activation>(0, "an activation");
  const auto& matrix = input_as<Constant>(1, "a matrix of the file");
  if (matrix.shape.size() != 2 || x.dims.back() != matrix.shape[0] || row_width(x.dims) != matrix.shape[0])
    refuse_here(
        fmt::format("a matrix {} for rows of {}", shape_text(matrix.shape), row_width(x.dims).value_or(0)));
  const ir::ValueId from = materialised(x);
  Activation y;
  y.dims = x.dims;
  y.dims.back() = matrix.shape[1];
  const ir::WeightId id = weight(matrix, {matrix.shape[1], matrix.shape[0]}, true);
  y.id = value();
  emit(ir::Linear{from, y.id, id, std::nullopt, matrix.shape[0], matrix.shape[1]});
  linears_[y.id] = {out_.graph.nodes.size() - 1, node_->output_size() > 0 ? node_->output(0) : ""};
  output(std::move(y));
}

ir::ValueId Walk::norm(ir::ValueId x, const Constant& gamma, double eps, std::int64_t size,
                       std::int64_t heads) {
  const ir::WeightId id = weight(gamma, gamma.shape, false);
  const ir::ValueId y = value();
  emit(ir::Norm{x, y, id, std::nullopt, true, eps, size, heads});
  return y;
}

std::pair<ir::ValueId, ir::ValueId> Walk::rope_table(const Rotary::Tables& tables, double factor) {
  const std::string key =
      fmt::format("{}\n{}\n{}\n{}\n{}", tables.cos_high.table.name, tables.sin_high.table.name,
                  tables.cos_low.table.name, tables.sin_low.table.name, factor);
  if (const auto known = table_values_.find(key); known != table_values_.end()) return known->second;
  const Shape& high = tables.cos_high.table.shape;
  const Shape& low = tables.cos_low.table.shape;
  const Positions& index = tables.cos_low.index;
  if (high.size() != 2 || low.size() != 2 || high != tables.sin_high.table.shape ||
      low != tables.sin_low.table.shape || high[1] != low[1] || low[0] != index.split || high[0] < 1 ||
      low[1] < 1)
    refuse_here("its rotary tables have other shapes than expected");
  std::int64_t covered = 0;
  if (!checked_mul(high[0], index.split, covered) || (index.limit != INT64_MAX && index.limit >= covered))
    refuse_here("positions go beyond the rotary tables");
  const auto values = [&](const TableRows& rows) { return floats_of(rows.table, read_); };
  std::vector<float> inv_freq;
  try {
    inv_freq =
        recover_inv_freq({values(tables.cos_low), values(tables.sin_low), low[0], 1},
                         {values(tables.cos_high), values(tables.sin_high), high[0], index.split}, low[1]);
  } catch (const Error& error) {
    refuse_here(error.message());
  }
  const std::pair<ir::ValueId, ir::ValueId> out = {value(), value()};
  ir::Node node;
  node.name = fmt::format("table {}", tables_.size());
  node.op =
      ir::RopeTable{out.first, out.second, std::move(inv_freq), factor, std::max(covered, num_positions_)};
  tables_.emplace_back(std::move(node), node_text(*node_));
  table_values_[key] = out;
  return out;
}

void Walk::fused_rope() {
  expect_inputs(6, 6);
  attributes_->ignore("name");
  const std::int64_t heads = attributes_->integer("num_head"), kv_heads = attributes_->integer("kv_num_head");
  const std::int64_t head_dim = attributes_->integer("head_dim"),
                     rotary_dim = attributes_->integer("rope_cut_head_dim");
  struct Side {
    int at;
    std::int64_t heads, has_norm;
    double eps;
    Activation::Part part;
  };
  const std::array<Side, 2> sides = {
      {{0, heads, attributes_->integer("q_norm"), static_cast<double>(attributes_->number("q_norm_eps")),
        Activation::Part::kQuery},
       {1, kv_heads, attributes_->integer("k_norm"), static_cast<double>(attributes_->number("k_norm_eps")),
        Activation::Part::kKey}}};
  const auto& cos = input_as<Rotary>(2, "cosines");
  const auto& sin = input_as<Rotary>(3, "sines");
  const Dims rows = {1, kTokens, 1, rotary_dim};
  if (cos.part != Rotary::Part::kCos || sin.part != Rotary::Part::kSin || !cos.doubled || !sin.doubled ||
      cos.dims != rows || sin.dims != rows || cos.factor != sin.factor ||
      !same_table(cos.tables.cos_high, sin.tables.cos_high) ||
      !same_table(cos.tables.sin_high, sin.tables.sin_high) ||
      !same_table(cos.tables.cos_low, sin.tables.cos_low) ||
      !same_table(cos.tables.sin_low, sin.tables.sin_low))
    refuse_here("expected cosines, then sines, of one rotary table");
  if (node_->output_size() != 2) refuse_here("expected two outputs");
  std::array<Activation, 2> out;
  for (const Side& side : sides) {
    const auto& x = input_as<Activation>(side.at, "heads");
    if (heads < 1 || kv_heads < 1 || head_dim < 1 || x.dims != Dims{1, kTokens, side.heads, head_dim})
      refuse_here(fmt::format("input {}: expected [1, T, {}, {}]", side.at, side.heads, head_dim));
    Activation& y = out[static_cast<std::size_t>(side.at)];
    y.id = materialised(x);
    y.dims = x.dims;
    y.part = side.part;
    const auto& gamma = input_as<Constant>(4 + side.at, "the norm's weight, or an empty tensor");
    if (side.has_norm == 0 && gamma.shape == Shape{0}) continue;
    if (side.has_norm != 1 || gamma.shape != Shape{head_dim})
      refuse_here(fmt::format("input {}: the norm's weight is {}", 4 + side.at, shape_text(gamma.shape)));
    y.id = norm(y.id, gamma, side.eps, head_dim, side.heads);
  }
  const auto [cosines, sines] = rope_table(cos.tables, cos.factor);
  const ir::ValueId q = value(), k = value();
  emit(ir::Rope{out[0].id, out[1].id, cosines, sines, q, k, heads, kv_heads, head_dim, rotary_dim});
  out[0].id = q;
  out[1].id = k;
  symbols_[node_->output(0)] = out[0];
  symbols_[node_->output(1)] = out[1];
}

void Walk::fused_attention() {
  expect_inputs(4, 4);
  attributes_->ignore("name");
  const auto& q = input_as<Activation>(0, "queries");
  const auto& k = input_as<Activation>(1, "keys");
  const auto& v = input_as<Activation>(2, "values");
  input_as<Mask>(3, "attention_mask");
  if (q.part != Activation::Part::kQuery || k.part != Activation::Part::kKey ||
      v.part != Activation::Part::kPlain || !is_plain(v))
    refuse_here("expected rotated queries, rotated keys and values, in this order");
  if (attributes_->integer("kv_cache") != 1) refuse_here("kv_cache is off");
  if (attributes_->integer("kv_shared_layer_index", -1) != -1)
    refuse_here("it shares the keys of another layer");
  if (q.dims.size() != 4 || k.dims != v.dims || k.dims.size() != 4 || q.dims[3] != k.dims[3])
    refuse_here("queries, keys and values have different heads");
  const std::int64_t heads = q.dims[2], head_dim = q.dims[3];
  const std::int64_t stated = attributes_->integer("head_dim", 0);
  if ((stated != 0 && stated != head_dim) || attributes_->integer("output_dim") != heads * head_dim)
    refuse_here("its sizes are not those of its heads");
  const std::int64_t layer = attributes_->integer("layer_index");
  const auto layers = std::ranges::count_if(
      out_.graph.nodes, [](const ir::Node& node) { return std::holds_alternative<ir::Attention>(node.op); });
  if (layer != layers) refuse_here(fmt::format("layer_index {}, expected {}", layer, layers));
  Activation y;
  y.id = value();
  y.dims = {1, kTokens, heads * head_dim};
  emit(ir::Attention{q.id, k.id, v.id, y.id, heads, k.dims[2], head_dim, layer, ir::MaskKind::kFull});
  output(std::move(y));
}

}  // namespace llm2mnn::onnx
