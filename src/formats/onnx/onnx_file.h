#pragma once
// An ONNX file as it is found: graph, functions and metadata in memory, the bytes of tensors where they are.
// Hostile bytes stop here: when `open` returns, every span lies inside its file and agrees with type and
// shape.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_source.h"
#include "tensor/dtype.h"

namespace llm2mnn::onnx {

namespace proto {
class Model;
}

/// An initializer.
struct StoredTensor {
  std::string name;
  std::int32_t elem_type = 0;  ///< TensorProto.DataType
  Shape shape;
  std::uint32_t file_idx = 0;  ///< into OnnxFile::files()
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// "FLOAT", "UINT4", ...; the number of an unknown type.
std::string elem_type_name(std::int32_t elem_type);

class OnnxFile {
 public:
  /// Unknown fields are passed over.
  /// @throws Error: kIo for files that cannot be read (a missing data file is explained), kFormat for what is
  /// no ONNX model, kUnsupported for forms refused by name (subgraphs, sparse tensors, values in typed
  /// fields).
  static OnnxFile open(const std::filesystem::path& path);
  /// Bytes of the file of external data at `location`, which stays below the file's directory. Asked once
  /// each.
  using DataSize = std::function<std::uint64_t(const std::string& location)>;
  /// The same of any bytes, with `name` for messages.
  static OnnxFile read(const ByteSource& source, const std::string& name, const DataSize& size_of);
  OnnxFile(OnnxFile&&) noexcept;
  ~OnnxFile();

  /// The file itself and the data files beside it, relative to its directory.
  const std::vector<std::string>& files() const { return files_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  ///< sorted by name, names unique
  const StoredTensor* find(std::string_view name) const;
  std::optional<std::string_view> metadata(std::string_view key) const;

  /// What `inspect` prints.
  struct Value {
    std::string name, type;  ///< "float32 [batch, seq, 64]"
  };
  struct Summary {
    std::string producer;  ///< name and version
    std::int64_t ir_version = 0;
    std::map<std::string, std::int64_t> opsets;     ///< by domain; "" is ONNX's own
    std::map<std::string, std::int64_t> operators;  ///< how often, by "domain::op_type"
    std::vector<Value> inputs, outputs;
    std::vector<std::string> functions;
  };
  Summary summary() const;

  /// The graph without initializers, for those who know the wire format.
  const proto::Model& model() const { return *model_; }

 private:
  OnnxFile();

  std::vector<std::string> files_;
  std::vector<StoredTensor> tensors_;
  std::unique_ptr<proto::Model> model_;
};

}  // namespace llm2mnn::onnx
