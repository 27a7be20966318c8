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

constexpr std::uint64_t kMostBytes = 0x7FFFFFFF;  // of a protobuf message
// Of what is held in memory. An export of ours with 126 layers takes 12 MB.
constexpr std::uint64_t kMostMemory = 112u << 20;
// A tensor is held three times: as found, as located, as a source of weights.
constexpr std::uint64_t kTensorCopies = 3;
constexpr std::uint64_t kTensorMemory = 200;

// The messages that become objects, and the rest, which is strings and numbers.
enum class Kind : std::uint8_t {
  kPlain,
  kNode,
  kAttribute,
  kTensor,
  kValueInfo,
  kType,
  kTensorType,
  kShape,
  kDim,
  kFunction
};

Kind child_of(Kind kind, int field) {
  using namespace proto;
  switch (kind) {
    case Kind::kNode:
      return field == Node::kAttributeFieldNumber ? Kind::kAttribute : Kind::kPlain;
    case Kind::kAttribute:
      return field == Attribute::kTFieldNumber ? Kind::kTensor : Kind::kPlain;
    case Kind::kValueInfo:
      return field == ValueInfo::kTypeFieldNumber ? Kind::kType : Kind::kPlain;
    case Kind::kType:
      return field == Type::kTensorTypeFieldNumber ? Kind::kTensorType : Kind::kPlain;
    case Kind::kTensorType:
      return field == TensorType::kShapeFieldNumber ? Kind::kShape : Kind::kPlain;
    case Kind::kShape:
      return field == TensorShape::kDimFieldNumber ? Kind::kDim : Kind::kPlain;
    case Kind::kFunction:
      return field == Function::kNodeFieldNumber ? Kind::kNode : Kind::kPlain;
    default:
      return Kind::kPlain;
  }
}

// At least the bytes of memory that a parsed message takes; protobuf's own parser has no such bound, and two
// bytes of a file can become 200 in memory. What is broken is the parser's to refuse.
std::uint64_t memory_of(Kind kind, std::string_view bytes) {
  constexpr std::uint64_t kObject = 256;  // the largest message, its pointer and the allocator's share
  constexpr std::uint64_t kField = 64;    // a string and its pointer
  constexpr std::uint64_t kPackedByte =
      16;  // a varint of one byte as int64, in a list that grows by doubling
  static_assert(sizeof(proto::Attribute) + 64 <= kObject && sizeof(proto::Tensor) + 64 <= kObject);
  CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  std::uint64_t memory = kObject;
  while (const std::uint32_t tag = in.ReadTag()) {
    memory += kField;
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (!WireFormatLite::SkipField(&in, tag)) break;
      continue;
    }
    std::uint32_t length = 0;
    if (!in.ReadVarint32(&length)) break;
    const auto at = static_cast<std::size_t>(in.CurrentPosition());
    if (length > bytes.size() - at || !in.Skip(static_cast<int>(length))) break;
    const Kind child = child_of(kind, field);
    if (child != Kind::kPlain) {
      memory += memory_of(child, bytes.substr(at, length));
      continue;
    }
    const bool is_text = kind != Kind::kTensor || field == proto::Tensor::kRawDataFieldNumber;
    const bool may_be_packed =
        !is_text || (kind == Kind::kAttribute && field != proto::Attribute::kGFieldNumber &&
                     field != proto::Attribute::kSFieldNumber);
    memory += length * (may_be_packed ? kPackedByte : 2);
  }
  return memory;
}

/// Reads a source in pieces; what is skipped is not read.
class SourceStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit SourceStream(const ByteSource& source) : source_(source), buffer_(1 << 16) {}

  bool Next(const void** data, int* size) override {
    if (position_ >= source_.size()) return false;
    const auto bytes = std::min<std::uint64_t>(buffer_.size(), source_.size() - position_);
    source_.read(position_, std::span(buffer_).first(static_cast<std::size_t>(bytes)));
    position_ += bytes;
    *data = buffer_.data();
    *size = static_cast<int>(bytes);
    return true;
  }
  void BackUp(int count) override { position_ -= static_cast<std::uint64_t>(count); }
  bool Skip(int count) override {
    const bool inside = static_cast<std::uint64_t>(count) <= source_.size() - position_;
    position_ = inside ? position_ + static_cast<std::uint64_t>(count) : source_.size();
    return inside;
  }
  std::int64_t ByteCount() const override { return static_cast<std::int64_t>(position_); }

 private:
  const ByteSource& source_;
  std::vector<std::byte> buffer_;
  std::uint64_t position_ = 0;
};

class Reader {
 public:
  Reader(const ByteSource& source, proto::Model& model) : stream_(source), input_(&stream_), model_(model) {
    input_.SetTotalBytesLimit(std::numeric_limits<int>::max());
    input_.PushLimit(static_cast<int>(source.size()));
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
          parse(tag, Kind::kPlain, *model_.add_opset_import());
          return true;
        case Model::kMetadataPropsFieldNumber:
          parse(tag, Kind::kPlain, *model_.add_metadata_props());
          return true;
        case Model::kFunctionsFieldNumber:
          parse(tag, Kind::kFunction, *model_.add_functions());
          return true;
        default:
          return false;
      }
    });
    if (input_.BytesUntilLimit() != 0) fail_broken();
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
          parse(tag, Kind::kNode, *graph.add_node());
          return true;
        case Graph::kNameFieldNumber:
          graph.set_name(text(tag));
          return true;
        case Graph::kInitializerFieldNumber:
          charge(kTensorCopies * kTensorMemory);
          nested(tag, [this] { read_tensor(tensors_.emplace_back()); });
          return true;
        case Graph::kInputFieldNumber:
          parse(tag, Kind::kValueInfo, *graph.add_input());
          return true;
        case Graph::kOutputFieldNumber:
          parse(tag, Kind::kValueInfo, *graph.add_output());
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
          tensor.name = text(tag, kTensorCopies);
          return true;
        case Tensor::kFloatDataFieldNumber:
          tensor.in_float_field = true;
          [[fallthrough]];
        case Tensor::kRawDataFieldNumber:
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
          parse(tag, Kind::kPlain, entry);
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
      if (dims.size() >= kMostDims)
        fail(ErrorKind::kUnsupported, "a tensor of more than {} dimensions", kMostDims);
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
      if (handle(WireFormatLite::GetTagFieldNumber(tag), tag)) continue;
      // A flood of fields that nobody reads would cost time.
      charge(8);
      skip(tag);
    }
    if (!input_.ConsumedEntireMessage()) fail_broken();
  }

  template <typename Read>
  void nested(std::uint32_t tag, Read&& read) {
    const int bytes = length(tag);
    const CodedInputStream::Limit outer = input_.PushLimit(bytes);
    read();
    if (input_.BytesUntilLimit() != 0) fail_broken();
    input_.PopLimit(outer);
  }

  void parse(std::uint32_t tag, Kind kind, MessageLite& message) {
    const int bytes = length(tag);
    // The bytes themselves are short-lived; what they become is not.
    charge(static_cast<std::uint64_t>(bytes));
    std::string text;
    if (!input_.ReadString(&text, bytes)) fail_broken();
    charge(memory_of(kind, text));
    memory_ -= static_cast<std::uint64_t>(bytes);
    if (!message.ParsePartialFromString(text)) fail_broken();
  }

  void charge(std::uint64_t bytes) {
    memory_ += bytes;
    if (memory_ > kMostMemory)
      fail(ErrorKind::kUnsupported, "a graph that takes more than {} MB of memory", kMostMemory / 1'000'000);
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
    if (bytes > static_cast<std::uint64_t>(std::max(0, input_.BytesUntilLimit()))) fail_broken();
    return static_cast<int>(bytes);
  }
  std::string text(std::uint32_t tag, std::uint64_t copies = 1) {
    const int bytes = length(tag);
    constexpr int kMostName = 1 << 16;
    if (bytes > kMostName) fail(ErrorKind::kFormat, "a name of {} bytes", bytes);
    charge(copies * static_cast<std::uint64_t>(bytes));
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

  SourceStream stream_;
  CodedInputStream input_;
  proto::Model& model_;
  std::vector<FoundTensor> tensors_;
  std::uint64_t memory_ = 0;  // charged so far
  bool has_graph_ = false;
};

}  // namespace

std::vector<FoundTensor> read_model(const ByteSource& source, proto::Model& model) {
  if (source.size() > kMostBytes) {
    fail(ErrorKind::kFormat,
         "{} bytes, and a protobuf message has less than 2 GiB; save the weights as external data",
         source.size());
  }
  return Reader(source, model).run();
}

}  // namespace llm2mnn::onnx
