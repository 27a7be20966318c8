#include "formats/onnx/onnx_package.h"

#include <algorithm>
#include <cstring>
#include <fmt/ranges.h>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "formats/onnx/emitter.h"

namespace llm2mnn::onnx {

std::string_view flavour_name(Flavour flavour) {
  switch (flavour) {
    case Flavour::kOne:
      return "one";
    case Flavour::kOrt:
      return "ort";
    case Flavour::kGenai:
      return "genai";
  }
  return "?";
}

std::string_view weight_form_name(WeightForm form) {
  switch (form) {
    case WeightForm::kFloat:
      return "float";
    case WeightForm::kMatMulNBits:
      return "matmulnbits";
    case WeightForm::kDequantizeLinear:
      return "qdq";
  }
  return "?";
}

std::string weights_text(const OnnxForm& form) {
  const std::string floats = form.dtype == DType::kF16 ? "fp16" : "fp32";
  if (form.weights == WeightForm::kFloat) return floats;
  std::string node = form.weights == WeightForm::kMatMulNBits ? "MatMulNBits" : "DequantizeLinear";
  if (form.accuracy_level == 4) node += ", int8 activations";
  return fmt::format("linear layers: {} bit, block {} ({}); lm_head and embedding: {}", form.bits, form.block,
                     node, floats);
}

void check_form(const OnnxForm& form) {
  const auto refuse = [](std::string message) {
    throw Error(ErrorKind::kInvalidArgument, std::move(message));
  };
  if (form.opset < kLeastOpset || form.opset > kMostOpset)
    refuse(fmt::format("--onnx_opset {}: expected {} to {}", form.opset, kLeastOpset, kMostOpset));
  if (form.dtype == DType::kF16 && form.flavour == Flavour::kOne) {
    refuse(
        "--dtype fp16: MNN's converter reads external fp16 weights as zeros; use --onnx_flavour ort or "
        "genai, or "
        "--dtype fp32");
  }
  if (form.weights == WeightForm::kFloat) return;
  if (form.weights == WeightForm::kDequantizeLinear && form.opset < kQuantOpset)
    refuse(fmt::format("--onnx_quant qdq: blocks and 4 bit types need --onnx_opset {} or more", kQuantOpset));
  if (form.bits != 4 && form.bits != 8)
    refuse(fmt::format("--quant_bit {}: onnxruntime computes with 4 or 8 bits (--onnx_quant)", form.bits));
  if (std::ranges::find(kQuantBlocks, form.block) == kQuantBlocks.end())
    refuse(fmt::format("--quant_block {}: onnxruntime computes with blocks of {} (--onnx_quant)", form.block,
                       fmt::join(kQuantBlocks, ", ")));
}

ConstBlob held_blob(std::uint64_t offset, std::string data) {
  const std::uint64_t bytes = data.size();
  auto held = std::make_shared<const std::string>(std::move(data));
  return {offset, bytes, [held](std::uint64_t begin, std::span<std::byte> out) {
            std::memcpy(out.data(), held->data() + begin, out.size());
          }};
}

void for_each_piece(const ConstBlob& blob,
                    const std::function<bool(std::uint64_t begin, std::span<const std::byte> piece)>& use) {
  constexpr std::uint64_t kPiece = 1 << 20;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(blob.bytes, kPiece)));
  for (std::uint64_t begin = 0; begin < blob.bytes; begin += kPiece) {
    const auto piece =
        std::span(buffer).first(static_cast<std::size_t>(std::min(kPiece, blob.bytes - begin)));
    blob.make(begin, piece);
    if (!use(begin, piece)) return;
  }
}

OnnxModel build_model(const ir::Graph& graph, const DecoderFacts& facts, const OnnxForm& form,
                      const VectorReader& read_vector) {
  return Emitter(graph, facts, form, read_vector).run();
}

namespace {

std::string attribute_text(const proto::Attribute& attribute) {
  if (attribute.ints_size() > 0)
    return fmt::format(", {}=[{}]", attribute.name(), fmt::join(attribute.ints(), ", "));
  return attribute.has_f() ? fmt::format(", {}={}", attribute.name(), attribute.f())
                           : fmt::format(", {}={}", attribute.name(), attribute.i());
}

}  // namespace

std::string print_model(const OnnxModel& model) {
  proto::Model parsed;
  LLM2MNN_CHECK(parsed.ParseFromString(model.bytes));
  std::string text;
  for (const proto::Node& node : parsed.graph().node()) {
    fmt::format_to(std::back_inserter(text), "{} = {}{}({}", fmt::join(node.output(), ", "),
                   node.domain().empty() ? "" : node.domain() + "::", node.op_type(),
                   fmt::join(node.input(), ", "));
    for (const proto::Attribute& attribute : node.attribute())
      text += attribute_text(attribute);
    text += ")\n";
  }
  return text;
}

std::string with_metadata(std::string bytes, std::string_view producer_version, std::string_view key,
                          std::string_view value) {
  // Protobuf: a message's bytes may come in parts; lists go on.
  proto::Model part;
  part.set_producer_version(std::string(producer_version));
  proto::StringEntry& entry = *part.add_metadata_props();
  entry.set_key(std::string(key));
  entry.set_value(std::string(value));
  return bytes + part.SerializeAsString();
}

}  // namespace llm2mnn::onnx
