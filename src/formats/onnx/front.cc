// The entry of the graph: inputs, embedding, masks, rotary tables.

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "formats/onnx/emitter.h"
#include "ir/rotary.h"

namespace llm2mnn::onnx {
namespace {

constexpr const char* kMaskDomain = "org.llm2mnn.mask";
constexpr const char* kFullDomain = "org.llm2mnn.full";
constexpr const char* kSlidingDomain = "org.llm2mnn.sliding";
constexpr std::int64_t kToFloat = 1;
constexpr std::int64_t kToInt32 = 6;
constexpr std::int64_t kToBool = 9;

// The additive mask [B, 1, S, total] from the mask [B, total] and the ids [B, S]. The lowest finite float,
// not -inf: a row of which all is masked must not become NaN.
void emit_mask(NodeList& net, const std::string& prefix, const std::string& output, const std::string& mask,
               const std::string& ids, std::int64_t window) {
  const auto name = [&prefix](const char* part) { return prefix + part; };
  const std::string total = net.node(
      "Gather", {net.node("Shape", {mask}, name("mask_shape")), net.scalar(std::int64_t{1})}, name("total"));
  const std::string now = net.node(
      "Gather", {net.node("Shape", {ids}, name("ids_shape")), net.scalar(std::int64_t{1})}, name("now"));
  const std::string zero = net.scalar(std::int64_t{0});
  const std::string one = net.scalar(std::int64_t{1});
  const std::string key = net.node("Range", {zero, total, one}, name("key"));
  const std::string first = net.node("Sub", {total, now}, name("first"));
  const std::string query =
      net.node("Unsqueeze", {net.node("Range", {first, total, one}, name("query_range")), net.ints({1})},
               name("query"));
  std::string seen = net.node("LessOrEqual", {key, query}, name("causal"));
  if (window > 0) {
    const std::string distance = net.node("Sub", {query, key}, name("distance"));
    const std::string near = net.node("Less", {distance, net.scalar(window)}, name("near"));
    seen = net.node("And", {seen, near}, name("causal_near"));
  }
  const std::string keep = net.node(
      "Unsqueeze", {net.node("Cast", {mask}, name("mask_bool"), {{"to", kToBool}}), net.ints({1, 2})},
      name("keep"));
  const std::string both = net.node("And", {seen, keep}, name("both"));
  net.node("Where", {both, net.scalar(0.0F), net.scalar(std::numeric_limits<float>::lowest())}, output);
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void Emitter::emit_front() {
  net_.add_input("input_ids", {ElemType::kInt64, {-1, -1}, {"batch", "seq"}});
  net_.add_input("attention_mask", {ElemType::kInt64, {-1, -1}, {"batch", "total"}});
  net_.add_input("position_ids", {ElemType::kInt64, {-1, -1}, {"batch", "seq"}});
  net_.add_output("logits", {ElemType::kFloat, {-1, -1, graph_.vocab_size}, {"batch", "seq"}});
  for (const ir::Node& node : graph_.nodes) {
    const auto* op = std::get_if<ir::Attention>(&node.op);
    if (op == nullptr) continue;
    for (const char* kind : {"key", "value"}) {
      const std::vector<std::int64_t> dims{-1, op->num_key_value_heads, -1, op->head_dim};
      net_.add_input(past_name(op->layer_idx, kind), {ElemType::kFloat, dims, {"batch", "past"}});
      net_.add_output(present_name(op->layer_idx, kind), {ElemType::kFloat, dims, {"batch", "total"}});
    }
  }

  emit_lookup();
  if (form_.weights == WeightForm::kMatMulNBits || form_.flavour == Flavour::kGenai)
    net_.import_domain(kMicrosoftDomain, 1);
  emit_masks();
}

void Emitter::add_table(std::string name, std::optional<ir::WeightId> weight, std::int64_t rows,
                        std::int64_t cols) {
  const bool half = form_.dtype == DType::kF16;
  MatrixBlob table;
  table.name = std::move(name);
  table.weight = weight;
  table.layout = MatrixLayout::kRows;
  table.rows = rows;
  table.cols = cols;
  table.bytes = checked_cast<std::uint64_t>(table.rows * table.cols * (half ? 2 : 4));
  table.offset = net_.reserve(table.name, half ? ElemType::kFloat16 : ElemType::kFloat,
                              {table.rows, table.cols}, table.bytes);
  net_.add_matrix(std::move(table));
}

void Emitter::look_up(const std::string& table, const std::string& output) {
  const bool half = form_.dtype == DType::kF16;
  const std::string rows = half ? output + "/half" : output;
  net_.node("Gather", {table, "input_ids"}, rows, {{"axis", std::int64_t{0}}});
  if (half) net_.node("Cast", {rows}, output, {{"to", kToFloat}});
}

std::string Emitter::channels(const std::string& x, std::int64_t begin, std::int64_t end,
                              const std::string& output) {
  return net_.node("Slice", {x, net_.ints({begin}), net_.ints({end}), net_.ints({2})}, output);
}

// MNN's engine hands over rows of H values, and behind them those of a TokenEmbedding.
void Emitter::emit_lookup() {
  const std::string entry = rows_name(graph_.input);
  const ir::TokenEmbedding* further = ir::token_embedding(graph_);
  add_table(facts_.embedding_name, std::nullopt, facts_.vocab_rows, graph_.hidden_size);
  set_rows(graph_.input, entry, graph_.hidden_size);
  if (form_.flavour != Flavour::kOne) return look_up(facts_.embedding_name, entry);
  net_.import_domain(kDomain, 1);
  std::vector<std::string> inputs{"input_ids", facts_.embedding_name}, formal{"ids", "table"};
  std::int64_t width = graph_.hidden_size;
  if (further != nullptr) {
    add_table(facts_.weight_names[further->table], further->table, further->num_rows, further->size);
    inputs.push_back(facts_.weight_names[further->table]);
    formal.emplace_back("further");
    width += further->size;
  }
  const std::string embedded = net_.node_of(kDomain, "Dropout", inputs, {"inputs_embeds"});
  NodeList& lookup = net_.add_function(kDomain, "Dropout", formal, "y");
  const std::vector<Attr> rows{{"axis", std::int64_t{0}}};
  lookup.node("Gather", {"table", "ids"}, further == nullptr ? "y" : "own", rows);
  if (further != nullptr) {
    lookup.node("Gather", {"further", "ids"}, "more", rows);
    lookup.node("Concat", {"own", "more"}, "y", {{"axis", std::int64_t{-1}}});
  }
  const std::string all = further == nullptr ? entry : "inputs_embeds/rows";
  net_.node_of(kDomain, "Reshape", {embedded, net_.ints({1, -1, width})}, {all});
  net_.add_function(kDomain, "Reshape", {"x", "shape"}, "y").node("Identity", {"x"}, "y");
  logits_index_ = net_.node_of(kDomain, "Shape", {"attention_mask"}, {"logits_index"});
  NodeList& index = net_.add_function(kDomain, "Shape", {"mask"}, "y");
  index.node("Identity", {index.ints({0})}, "y");
  if (further == nullptr) return;
  channels(all, 0, graph_.hidden_size, entry);
  channels(all, graph_.hidden_size, width, rows_name(further->y));
}

void Emitter::emit(const ir::TokenEmbedding& op) {
  set_rows(op.y, rows_name(op.y), op.size);
  if (form_.flavour == Flavour::kOne) return;  // made at the entry
  add_table(facts_.weight_names[op.table], op.table, op.num_rows, op.size);
  look_up(facts_.weight_names[op.table], rows_name(op.y));
}

void Emitter::emit_masks() {
  if (form_.flavour == Flavour::kGenai) {
    const std::string sum = net_.node("ReduceSum", {"attention_mask", net_.ints({1})}, "/mask/sum",
                                      {{"keepdims", std::int64_t{0}}});
    const std::string last = net_.node("Sub", {sum, net_.scalar(std::int64_t{1})}, "/mask/last");
    net_.node("Cast", {last}, "/mask/seqlens_k", {{"to", kToInt32}});
    const std::string total = net_.node(
        "Gather", {net_.node("Shape", {"attention_mask"}, "/mask/shape"), net_.scalar(std::int64_t{1})},
        "/mask/total");
    net_.node("Cast", {total}, "/mask/total_sequence_length", {{"to", kToInt32}});
    return;
  }
  mask_ = "attn_bias";
  sliding_mask_ = "attn_bias_sliding";
  const std::int64_t window = facts_.sliding_window;
  if (form_.flavour == Flavour::kOrt) {
    emit_mask(net_, "/mask/", mask_, "attention_mask", "input_ids", 0);
    if (graph_.has_sliding_layers)
      emit_mask(net_, "/mask_sliding/", sliding_mask_, "attention_mask", "input_ids", window);
    return;
  }
  if (!graph_.has_sliding_layers) {
    net_.import_domain(kMaskDomain, 1);
    net_.node_of(kMaskDomain, "Dropout", {"attention_mask", "input_ids"}, {mask_});
    emit_mask(net_.add_function(kMaskDomain, "Dropout", {"mask", "ids"}, "y"), "", "y", "mask", "ids", 0);
    return;
  }
  // MNN's engine hands over both masks, one behind the other.
  const auto plane = [&](const char* domain, std::int64_t index, const std::string& output,
                         std::int64_t size) {
    net_.import_domain(domain, 1);
    net_.node_of(domain, "Slice",
                 {"attention_mask", net_.ints({index}), net_.ints({index + 1}), net_.ints({0}),
                  net_.ints({1}), "input_ids"},
                 {output});
    emit_mask(net_.add_function(domain, "Slice", {"mask", "starts", "ends", "axes", "steps", "ids"}, "y"), "",
              "y", "mask", "ids", size);
  };
  plane(kFullDomain, 0, mask_, 0);
  plane(kSlidingDomain, 1, sliding_mask_, window);
}

// cos and sin of a position from the tables of its two parts (docs/adr/0004-rotary-tables.md), [B, S, 1, D].
void Emitter::emit(const ir::RopeTable& op) {
  if (form_.flavour == Flavour::kGenai) {
    bool is_cached = false, is_plain = false;
    for (const ir::Node& node : graph_.nodes) {
      const auto* rope = std::get_if<ir::Rope>(&node.op);
      if (rope != nullptr && rope->cos == op.cos) (attention_rotates(*rope) ? is_cached : is_plain) = true;
    }
    if (is_cached) emit_rotary_cache(op);
    if (!is_plain) return;
  }
  const std::string prefix = value_name(op.cos).substr(0, value_name(op.cos).rfind('/'));
  const auto half = checked_cast<std::int64_t>(op.inv_freq.size());
  const std::array<std::vector<std::byte>, 4> tables = ir::rotary_tables(op);
  const auto table = [&](const char* name, const std::vector<std::byte>& bytes) {
    const auto rows = checked_cast<std::int64_t>(bytes.size()) / (4 * half);
    return net_.initializer(fmt::format("{}/{}", prefix, name), ElemType::kFloat, {rows, half},
                            text_of(bytes));
  };
  const std::string split = net_.scalar(ir::kRotarySplit);
  const std::string high = net_.node("Div", {"position_ids", split}, prefix + "/high");
  const std::string start = net_.node("Mul", {high, split}, prefix + "/high_start");
  const std::string low = net_.node("Sub", {"position_ids", start}, prefix + "/low");
  const auto row = [&](const char* name, const std::vector<std::byte>& bytes, const std::string& index) {
    return net_.node("Gather", {table(fmt::format("table_{}", name).c_str(), bytes), index},
                     fmt::format("{}/{}", prefix, name), {{"axis", std::int64_t{0}}});
  };
  const std::string cos_high = row("cos_high", tables[0], high);
  const std::string sin_high = row("sin_high", tables[1], high);
  const std::string cos_low = row("cos_low", tables[2], low);
  const std::string sin_low = row("sin_low", tables[3], low);
  const auto product = [&](const char* name, const std::string& a, const std::string& b) {
    return net_.node("Mul", {a, b}, fmt::format("{}/{}", prefix, name));
  };
  const std::string cos_half =
      net_.node("Sub", {product("cos_cos", cos_high, cos_low), product("sin_sin", sin_high, sin_low)},
                prefix + "/cos_half");
  const std::string sin_half =
      net_.node("Add", {product("sin_cos", sin_high, cos_low), product("cos_sin", cos_high, sin_low)},
                prefix + "/sin_half");
  const auto whole = [&](const std::string& name, const std::string& x) {
    const std::string both = net_.node("Concat", {x, x}, name + "/both", {{"axis", std::int64_t{2}}});
    return net_.node("Unsqueeze", {both, net_.ints({2})}, name);
  };
  faces_[op.cos].heads = whole(value_name(op.cos), cos_half);
  faces_[op.sin].heads = whole(value_name(op.sin), sin_half);
}

void Emitter::emit_rotary_cache(const ir::RopeTable& op) {
  const auto half = checked_cast<std::int64_t>(op.inv_freq.size());
  const auto table = [&](ir::ValueId value, ir::Trig trig) {
    return net_.initializer(value_name(value) + "_cache", {facts_.num_positions, half},
                            [op, trig](std::uint64_t begin, std::span<std::byte> out) {
                              ir::rotary_cache(
                                  op, trig, checked_cast<std::int64_t>(begin / sizeof(float)),
                                  {reinterpret_cast<float*>(out.data()), out.size() / sizeof(float)});
                            });
  };
  std::string cos = table(op.cos, ir::Trig::kCos);
  caches_[op.cos] = RotaryCache{std::move(cos), table(op.sin, ir::Trig::kSin)};
}

// z * cos + (-z2, z1) * sin on the rotated channels; the others pass.
std::string Emitter::rotate(const std::string& name, const std::string& x, const ir::Rope& op) {
  const std::int64_t dim = op.rotary_dim;
  const bool partial = dim < op.head_dim;
  const std::string axes = net_.ints({3});
  const auto slice = [&](const char* part, std::int64_t begin, std::int64_t end) {
    return net_.node("Slice", {x, net_.ints({begin}), net_.ints({end}), axes}, name + part);
  };
  const std::string first = slice("/first", 0, dim / 2);
  const std::string second = slice("/second", dim / 2, partial ? dim : kOpenEnd);
  const std::string negated = net_.node("Neg", {second}, name + "/negated");
  const std::string turned =
      net_.node("Concat", {negated, first}, name + "/turned", {{"axis", std::int64_t{3}}});
  const std::string rotated_part = partial ? slice("/rotated_part", 0, dim) : x;
  const std::string by_cos = net_.node("Mul", {rotated_part, faces_[op.cos].heads}, name + "/by_cos");
  const std::string by_sin = net_.node("Mul", {turned, faces_[op.sin].heads}, name + "/by_sin");
  const std::string sum = net_.node("Add", {by_cos, by_sin}, partial ? name + "/rotated" : name);
  if (!partial) return sum;
  const std::string rest = slice("/rest", dim, kOpenEnd);
  return net_.node("Concat", {sum, rest}, name, {{"axis", std::int64_t{3}}});
}

bool Emitter::attention_rotates(const ir::Rope& op) const {
  if (form_.flavour != Flavour::kGenai) return false;
  return std::all_of(graph_.nodes.begin(), graph_.nodes.end(), [&](const ir::Node& node) {
    const std::vector<ir::ValueId> ids = ir::inputs_of(node.op);
    const bool reads =
        std::any_of(ids.begin(), ids.end(), [&](ir::ValueId id) { return id == op.q_out || id == op.k_out; });
    return !reads || std::holds_alternative<ir::Attention>(node.op);
  });
}

void Emitter::emit(const ir::Rope& op) {
  const std::int64_t q_channels = op.num_attention_heads * op.head_dim;
  const std::int64_t k_channels = op.num_key_value_heads * op.head_dim;
  if (attention_rotates(op)) {
    // GroupQueryAttention rotates; onnxruntime takes eight frequencies at a time.
    if (op.rotary_dim % 16 != 0)
      fail(ErrorKind::kUnsupported,
           "GroupQueryAttention needs a number of rotated channels that is a multiple of 16, and this is {}; "
           "use --onnx_flavour one or ort",
           op.rotary_dim);
    set_rows(op.q_out, rows(op.q), q_channels);
    set_rows(op.k_out, rows(op.k), k_channels);
    caches_[op.q_out] = caches_[op.cos];
    return;
  }
  const std::string q = heads(op.q, op.num_attention_heads, op.head_dim);
  set_heads(op.q_out, rotate(value_name(op.q_out), q, op), q_channels);
  const std::string k = heads(op.k, op.num_key_value_heads, op.head_dim);
  set_heads(op.k_out, rotate(value_name(op.k_out), k, op), k_channels);
}

void Emitter::check_group_query_attention(const ir::Attention& op) const {
  if (op.head_dim % 16 != 0)
    fail(ErrorKind::kUnsupported,
         "layer {}: GroupQueryAttention needs a head_dim that is a multiple of 16, and this is {}; use "
         "--onnx_flavour one or ort",
         op.layer_idx, op.head_dim);
  // genai_config.json has one number, and the engine makes every layer's cache by it.
  for (const ir::Node& node : graph_.nodes) {
    const auto* first = std::get_if<ir::Attention>(&node.op);
    if (first == nullptr) continue;
    if (op.num_key_value_heads != first->num_key_value_heads || op.head_dim != first->head_dim)
      fail(ErrorKind::kUnsupported,
           "layer {}: onnxruntime-genai keeps as many key heads for every layer, and this has {} of {}, "
           "layer {} "
           "{} of {}; use --onnx_flavour one or ort",
           op.layer_idx, op.num_key_value_heads, op.head_dim, first->layer_idx, first->num_key_value_heads,
           first->head_dim);
    return;
  }
}

void Emitter::emit_group_query_attention(const ir::Attention& op) {
  const std::int64_t layer = op.layer_idx;
  const std::optional<RotaryCache>& cache = caches_[op.q];
  check_group_query_attention(op);
  std::vector<std::string> inputs{rows(op.q),
                                  rows(op.k),
                                  rows(op.v),
                                  past_name(layer, "key"),
                                  past_name(layer, "value"),
                                  "/mask/seqlens_k",
                                  "/mask/total_sequence_length"};
  if (cache) {
    inputs.push_back(cache->cos);
    inputs.push_back(cache->sin);
  }
  if (op.sinks) {
    constexpr std::size_t kHeadSink = 11;  // input of the operator
    inputs.resize(kHeadSink);
    inputs.push_back(vector(*op.sinks));
  }
  const std::string y = rows_name(op.y);
  const bool slides = op.mask == ir::MaskKind::kSliding;
  std::vector<Attr> attributes{{"num_heads", op.num_attention_heads},
                               {"kv_num_heads", op.num_key_value_heads},
                               {"scale", 1.0 / std::sqrt(static_cast<double>(op.head_dim))},
                               {"do_rotary", std::int64_t{cache ? 1 : 0}},
                               {"rotary_interleaved", std::int64_t{0}},
                               {"local_window_size", slides ? facts_.sliding_window : -1}};
  if (op.softcap != 0) attributes.push_back({"softcap", op.softcap});
  net_.node_of(kMicrosoftDomain, "GroupQueryAttention", inputs,
               {y, present_name(layer, "key"), present_name(layer, "value")}, attributes);
  set_rows(op.y, y, op.num_attention_heads * op.head_dim);
}

}  // namespace llm2mnn::onnx
