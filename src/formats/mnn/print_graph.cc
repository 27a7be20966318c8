// llm.mnn for people.

#include <fmt/format.h>
#include <iterator>

#include "base/error.h"
#include "formats/mnn/mnn_package.h"
#include "mnn_generated.h"

namespace llm2mnn::mnn {
namespace {

std::string names(const fb::Net& net, const flatbuffers::Vector<std::int32_t>* ids) {
  std::string text;
  if (ids == nullptr) return text;
  for (const std::int32_t id : *ids)
    text +=
        (text.empty() ? "" : ", ") + net.tensorName()->Get(static_cast<flatbuffers::uoffset_t>(id))->str();
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
  if (const auto* rope = op.main_as_RoPEParam()) {
    return fmt::format(", heads={}/{}, head_dim={}, rotary_dim={}", rope->num_head(), rope->kv_num_head(),
                       rope->head_dim(), rope->rope_cut_head_dim());
  }
  if (const auto* input = op.main_as_Input()) return fmt::format("{}", sizes(input->dims()));
  if (const auto* blob = op.main_as_Blob()) {
    if (blob->external() != nullptr)
      return fmt::format("{}, at {}", sizes(blob->dims()), blob->external()->Get(0));
    if (blob->int32s() != nullptr) return fmt::format("{}", sizes(blob->int32s()));
  }
  return {};
}

}  // namespace

std::string print_graph(std::span<const std::byte> bytes) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  LLM2MNN_CHECK(fb::VerifyNetBuffer(verifier));
  const fb::Net& net = *fb::GetNet(bytes.data());
  std::string text;
  for (const fb::Op* op : *net.oplists()) {
    std::string arguments = names(net, op->inputIndexes()) + attributes(*op);
    if (arguments.starts_with(", ")) arguments.erase(0, 2);
    fmt::format_to(std::back_inserter(text), "{} = {}({})\n", names(net, op->outputIndexes()),
                   fb::EnumNameOpType(op->type()), arguments);
  }
  return text;
}

}  // namespace llm2mnn::mnn
