#include "formats/onnx/llmexport_names.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace llm2mnn::onnx {
namespace {

class Namer {
 public:
  explicit Namer(WalkedGraph& walked)
      : graph_(walked.graph),
        origins_(walked.origins),
        makers_(graph_.values.size()),
        users_(graph_.values.size()),
        names_(graph_.nodes.size()) {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      for (const ir::ValueId id : ir::outputs_of(graph_.nodes[i].op))
        makers_[id] = i;
      for (const ir::ValueId id : ir::inputs_of(graph_.nodes[i].op))
        users_[id].push_back(i);
    }
  }

  void run() {
    graph_.values[graph_.input].name = "/embed_tokens/output";
    std::size_t tables = 0;
    std::string layer;  // of the last attention
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Op& op = graph_.nodes[i].op;
      if (std::holds_alternative<ir::RopeTable>(op)) set(i, fmt::format("/rotary.{}", tables++));
      if (std::holds_alternative<ir::SelectTokens>(op)) set(i, "/select_tokens");
      if (const auto* attention = std::get_if<ir::Attention>(&op)) {
        layer = fmt::format("/layers.{}", attention->layer_idx);
        name_attention(i, *attention, layer);
      } else if (const auto* gated = std::get_if<ir::GatedUnit>(&op)) {
        name_mlp(i, layer, {{gated->gate, "gate_proj"}, {gated->up, "up_proj"}});
      } else if (const auto* unary = std::get_if<ir::Unary>(&op)) {
        name_mlp(i, layer, {{unary->x, "up_proj"}});
      }
    }
    name_head();
    apply();
  }

 private:
  // Names each node but once.
  void set(std::size_t node, const std::string& name) {
    if (!names_[node].empty() && names_[node] != name)
      fail(ErrorKind::kUnsupported, "{}: it would be both {} and {}", origins_[node], names_[node], name);
    names_[node] = name;
  }

  template <typename T>
  std::optional<std::size_t> made_by(ir::ValueId value) const {
    const std::optional<std::size_t> maker = makers_[value];
    return maker && std::holds_alternative<T>(graph_.nodes[*maker].op) ? maker : std::nullopt;
  }
  template <typename T>
  const T& op(std::size_t node) const {
    return std::get<T>(graph_.nodes[node].op);
  }

  // The linear that makes `value`; returns what it reads.
  ir::ValueId name_linear(std::size_t reader, ir::ValueId value, const std::string& name) {
    const std::optional<std::size_t> linear = made_by<ir::Linear>(value);
    if (!linear)
      fail(ErrorKind::kUnsupported, "{}: its {} comes from no linear layer", origins_[reader], name);
    set(*linear, name);
    return op<ir::Linear>(*linear).x;
  }

  // [norm] - reader: the norm in front of a block, if there is one.
  void name_norm_before(ir::ValueId value, const std::string& name) {
    if (const std::optional<std::size_t> norm = made_by<ir::Norm>(value)) set(*norm, name);
  }

  // value - linear - [norm] - add
  void name_after(std::size_t maker, ir::ValueId value, const std::string& linear, const std::string& norm,
                  const std::string& add) {
    const std::vector<std::size_t>& users = users_[value];
    if (users.size() != 1 || !std::holds_alternative<ir::Linear>(graph_.nodes[users[0]].op))
      fail(ErrorKind::kUnsupported, "{}: expected one linear layer behind it, {}", origins_[maker], linear);
    set(users[0], linear);
    ir::ValueId out = op<ir::Linear>(users[0]).y;
    for (const std::size_t user : std::vector(users_[out])) {
      if (!std::holds_alternative<ir::Norm>(graph_.nodes[user].op)) continue;
      set(user, norm);
      out = op<ir::Norm>(user).y;
    }
    for (const std::size_t user : users_[out])
      if (std::holds_alternative<ir::Add>(graph_.nodes[user].op)) set(user, add);
  }

  // The value before rotation and norm of a head.
  ir::ValueId through_head(ir::ValueId value, bool is_key, const std::string& prefix) {
    if (const std::optional<std::size_t> rope = made_by<ir::Rope>(value)) {
      set(*rope, prefix + "/rotary");
      value = is_key ? op<ir::Rope>(*rope).k : op<ir::Rope>(*rope).q;
    }
    if (const std::optional<std::size_t> norm = made_by<ir::Norm>(value)) {
      set(*norm, prefix + (is_key ? "/k_norm" : "/q_norm"));
      value = op<ir::Norm>(*norm).x;
    }
    return value;
  }

  void name_attention(std::size_t node, const ir::Attention& attention, const std::string& layer) {
    const std::string prefix = layer + "/self_attn";
    set(node, prefix + "/attention");
    const ir::ValueId q = through_head(attention.q, false, prefix),
                      k = through_head(attention.k, true, prefix);
    const ir::ValueId x = name_linear(node, q, prefix + "/q_proj");
    if (name_linear(node, k, prefix + "/k_proj") != x ||
        name_linear(node, attention.v, prefix + "/v_proj") != x)
      fail(ErrorKind::kUnsupported, "{}: its queries, keys and values come from different inputs",
           origins_[node]);
    name_norm_before(x, layer + "/input_layernorm");
    name_after(node, attention.y, prefix + "/o_proj", layer + "/post_attention_norm",
               layer + "/attention_residual");
  }

  void name_mlp(std::size_t node, const std::string& layer,
                const std::vector<std::pair<ir::ValueId, const char*>>& inputs) {
    if (layer.empty())
      fail(ErrorKind::kUnsupported, "{}: it stands in front of all attention", origins_[node]);
    const std::string prefix = layer + "/mlp";
    set(node, prefix + "/act");
    for (const auto& [value, name] : inputs)
      name_norm_before(name_linear(node, value, fmt::format("{}/{}", prefix, name)), layer + "/pre_mlp_norm");
    name_after(node, ir::outputs_of(graph_.nodes[node].op)[0], prefix + "/down_proj",
               layer + "/post_mlp_norm", layer + "/mlp_residual");
  }

  //  hidden_states - lm_head - [scale] - logits
  void name_head() {
    ir::ValueId logits = graph_.logits;
    if (const std::optional<std::size_t> scale = made_by<ir::Scale>(logits)) {
      set(*scale, "/logit_scale");
      logits = op<ir::Scale>(*scale).x;
    }
    const std::optional<std::size_t> head = made_by<ir::Linear>(logits);
    if (!head) fail(ErrorKind::kUnsupported, "output logits: they come from no linear layer");
    set(*head, "/lm_head");
    name_norm_before(op<ir::Linear>(*head).x, "/norm");
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const auto* scale = std::get_if<ir::Scale>(&graph_.nodes[i].op);
      if (scale != nullptr && scale->x == graph_.input) set(i, "/embed_scale");
    }
  }

  void apply() {
    std::set<std::string_view> all;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i].empty() || !all.insert(names_[i]).second)
        fail(ErrorKind::kUnsupported, "{}: {} has no such place in a decoder", origins_[i],
             ir::op_name(graph_.nodes[i].op));
      apply(graph_.nodes[i], names_[i]);
    }
  }

  void apply(ir::Node& node, const std::string& name) {
    node.name = name;
    // "/layers.3/self_attn/q_proj" to "layers.3.self_attn.q_proj".
    std::string address = name.substr(1);
    std::ranges::replace(address, '/', '.');
    const auto set_value = [&](ir::ValueId id, const char* suffix) {
      graph_.values[id].name = name + suffix;
    };
    if (auto* table = std::get_if<ir::RopeTable>(&node.op)) {
      set_value(table->cos, "/cos");
      set_value(table->sin, "/sin");
    } else if (auto* rope = std::get_if<ir::Rope>(&node.op)) {
      set_value(rope->q_out, "/q");
      set_value(rope->k_out, "/k");
    } else {
      set_value(ir::outputs_of(node.op)[0], "/output");
    }
    if (auto* linear = std::get_if<ir::Linear>(&node.op)) {
      graph_.weights[linear->weight].address = address + ".weight";
      if (linear->bias) graph_.weights[*linear->bias].address = address + ".bias";
    }
    if (auto* norm = std::get_if<ir::Norm>(&node.op))
      graph_.weights[norm->gamma].address = address + ".weight";
  }

  ir::Graph& graph_;
  const std::vector<std::string>& origins_;
  std::vector<std::optional<std::size_t>> makers_;  // by value
  std::vector<std::vector<std::size_t>> users_;     // by value
  std::vector<std::string> names_;                  // by node
};

}  // namespace

void name_decoder(WalkedGraph& walked) { Namer(walked).run(); }

}  // namespace llm2mnn::onnx
