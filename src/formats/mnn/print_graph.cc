// llm.mnn for people.

#include <fmt/format.h>
#include <iterator>

#include "base/error.h"
#include "formats/mnn/mnn_package.h"
#include "mnn_generated.h"

namespace llm2mnn::mnn {
namespace {

using Names = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;
using Ops = flatbuffers::Vector<flatbuffers::Offset<fb::Op>>;

std::string names(const Names& tensors, const flatbuffers::Vector<std::int32_t>* ids) {
  std::string text;
  if (ids == nullptr) return text;
  for (const std::int32_t id : *ids)
    text += (text.empty() ? "" : ", ") + tensors.Get(static_cast<flatbuffers::uoffset_t>(id))->str();
  return text;
}

std::string sizes(const flatbuffers::Vector<std::int32_t>* dims) {
  std::string text;
  if (dims != nullptr)
    for (const std::int32_t dim : *dims)
      text += fmt::format("{}{}", text.empty() ? "" : ", ", dim);
  return "[" + text + "]";
}

// What distinguishes two ops of one type.
std::string attributes(const fb::Op& op) {
  if (const auto* conv = op.main_as_Convolution2D()) {
    const auto* external = conv->external();
    return fmt::format(", [{}, {}]{}", conv->common()->outputCount(), conv->common()->inputCount(),
                       external == nullptr ? "" : fmt::format(", at {}", external->Get(0)));
  }
  if (const auto* binary = op.main_as_BinaryOp())
    return fmt::format(", {}", fb::EnumNameBinaryKind(static_cast<fb::BinaryKind>(binary->opType())));
  if (const auto* unary = op.main_as_UnaryOp())
    return fmt::format(", {}", fb::EnumNameUnaryKind(unary->opType()));
  if (const auto* norm = op.main_as_LayerNorm()) {
    return fmt::format(", {}, eps={}{}", norm->useRMSNorm() ? "rms" : "layer", norm->epsilon(),
                       norm->external() == nullptr ? "" : fmt::format(", at {}", norm->external()->Get(0)));
  }
  if (const auto* attention = op.main_as_AttentionParam())
    return fmt::format(", kv_cache={}, layer={}", attention->kv_cache(), attention->layer_index());
  if (const auto* linear = op.main_as_LinearAttentionParam()) {
    return fmt::format(", {}, heads={}/{}, head_dims={}/{}", linear->attn_type()->str(),
                       linear->num_v_heads(), linear->num_k_heads(), linear->head_v_dim(),
                       linear->head_k_dim());
  }
  if (const auto* rope = op.main_as_RoPEParam()) {
    return fmt::format(", heads={}/{}, head_dim={}, rotary_dim={}", rope->num_head(), rope->kv_num_head(),
                       rope->head_dim(), rope->rope_cut_head_dim());
  }
  if (const auto* reduction = op.main_as_ReductionParam())
    return fmt::format(", {}", fb::EnumNameReductionKind(reduction->operation()));
  if (const auto* extra = op.main_as_Extra()) {
    std::string text;
    for (const fb::Attribute* attribute : *extra->attr())
      text += fmt::format(", {}={}", attribute->key()->c_str(), attribute->i());
    return text;
  }
  if (const auto* input = op.main_as_Input()) return fmt::format("{}", sizes(input->dims()));
  if (const auto* blob = op.main_as_Blob()) {
    if (blob->external() != nullptr)
      return fmt::format("{}, at {}", sizes(blob->dims()), blob->external()->Get(0));
    if (blob->int32s() != nullptr) return fmt::format("{}", sizes(blob->int32s()));
  }
  return {};
}

void print_ops(std::string& text, const Ops& ops, const Names& tensors, std::string_view indent) {
  for (const fb::Op* op : ops) {
    std::string arguments = names(tensors, op->inputIndexes()) + attributes(*op);
    if (arguments.starts_with(", ")) arguments.erase(0, 2);
    fmt::format_to(std::back_inserter(text), "{}{} = {}({})\n", indent, names(tensors, op->outputIndexes()),
                   fb::EnumNameOpType(op->type()), arguments);
  }
}

}  // namespace

std::string print_graph(std::span<const std::byte> bytes) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  LLM2MNN_CHECK(fb::VerifyNetBuffer(verifier));
  const fb::Net& net = *fb::GetNet(bytes.data());
  std::string text;
  print_ops(text, *net.oplists(), *net.tensorName(), "");
  if (net.subgraphs() == nullptr) return text;
  // They differ in their weights only.
  fmt::format_to(std::back_inserter(text), "{} sub-graphs; the first one, {}:\n", net.subgraphs()->size(),
                 net.subgraphs()->Get(0)->name()->c_str());
  print_ops(text, *net.subgraphs()->Get(0)->nodes(), *net.subgraphs()->Get(0)->tensors(), "  ");
  return text;
}

}  // namespace llm2mnn::mnn
