#include "formats/onnx/onnx_file.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unordered_map>
#include <unordered_set>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/onnx/model_reader.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

struct ElemInfo {
  const char* name;
  int bits;  // 0: not to be stored
};
constexpr std::array<ElemInfo, 27> kElems = {
    {{"UNDEFINED", 0},      {"FLOAT", 32},    {"UINT8", 8},        {"INT8", 8},           {"UINT16", 16},
     {"INT16", 16},         {"INT32", 32},    {"INT64", 64},       {"STRING", 0},         {"BOOL", 8},
     {"FLOAT16", 16},       {"DOUBLE", 64},   {"UINT32", 32},      {"UINT64", 64},        {"COMPLEX64", 64},
     {"COMPLEX128", 128},   {"BFLOAT16", 16}, {"FLOAT8E4M3FN", 8}, {"FLOAT8E4M3FNUZ", 8}, {"FLOAT8E5M2", 8},
     {"FLOAT8E5M2FNUZ", 8}, {"UINT4", 4},     {"INT4", 4},         {"FLOAT4E2M1", 4},     {"FLOAT8E8M0", 8},
     {"UINT2", 2},          {"INT2", 2}}};

int elem_bits(std::int32_t type) {
  return type >= 0 && static_cast<std::size_t>(type) < kElems.size()
             ? kElems[static_cast<std::size_t>(type)].bits
             : 0;
}

// Bytes of the values of a tensor, packed to whole bytes at its end.
std::uint64_t value_bytes(const FoundTensor& tensor) {
  const int bits = elem_bits(tensor.elem_type);
  if (bits == 0) fail(ErrorKind::kUnsupported, "type {} is not read", elem_type_name(tensor.elem_type));
  if (tensor.dims.size() > 8) fail(ErrorKind::kFormat, "{} dimensions", tensor.dims.size());
  std::int64_t elements = 0;
  std::int64_t total = 0;
  if (!shape_elements(tensor.dims, elements) || !checked_mul<std::int64_t>(elements, bits, total))
    fail(ErrorKind::kFormat, "shape {} is negative or overflows", shape_text(tensor.dims));
  return static_cast<std::uint64_t>(ceil_div<std::int64_t>(total, 8));
}

std::uint64_t parse_offset(std::string_view key, const std::string& text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || !checked_mul<std::uint64_t>(value, 10, value) ||
        !checked_add<std::uint64_t>(value, static_cast<std::uint64_t>(c - '0'), value))
      fail(ErrorKind::kFormat, "external data: {} is {}, no number", key, shown(text));
  }
  if (text.empty()) fail(ErrorKind::kFormat, "external data: {} is empty", key);
  return value;
}

// The location of external data, which must stay below the file's directory.
void check_location(const std::string& location) {
  const std::filesystem::path path(location);
  if (location.empty()) fail(ErrorKind::kFormat, "external data without a location");
  if (location.find('\0') != std::string::npos)
    fail(ErrorKind::kFormat, "external data: {} is no file name", shown(location));
  if (path.is_absolute() || std::ranges::find(path, "..") != path.end())
    fail(ErrorKind::kFormat, "external data: {} is outside the file's directory", shown(location));
}

// Finds data files, once each.
class DataFiles {
 public:
  DataFiles(const OnnxFile::DataSize& size_of, std::vector<std::string>& names, std::uint64_t own_bytes)
      : size_of_(size_of), names_(names), sizes_{own_bytes} {}

  std::uint32_t index_of(const std::string& location) {
    const auto [found, is_new] = indexes_.emplace(location, checked_cast<std::uint32_t>(names_.size()));
    if (!is_new) return found->second;
    check_location(location);
    constexpr std::size_t kMostFiles = 10'000;
    if (names_.size() > kMostFiles)
      fail(ErrorKind::kUnsupported, "more than {} files of external data", kMostFiles);
    sizes_.push_back(size_of_(location));
    names_.push_back(location);
    return found->second;
  }
  std::uint64_t size(std::uint32_t index) const { return sizes_[index]; }
  const std::string& name(std::uint32_t index) const { return names_[index]; }

 private:
  const OnnxFile::DataSize& size_of_;
  std::vector<std::string>& names_;
  std::vector<std::uint64_t> sizes_;
  std::unordered_map<std::string, std::uint32_t> indexes_;
};

StoredTensor locate(const FoundTensor& found, DataFiles& files) {
  StoredTensor tensor;
  tensor.name = found.name;
  tensor.elem_type = found.elem_type;
  tensor.shape = found.dims;
  tensor.bytes = value_bytes(found);
  if (!found.is_external) {
    const bool in_typed_field =
        found.in_typed_field || (found.in_float_field && elem_type_name(tensor.elem_type) != "FLOAT");
    if (in_typed_field && tensor.bytes > 0) {
      fail(ErrorKind::kUnsupported, "its values stand in a typed field; save the model with raw data");
    }
    if (found.num_bytes != tensor.bytes) {
      fail(ErrorKind::kFormat, "{} {} needs {} bytes and has {}{}", elem_type_name(tensor.elem_type),
           shape_text(tensor.shape), tensor.bytes, found.num_bytes,
           found.num_bytes == 0 ? ": its weights were stripped" : "");
    }
    tensor.offset = found.offset;
    return tensor;
  }
  std::string location;
  std::optional<std::uint64_t> length;
  for (const auto& [key, value] : found.external) {
    if (key == "location") location = value;
    if (key == "offset") tensor.offset = parse_offset(key, value);
    if (key == "length") length = parse_offset(key, value);
  }
  tensor.file_idx = files.index_of(location);
  if (length && *length != tensor.bytes) {
    fail(ErrorKind::kFormat, "{} {} needs {} bytes and its external data has {}",
         elem_type_name(tensor.elem_type), shape_text(tensor.shape), tensor.bytes, *length);
  }
  const std::uint64_t size = files.size(tensor.file_idx);
  if (tensor.offset > size || tensor.bytes > size - tensor.offset) {
    fail(ErrorKind::kFormat, "{} bytes from {} on in {}, which has {}", tensor.bytes, tensor.offset,
         shown(files.name(tensor.file_idx)), size);
  }
  return tensor;
}

template <typename Nodes>
void refuse_subgraphs_in(const Nodes& nodes) {
  for (const proto::Node& node : nodes) {
    for (const proto::Attribute& attribute : node.attribute()) {
      if (attribute.has_g() || attribute.graphs_size() > 0)
        fail(ErrorKind::kUnsupported, "node {} ({}): subgraphs are not read", shown(node.name()),
             shown(node.op_type()));
    }
  }
}

void refuse_subgraphs(const proto::Model& model) {
  refuse_subgraphs_in(model.graph().node());
  for (const proto::Function& function : model.functions())
    refuse_subgraphs_in(function.node());
}

// ONNX: keys are distinct.
void check_metadata(const proto::Model& model) {
  std::unordered_set<std::string_view> keys;
  for (const proto::StringEntry& entry : model.metadata_props())
    if (!keys.insert(entry.key()).second)
      fail(ErrorKind::kFormat, "metadata {} stands there twice", shown(entry.key()));
}

std::string type_text(const proto::ValueInfo& info) {
  const proto::TensorType& type = info.type().tensor_type();
  std::vector<std::string> dims;
  for (const proto::Dimension& dim : type.shape().dim())
    dims.push_back(dim.has_dim_value()   ? fmt::format("{}", dim.dim_value())
                   : dim.has_dim_param() ? dim.dim_param()
                                         : "?");
  return fmt::format("{} [{}]", elem_type_name(type.elem_type()), fmt::join(dims, ", "));
}

}  // namespace

std::string elem_type_name(std::int32_t elem_type) {
  if (elem_type < 0 || static_cast<std::size_t>(elem_type) >= kElems.size())
    return fmt::format("{}", elem_type);
  return kElems[static_cast<std::size_t>(elem_type)].name;
}

OnnxFile::OnnxFile() : model_(std::make_unique<proto::Model>()) {}
OnnxFile::OnnxFile(OnnxFile&&) noexcept = default;
OnnxFile::~OnnxFile() = default;

OnnxFile OnnxFile::open(const std::filesystem::path& path) {
  const File file = File::open_regular(path);
  return read(FileSource(file), path.filename().string(), [&](const std::string& location) {
    const std::filesystem::path place = path.parent_path() / location;
    if (!entry_exists(place))
      fail(ErrorKind::kIo, "its weights are in {}, which is not beside it; copy both files together",
           shown(location));
    return File::open_regular(place).size();
  });
}

OnnxFile OnnxFile::read(const ByteSource& source, const std::string& name, const DataSize& size_of) {
  OnnxFile out;
  try {
    std::vector<FoundTensor> found = read_model(source, *out.model_);
    refuse_subgraphs(*out.model_);
    out.files_.push_back(name);
    DataFiles files(size_of, out.files_, source.size());
    out.tensors_.reserve(found.size());
    for (FoundTensor& tensor : found) {
      try {
        out.tensors_.push_back(locate(tensor, files));
      } catch (Error& error) {
        error.add_context("tensor " + shown(tensor.name));
        throw;
      }
      tensor = {};
    }
    std::ranges::sort(out.tensors_, {}, &StoredTensor::name);
    const auto twice = std::ranges::adjacent_find(out.tensors_, {}, &StoredTensor::name);
    if (twice != out.tensors_.end())
      fail(ErrorKind::kFormat, "two tensors are called {}", shown(twice->name));
    check_metadata(*out.model_);
  } catch (Error& error) {
    error.add_context(shown(name));
    throw;
  }
  return out;
}

const StoredTensor* OnnxFile::find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(tensors_, name, {}, &StoredTensor::name);
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

std::optional<std::string_view> OnnxFile::metadata(std::string_view key) const {
  for (const proto::StringEntry& entry : model_->metadata_props())
    if (entry.key() == key) return entry.value();
  return std::nullopt;
}

OnnxFile::Summary OnnxFile::summary() const {
  Summary summary;
  summary.producer = model_->producer_name();
  if (!model_->producer_version().empty()) summary.producer += " " + model_->producer_version();
  summary.ir_version = model_->ir_version();
  for (const proto::OperatorSet& set : model_->opset_import())
    summary.opsets[set.domain()] = set.version();
  for (const proto::Node& node : model_->graph().node())
    ++summary.operators[node.domain().empty() ? node.op_type() : node.domain() + "::" + node.op_type()];
  for (const proto::ValueInfo& info : model_->graph().input())
    summary.inputs.push_back({info.name(), type_text(info)});
  for (const proto::ValueInfo& info : model_->graph().output())
    summary.outputs.push_back({info.name(), type_text(info)});
  for (const proto::Function& function : model_->functions())
    summary.functions.push_back(function.domain() + "::" + function.name());
  return summary;
}

}  // namespace llm2mnn::onnx
