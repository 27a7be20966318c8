#pragma once
// What the values of llmexport's graph are known to be while its nodes are walked. Private to this folder.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "formats/onnx/onnx_file.h"
#include "ir/graph.h"

namespace llm2mnn::onnx {

namespace proto {
class Tensor;
}

/// Sizes, of which these two are not numbers.
using Dims = std::vector<std::int64_t>;
inline constexpr std::int64_t kTokens = INT64_MIN;        ///< T
inline constexpr std::int64_t kSelected = INT64_MIN + 1;  ///< T', the rows from logits_index on
inline bool is_number(std::int64_t dim) { return dim >= 0; }

/// A tensor of the file: an initializer or a Constant node's.
struct Constant {
  std::string name;  ///< of the value
  std::int32_t elem_type = 0;
  Shape shape;
  const StoredTensor* stored = nullptr;      ///< of an initializer
  const proto::Tensor* attribute = nullptr;  ///< of a Constant node
};

/// Integers made of constants and T.
struct Ints {
  Dims values;
  bool is_scalar = false;
};

/// Floats that depend on tokens: an elementwise expression of one value of the graph.
struct Activation {
  enum class Part : std::uint8_t { kPlain, kQuery, kKey };  ///< the latter two: rotated
  ir::ValueId id = ir::kNoValue;
  Dims dims;
  std::string text = "x";  ///< x is `id`; commutative operands are sorted, constants have six digits
  double eps = 0;          ///< behind the word eps of `text`
  double factor = 0;       ///< when `text` is a scaling of x
  Part part = Part::kPlain;
};

/// position_ids, and what becomes of them on the way into the rotary tables.
struct Positions {
  enum class Stage : std::uint8_t {
    kPosition,
    kHigh,
    kHighTimesSplit,
    kLow
  };  ///< p, p / split, (p / split) * split, the rest
  Stage stage = Stage::kPosition;
  Dims dims;
  std::int64_t limit = INT64_MAX;  ///< the largest position after Clip
  std::int64_t split = 0;
};

/// Rows of a table [R, D/2].
struct TableRows {
  Constant table;
  Positions index;
};
/// A row of a high table times one of a low table.
struct TableProduct {
  TableRows high, low;
};
/// cos (or sin) of the angles, or both.
struct Rotary {
  struct Tables {
    TableRows cos_high, sin_high, cos_low, sin_low;
  };
  enum class Part : std::uint8_t { kCos, kSin, kBoth };  ///< kBoth: cos then sin along dims[0]
  Tables tables;
  Part part = Part::kCos;
  Dims dims;
  bool doubled = false;  ///< [.., D], halves alike
  double factor = 1;
};

struct Mask {};
struct LogitsIndex {};

using Symbol =
    std::variant<Constant, Ints, Activation, Positions, TableRows, TableProduct, Rotary, Mask, LogitsIndex>;

}  // namespace llm2mnn::onnx
