#pragma once
// Reading nodes of a graph that somebody else wrote: attributes and constants, strictly. Private to this
// folder.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "formats/onnx/llmexport_values.h"
#include "formats/onnx/same_model.h"

namespace llm2mnn::onnx {

namespace proto {
class Node;
class Attribute;
}  // namespace proto

/// "node /lm/MatMul (MatMul)", "node x (LlmExporter::MoE)".
std::string node_text(const proto::Node& node);
/// @throws Error(kUnsupported) "node NAME (TYPE): why".
[[noreturn]] void refuse(const proto::Node& node, std::string_view why);

/// The attributes of a node; each one must be asked for.
class Attributes {
 public:
  explicit Attributes(const proto::Node& node) : node_(node) {}
  std::int64_t integer(std::string_view name, std::optional<std::int64_t> fallback = {});
  float number(std::string_view name);
  std::optional<std::vector<std::int64_t>> integers(std::string_view name);
  const proto::Tensor* tensor(std::string_view name);
  void ignore(std::string_view name) { asked_.emplace(name); }
  /// @throws Error(kUnsupported) for one that nobody asked for.
  void check_all_asked() const;

 private:
  const proto::Attribute* find(std::string_view name, int type);

  const proto::Node& node_;
  std::set<std::string, std::less<>> asked_;
};

/// The refusals of operators that have no place here, the known ones with the reason.
[[noreturn]] void refuse_operator(const proto::Node& node);

/// Values of a FLOAT constant. @throws Error(kFormat) for sizes that do not agree.
std::vector<float> floats_of(const Constant& constant, const TensorReader& read);
/// Values of an INT64 or INT32 constant of at most one dimension; nothing for another.
std::optional<Ints> ints_of(const Constant& constant, const TensorReader& read);
/// The number of a FLOAT constant of one element; nothing for another.
std::optional<float> scalar_of(const Constant& constant, const TensorReader& read);

/// `dims` reshaped to `target` (ONNX's 0 and -1 included): the same elements, with nothing but ones in front
/// of T. Nothing when that cannot be.
std::optional<Dims> reshaped(const Dims& dims, const Dims& target);
/// Position of `axis` among `rank` dimensions; nothing when it is outside.
std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank);

}  // namespace llm2mnn::onnx
