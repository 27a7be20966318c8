#include "formats/onnx/model_reader.h"

#include <algorithm>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <limits>

#include "base/checked.h"
#include "base/error.h"

namespace llm2mnn::onnx {
namespace {

using google::protobuf::MessageLite;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// More than any model: the largest published ones, with each expert written out, have 200,000 nodes.
constexpr std::size_t kMostNodes = 500'000;
constexpr std::size_t kMostTensors = 250'000;
constexpr std::size_t kMostOthers = 20'000;             // inputs, outputs, functions, metadata
constexpr std::uint64_t kMostParsedBytes = 256u << 20;  // of all messages that are held in memory
constexpr std::uint64_t kMostBytes = 0x7FFFFFFF;        // of a protobuf message

/// Reads a file in pieces; what is skipped is not read.
class FileStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit FileStream(const File& file) : file_(file), buffer_(1 << 16) {}

  bool Next(const void** data, int* size) override {
    if (position_ >= file_.size()) return false;
    const auto bytes = std::min<std::uint64_t>(buffer_.size(), file_.size() - position_);
    file_.read_exact(position_, std::span(buffer_).first(static_cast<std::size_t>(bytes)));
    position_ += bytes;
    *data = buffer_.data();
    *size = static_cast<int>(bytes);
    return true;
  }
  void BackUp(int count) override { position_ -= static_cast<std::uint64_t>(count); }
  bool Skip(int count) override {
    const bool inside = static_cast<std::uint64_t>(count) <= file_.size() - position_;
    position_ = inside ? position_ + static_cast<std::uint64_t>(count) : file_.size();
    return inside;
  }
  std::int64_t ByteCount() const override { return static_cast<std::int64_t>(position_); }

 private:
  const File& file_;
  std::vector<std::byte> buffer_;
  std::uint64_t position_ = 0;
};

class Reader {
 public:
  Reader(const File& file, proto::Model& model) : stream_(file), input_(&stream_), model_(model) {
    input_.SetTotalBytesLimit(std::numeric_limits<int>::max());
  }

  std::vector<FoundTensor> run() {
    fields([this](int field, std::uint32_t tag) {
      using Model = proto::Model;
      switch (field) {
        case Model::kIrVersionFieldNumber:
          model_.set_ir_version(static_cast<std::int64_t>(varint(tag)));
          return true;
        case Model::kProducerNameFieldNumber:
          model_.set_producer_name(text(tag));
          return true;
        case Model::kProducerVersionFieldNumber:
          model_.set_producer_version(text(tag));
          return true;
        case Model::kGraphFieldNumber:
          nested(tag, [this] { read_graph(); });
          return true;
        case Model::kOpsetImportFieldNumber:
          parse(tag, *count(model_.opset_import_size()).add_opset_import());
          return true;
        case Model::kMetadataPropsFieldNumber:
          parse(tag, *count(model_.metadata_props_size()).add_metadata_props());
          return true;
        case Model::kFunctionsFieldNumber:
          parse(tag, *count(model_.functions_size()).add_functions());
          return true;
        default:
          return false;
      }
    });
    if (!has_graph_) fail(ErrorKind::kFormat, "this is no ONNX model: it has no graph");
    return std::move(tensors_);
  }

 private:
  void read_graph() {
    has_graph_ = true;
    proto::Graph& graph = *model_.mutable_graph();
    fields([&](int field, std::uint32_t tag) {
      using Graph = proto::Graph;
      switch (field) {
        case Graph::kNodeFieldNumber:
          limit(static_cast<std::size_t>(graph.node_size()), kMostNodes, "nodes");
          parse(tag, *graph.add_node());
          return true;
        case Graph::kNameFieldNumber:
          graph.set_name(text(tag));
          return true;
        case Graph::kInitializerFieldNumber:
          limit(tensors_.size(), kMostTensors, "tensors");
          nested(tag, [this] { read_tensor(tensors_.emplace_back()); });
          return true;
        case Graph::kInputFieldNumber:
          count(graph.input_size());
          parse(tag, *graph.add_input());
          return true;
        case Graph::kOutputFieldNumber:
          count(graph.output_size());
          parse(tag, *graph.add_output());
          return true;
        case Graph::kSparseInitializerFieldNumber:
          fail(ErrorKind::kUnsupported, "sparse tensors are not read");
        default:
          return false;
      }
    });
  }

  void read_tensor(FoundTensor& tensor) {
    fields([&](int field, std::uint32_t tag) {
      using Tensor = proto::Tensor;
      switch (field) {
        case Tensor::kDimsFieldNumber:
          read_dims(tag, tensor.dims);
          return true;
        case Tensor::kDataTypeFieldNumber:
          tensor.elem_type = static_cast<std::int32_t>(varint(tag));
          return true;
        case Tensor::kNameFieldNumber:
          tensor.name = text(tag);
          return true;
        case Tensor::kRawDataFieldNumber:
        case Tensor::kFloatDataFieldNumber:
          read_span(tag, tensor);
          return true;
        case Tensor::kInt32DataFieldNumber:
        case Tensor::kInt64DataFieldNumber:
        case Tensor::kDoubleDataFieldNumber:
        case Tensor::kUint64DataFieldNumber:
          tensor.in_typed_field = true;
          return false;
        case Tensor::kExternalDataFieldNumber: {
          proto::StringEntry entry;
          parse(tag, entry);
          constexpr std::size_t kMostEntries = 16;
          limit(tensor.external.size(), kMostEntries, "entries of external data");
          tensor.external.emplace_back(entry.key(), entry.value());
          return true;
        }
        case Tensor::kDataLocationFieldNumber:
          tensor.is_external = varint(tag) == 1;
          return true;
        default:
          return false;
      }
    });
  }

  void read_dims(std::uint32_t tag, Shape& dims) {
    constexpr std::size_t kMostDims = 64;
    const auto add = [&](std::uint64_t value) {
      limit(dims.size(), kMostDims, "dimensions of a tensor");
      dims.push_back(static_cast<std::int64_t>(value));
    };
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED)
      return add(varint(tag));
    nested(tag, [&] {
      while (input_.BytesUntilLimit() > 0) {
        std::uint64_t value = 0;
        if (!input_.ReadVarint64(&value)) fail_broken();
        add(value);
      }
    });
  }

  // Bytes that are values as they stand.
  void read_span(std::uint32_t tag, FoundTensor& tensor) {
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
        tensor.num_bytes > 0) {
      // Unpacked floats, or data in two places.
      tensor.in_typed_field = true;
      skip(tag);
      return;
    }
    const int bytes = length(tag);
    tensor.offset = static_cast<std::uint64_t>(input_.CurrentPosition());
    tensor.num_bytes = static_cast<std::uint64_t>(bytes);
    if (!input_.Skip(bytes)) fail_broken();
  }

  /// Hands each field to `handle(number, tag)`, which reads it and returns true, or has it skipped.
  template <typename Handle>
  void fields(Handle&& handle) {
    while (const std::uint32_t tag = input_.ReadTag()) {
      if (!handle(WireFormatLite::GetTagFieldNumber(tag), tag)) skip(tag);
    }
    if (!input_.ConsumedEntireMessage() && input_.BytesUntilLimit() != 0) fail_broken();
  }

  template <typename Read>
  void nested(std::uint32_t tag, Read&& read) {
    const int bytes = length(tag);
    const CodedInputStream::Limit outer = input_.PushLimit(bytes);
    read();
    if (input_.BytesUntilLimit() != 0) fail_broken();
    input_.PopLimit(outer);
  }

  void parse(std::uint32_t tag, MessageLite& message) {
    const int bytes = length(tag);
    parsed_bytes_ += static_cast<std::uint64_t>(bytes) + 64;
    if (parsed_bytes_ > kMostParsedBytes)
      fail(ErrorKind::kUnsupported, "more than {} bytes of graph", kMostParsedBytes);
    const CodedInputStream::Limit outer = input_.PushLimit(bytes);
    if (!message.MergePartialFromCodedStream(&input_) || input_.BytesUntilLimit() != 0) fail_broken();
    input_.PopLimit(outer);
  }

  proto::Model& count(int size) {
    limit(static_cast<std::size_t>(size), kMostOthers, "entries of one kind");
    return model_;
  }
  static void limit(std::size_t size, std::size_t most, std::string_view what) {
    if (size >= most) fail(ErrorKind::kUnsupported, "more than {} {}", most, what);
  }

  std::uint64_t varint(std::uint32_t tag) {
    std::uint64_t value = 0;
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_VARINT ||
        !input_.ReadVarint64(&value))
      fail_broken();
    return value;
  }
  /// Of what follows; at most the bytes that are left.
  int length(std::uint32_t tag) {
    std::uint32_t bytes = 0;
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED ||
        !input_.ReadVarint32(&bytes))
      fail_broken();
    const auto left = static_cast<std::uint64_t>(std::max(
        0, input_.BytesUntilLimit() < 0 ? std::numeric_limits<int>::max() : input_.BytesUntilLimit()));
    if (bytes > left) fail_broken();
    return static_cast<int>(bytes);
  }
  std::string text(std::uint32_t tag) {
    const int bytes = length(tag);
    constexpr int kMostName = 1 << 16;
    if (bytes > kMostName) fail(ErrorKind::kFormat, "a name of {} bytes", bytes);
    std::string value;
    if (!input_.ReadString(&value, bytes)) fail_broken();
    return value;
  }
  void skip(std::uint32_t tag) {
    if (!WireFormatLite::SkipField(&input_, tag)) fail_broken();
  }
  [[noreturn]] void fail_broken() {
    fail(ErrorKind::kFormat, "this is no whole ONNX model: it breaks off or is damaged at byte {}",
         input_.CurrentPosition());
  }

  FileStream stream_;
  CodedInputStream input_;
  proto::Model& model_;
  std::vector<FoundTensor> tensors_;
  std::uint64_t parsed_bytes_ = 0;
  bool has_graph_ = false;
};

}  // namespace

std::vector<FoundTensor> read_model(const File& file, proto::Model& model) {
  if (file.size() > kMostBytes) {
    fail(ErrorKind::kFormat,
         "{} bytes, and a protobuf message has less than 2 GiB; save the weights as external data",
         file.size());
  }
  return Reader(file, model).run();
}

}  // namespace llm2mnn::onnx
