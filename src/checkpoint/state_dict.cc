#include "checkpoint/state_dict.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/json.h"
#include "checkpoint/pickle_machine.h"

namespace llm2mnn {
namespace {

using pickle::Kind;
using pickle::Machine;
using pickle::Tensor;
using pickle::Value;

// What a state dict must not hold, in a user's words.
[[noreturn]] void fail_entry(std::string_view name, const Value& value) {
  if (value.kind == Kind::kDict) {
    fail(ErrorKind::kUnsupported,
         "entry {} is a dict: the weights must be at the top level; save that dict alone with torch.save",
         shown(name));
  }
  fail(ErrorKind::kUnsupported, "entry {} is {}, not a tensor; remove it from the dict and save again",
       shown(name), pickle::kind_text(value.kind));
}

// Row-major without gaps. Sizes of one may have any stride, and a tensor without elements too.
bool is_contiguous(const Shape& shape, const Shape& strides) {
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i > 0; --i) {
    if (shape[i - 1] != 1 && strides[i - 1] != expected) return false;
    expected *= shape[i - 1];
  }
  return true;
}

Shape shape_of(const Machine& machine, const Value& tuple, std::string_view name) {
  Shape shape;
  for (const Value& item : machine.items(tuple)) {
    if (item.kind != Kind::kInt || item.as_int() < 0) {
      fail(ErrorKind::kFormat, "tensor {}: a size or stride is not a whole number", shown(name));
    }
    shape.push_back(item.as_int());
  }
  if (shape.size() > kMaxRank)
    fail(ErrorKind::kFormat, "tensor {}: more than {} dimensions", shown(name), kMaxRank);
  return shape;
}

TensorInfo tensor_of(const Machine& machine, std::string_view name, const Tensor& tensor) {
  TensorInfo info;
  info.name = name;
  info.dtype = tensor.dtype;
  info.shape = shape_of(machine, tensor.shape, name);
  const Shape strides = shape_of(machine, tensor.strides, name);
  if (strides.size() != info.shape.size()) {
    fail(ErrorKind::kFormat, "tensor {}: {} sizes and {} strides", shown(name), info.shape.size(),
         strides.size());
  }
  const std::string type = type_text(info.dtype, info.shape);
  if (!tensor_num_bytes(info.dtype, info.shape, info.bytes)) {
    fail(ErrorKind::kFormat, "tensor {}: {} has more bytes than 64 bits can count", shown(name), type);
  }
  if (info.bytes != 0 && !is_contiguous(info.shape, strides)) {
    fail(ErrorKind::kUnsupported, "tensor {}: {} is a strided view; {}", shown(name), type, kResave);
  }
  const auto item_bytes = static_cast<std::uint64_t>(dtype_bytes(info.dtype));
  std::uint64_t start = 0;
  if (!checked_mul(tensor.first_item, item_bytes, start) || start > tensor.storage.bytes ||
      info.bytes > tensor.storage.bytes - start) {
    fail(ErrorKind::kFormat, "tensor {}: {} from element {} does not fit into its storage of {} bytes",
         shown(name), type, tensor.first_item, tensor.storage.bytes);
  }
  info.offset = tensor.storage.offset + start;
  return info;
}

}  // namespace

std::vector<TensorInfo> read_state_dict(std::string_view pickle, const FindStorage& find_storage) {
  Machine machine(pickle, find_storage);
  const Value root = machine.run();
  if (root.kind != Kind::kDict) {
    fail(ErrorKind::kUnsupported, "holds {}, not a dict of tensors; {}", pickle::kind_text(root.kind),
         kResave);
  }
  std::vector<TensorInfo> tensors;
  TensorLimits limits;
  for (const auto& [key, value] : machine.members(root)) {
    if (key.kind != Kind::kString) {
      fail(ErrorKind::kUnsupported, "a key of the dict is {}, not a string", pickle::kind_text(key.kind));
    }
    const std::string_view name = machine.text(key);
    if (name.empty() || !is_utf8(name)) fail(ErrorKind::kFormat, "entry {}: not a name", shown(name));
    if (value.kind != Kind::kTensor) fail_entry(name, value);
    limits.add(name);
    tensors.push_back(tensor_of(machine, name, machine.tensor(value)));
  }
  sort_by_name(tensors);
  return tensors;
}

}  // namespace llm2mnn
