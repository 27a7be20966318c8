#pragma once
// The stack machine behind read_state_dict. Knows the opcodes of torch.save, and no others.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/state_dict.h"

namespace llm2mnn::pickle {

enum class Kind : std::uint8_t {
  kMark,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kTuple,
  kDict,
  kGlobal,
  kStorage,
  kTensor
};
/// "a tuple", "None", ...
std::string_view kind_text(Kind kind);

/// 16 bytes; long things live in the machine's tables.
struct Value {
  Kind kind = Kind::kNone;
  std::uint32_t size = 0;  ///< of a string or tuple
  std::uint64_t data = 0;  ///< number, start of a string or tuple, or index into a table
  std::int64_t as_int() const { return static_cast<std::int64_t>(data); }
};
using Members = std::vector<std::pair<Value, Value>>;

struct Storage {
  StorageSpan span;
  std::optional<DType> dtype;  ///< none: untyped
};

struct Tensor {
  DType dtype = DType::kF32;
  StorageSpan storage;
  std::uint64_t first_item = 0;  ///< in elements
  Value shape;                   ///< tuples
  Value strides;
};

/// Names that a pickle may mention.
enum class GlobalKind : std::uint8_t { kOrderedDict, kTensorV2, kTensorV3, kParameter, kStorageType, kDType };
struct Global {
  std::string_view module;
  std::string_view name;
  GlobalKind kind;
  std::optional<DType> dtype;  ///< of kStorageType (none: untyped) and kDType
};

class Machine {
 public:
  Machine(std::string_view pickle, const FindStorage& find_storage)
      : pickle_(pickle), find_storage_(find_storage) {}

  /// Runs to STOP and returns the one value that is left.
  Value run();

  std::string_view text(const Value& string) const;
  std::span<const Value> items(const Value& tuple) const;
  const Members& members(const Value& dict) const { return dicts_[dict.data]; }
  const Tensor& tensor(const Value& value) const { return tensors_[value.data]; }

 private:
  [[noreturn]] void broken(std::string_view problem) const;
  std::string_view take(std::uint64_t count);
  std::string_view take_line();
  template <typename T>
  T number();

  void step(std::uint8_t opcode);
  bool step_scalar(std::uint8_t opcode);
  bool step_memo(std::uint8_t opcode);
  bool step_container(std::uint8_t opcode);

  void push(Value value);
  Value pop();
  Value pop(Kind kind);
  void push_int(std::int64_t value) { push({Kind::kInt, 0, static_cast<std::uint64_t>(value)}); }
  void push_string(std::string_view text);
  void push_long(std::size_t num_bytes);
  void push_tuple(std::size_t count);
  void push_dict();
  void push_global(std::string_view module, std::string_view name);
  void push_storage();
  void count_units(std::size_t count);
  std::size_t items_above_mark() const;
  void set_items(std::size_t count);
  void put(std::uint64_t idx);
  void get(std::uint64_t idx);
  void build();
  void reduce();
  void rebuild_tensor(std::span<const Value> args, bool has_dtype);

  std::string_view pickle_;
  const FindStorage& find_storage_;
  std::size_t position_ = 0;
  std::size_t num_units_ = 0;
  std::vector<Value> stack_;
  std::vector<Value> memo_;
  std::vector<Value> items_;  // of all tuples, one behind the other
  std::vector<Members> dicts_;
  std::vector<Storage> storages_;
  std::vector<Tensor> tensors_;
};

}  // namespace llm2mnn::pickle
