#include "formats/onnx/llmexport_nodes.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

constexpr std::int32_t kFloat = 1, kInt32 = 6, kInt64 = 7;

std::int64_t elements_of(const Constant& constant) {
  std::int64_t elements = 0;
  // More than any rotary table: 2^24 floats.
  constexpr std::int64_t kMost = 1 << 24;
  if (!shape_elements(constant.shape, elements) || elements > kMost)
    fail(ErrorKind::kUnsupported, "constant {}: {} is more than a table", shown(constant.name),
         shape_text(constant.shape));
  return elements;
}

// Bytes of a constant, whose elements have `width` bytes; of a Constant node's only those in raw_data.
std::string raw_bytes(const Constant& constant, std::int64_t elements, std::size_t width,
                      const TensorReader& read) {
  std::string bytes(checked_cast<std::size_t>(elements) * width, '\0');
  const bool same = constant.stored != nullptr ? constant.stored->bytes == bytes.size()
                                               : constant.attribute->raw_data().size() == bytes.size();
  if (!same)
    fail(ErrorKind::kFormat, "constant {}: its size is not that of {}", shown(constant.name),
         shape_text(constant.shape));
  if (constant.stored != nullptr)
    read(*constant.stored, 0, std::as_writable_bytes(std::span(bytes)));
  else
    bytes = constant.attribute->raw_data();
  return bytes;
}

template <typename T, typename Field>
std::vector<T> values_of(const Constant& constant, const Field& field, const TensorReader& read) {
  const std::int64_t elements = elements_of(constant);
  if (constant.attribute != nullptr && constant.attribute->data_location() != 0)
    fail(ErrorKind::kUnsupported, "constant {}: external data of a Constant node is not read",
         shown(constant.name));
  if (!field.empty()) {
    if (field.size() != elements || constant.attribute->has_raw_data())
      fail(ErrorKind::kFormat, "constant {}: its size is not that of {}", shown(constant.name),
           shape_text(constant.shape));
    return {field.begin(), field.end()};
  }
  const std::string bytes = raw_bytes(constant, elements, sizeof(T), read);
  std::vector<T> values(checked_cast<std::size_t>(elements));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

const proto::Tensor& fields_of(const Constant& constant) {
  static const proto::Tensor none;
  return constant.attribute != nullptr ? *constant.attribute : none;
}

}  // namespace

std::string node_text(const proto::Node& node) {
  const std::string& name = !node.name().empty() || node.output_size() == 0 ? node.name() : node.output(0);
  const std::string type = node.domain().empty() ? node.op_type() : node.domain() + "::" + node.op_type();
  return fmt::format("node {} ({})", shown(name), shown(type));
}

void refuse(const proto::Node& node, std::string_view why) {
  fail(ErrorKind::kUnsupported, "{}: {}", node_text(node), why);
}

void refuse_operator(const proto::Node& node) {
  const std::string& type = node.op_type();
  if (type == "FakeLinear") {
    refuse(node,
           "its weights are not in the file, which is a by-product of llmexport --export mnn; convert one "
           "that --export onnx wrote");
  }
  if (type == "MoE") refuse(node, "the matrices of its experts are not in the file");
  if (type == "FusedLinearAttention") refuse(node, "linear attention is not supported");
  refuse(node, "this operator is not known in a file of llmexport");
}

const proto::Attribute* Attributes::find(std::string_view name, int type) {
  asked_.emplace(name);
  const proto::Attribute* found = nullptr;
  for (const proto::Attribute& attribute : node_.attribute()) {
    if (attribute.name() != name) continue;
    if (found != nullptr || attribute.type() != type || attribute.has_ref_attr_name())
      refuse(node_, fmt::format("attribute {} is there twice or of another type", name));
    found = &attribute;
  }
  return found;
}

std::int64_t Attributes::integer(std::string_view name, std::optional<std::int64_t> fallback) {
  const proto::Attribute* found = find(name, 2);
  if (found == nullptr && !fallback) refuse(node_, fmt::format("it has no attribute {}", name));
  return found != nullptr ? found->i() : *fallback;
}

float Attributes::number(std::string_view name) {
  const proto::Attribute* found = find(name, 1);
  if (found == nullptr) refuse(node_, fmt::format("it has no attribute {}", name));
  return found->f();
}

std::optional<std::vector<std::int64_t>> Attributes::integers(std::string_view name) {
  const proto::Attribute* found = find(name, 7);
  if (found == nullptr) return std::nullopt;
  return std::vector<std::int64_t>(found->ints().begin(), found->ints().end());
}

const proto::Tensor* Attributes::tensor(std::string_view name) {
  const proto::Attribute* found = find(name, 4);
  return found != nullptr && found->has_t() ? &found->t() : nullptr;
}

void Attributes::check_all_asked() const {
  for (const proto::Attribute& attribute : node_.attribute())
    if (!asked_.contains(attribute.name()))
      refuse(node_, fmt::format("attribute {} is not known", shown(attribute.name())));
}

std::vector<float> floats_of(const Constant& constant, const TensorReader& read) {
  if (constant.elem_type != kFloat)
    fail(ErrorKind::kUnsupported, "constant {}: {}, expected FLOAT", shown(constant.name),
         elem_type_name(constant.elem_type));
  return values_of<float>(constant, fields_of(constant).float_data(), read);
}

std::optional<Ints> ints_of(const Constant& constant, const TensorReader& read) {
  if (constant.shape.size() > 1 || (constant.elem_type != kInt64 && constant.elem_type != kInt32))
    return std::nullopt;
  constexpr std::int64_t kMostInts = 64;
  if (elements_of(constant) > kMostInts) return std::nullopt;
  Ints ints;
  ints.is_scalar = constant.shape.empty();
  if (constant.elem_type == kInt64) {
    ints.values = values_of<std::int64_t>(constant, fields_of(constant).int64_data(), read);
  } else {
    const auto values = values_of<std::int32_t>(constant, fields_of(constant).int32_data(), read);
    ints.values.assign(values.begin(), values.end());
  }
  // The two that stand for T and T'.
  if (std::ranges::any_of(ints.values,
                          [](std::int64_t value) { return value == kTokens || value == kSelected; }))
    return std::nullopt;
  return ints;
}

std::optional<float> scalar_of(const Constant& constant, const TensorReader& read) {
  if (constant.elem_type != kFloat || elements_of(constant) != 1 || constant.shape.size() > 1)
    return std::nullopt;
  return floats_of(constant, read).front();
}

std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank) {
  const auto size = static_cast<std::int64_t>(rank);
  if (axis < -size || axis >= size) return std::nullopt;
  return static_cast<std::size_t>(axis < 0 ? axis + size : axis);
}

std::optional<Dims> reshaped(const Dims& dims, const Dims& target) {
  // T or T', and the product of the numbers.
  const auto summary = [](const Dims& all, std::int64_t& token, std::int64_t& product) {
    token = 0;
    product = 1;
    for (const std::int64_t dim : all) {
      if (is_number(dim)) {
        if (!checked_mul(product, dim, product)) return false;
      } else if (token != 0) {
        return false;
      } else {
        // What is in front of T is 1, so that rows stay rows.
        if (product != 1) return false;
        token = dim;
      }
    }
    return true;
  };
  Dims out = target;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == 0) {
      if (i >= dims.size()) return std::nullopt;
      out[i] = dims[i];
    } else if (out[i] == -1) {
      if (open) return std::nullopt;
      open = i;
      out[i] = 1;
    } else if (out[i] != kTokens && out[i] != kSelected && out[i] < 0) {
      return std::nullopt;
    }
  }
  std::int64_t token = 0, product = 1, new_token = 0, new_product = 1;
  if (!summary(dims, token, product) || !summary(out, new_token, new_product) || new_product == 0)
    return std::nullopt;
  if (open) {
    if (token != new_token) {
      if (new_token != 0 || product != new_product) return std::nullopt;
      out[*open] = token;
    } else {
      if (product % new_product != 0) return std::nullopt;
      out[*open] = product / new_product;
    }
  }
  if (!summary(out, new_token, new_product) || token != new_token || product != new_product)
    return std::nullopt;
  return out;
}

}  // namespace llm2mnn::onnx
