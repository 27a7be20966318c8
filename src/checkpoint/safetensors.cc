#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "base/json.h"

namespace llm2mnn {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little endian and read as they stand");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // limit of the reference safetensors reader
// 28 for a matrix: room for kMaxTensors and their names, 28 MB of index beside at most 100 MB of text.
constexpr JsonLimits kHeaderLimits = {.max_bytes = kMaxHeaderBytes, .max_depth = 4, .max_tokens = 7'000'000};

// Builds the tensors from the events of a header.
class HeaderHandler : public JsonHandler {
 public:
  HeaderHandler(std::uint64_t data_start, std::uint64_t data_bytes)
      : data_start_(data_start), data_bytes_(data_bytes) {}

  void on_null() override {
    if (place_ == Place::kTop && is_metadata_) return;  // "__metadata__": null is accepted by the reference
    unexpected("null");
  }
  void on_bool(bool) override { unexpected("true or false"); }
  void on_number(std::string_view text) override;
  void on_string(std::string_view text) override;
  void on_key(std::string_view key) override;
  void on_begin_object() override;
  void on_end_object() override;
  void on_begin_array() override;
  void on_end_array() override { place_ = Place::kTensor; }

  std::vector<TensorInfo> take() { return std::move(tensors_); }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };
  enum class Field { kNone, kDType, kShape, kOffsets };

  std::string where() const {
    return place_ == Place::kMetadata || is_metadata_ ? "'__metadata__'"
                                                      : fmt::format("tensor {}", shown(tensor_.name));
  }
  [[noreturn]] void unexpected(std::string_view found) const;
  void finish_tensor();

  std::uint64_t data_start_;
  std::uint64_t data_bytes_;
  std::vector<TensorInfo> tensors_;
  TensorLimits limits_;
  Place place_ = Place::kStart;
  bool is_metadata_ = false;  // the key just read at the top level
  bool has_metadata_ = false;
  Field field_ = Field::kNone;
  TensorInfo tensor_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t num_offsets_ = 0;
};

void HeaderHandler::unexpected(std::string_view found) const {
  if (place_ == Place::kStart) fail(ErrorKind::kFormat, "the header must be a JSON object, found {}", found);
  if (place_ == Place::kMetadata) {
    fail(ErrorKind::kFormat, "'__metadata__': every value must be a string, found {}", found);
  }
  if (place_ == Place::kTop) fail(ErrorKind::kFormat, "{}: expected an object, found {}", where(), found);
  if (place_ == Place::kShape || place_ == Place::kOffsets) {
    fail(ErrorKind::kFormat, "{}: '{}' must hold whole numbers, found {}", where(),
         place_ == Place::kShape ? "shape" : "data_offsets", found);
  }
  switch (field_) {
    case Field::kDType:
      fail(ErrorKind::kFormat, "{}: 'dtype' must be a string, found {}", where(), found);
    case Field::kShape:
      fail(ErrorKind::kFormat, "{}: 'shape' must be an array, found {}", where(), found);
    default:
      fail(ErrorKind::kFormat, "{}: 'data_offsets' must be an array, found {}", where(), found);
  }
}

void HeaderHandler::on_number(std::string_view text) {
  if (place_ != Place::kShape && place_ != Place::kOffsets) unexpected("a number");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::in_range<std::int64_t>(value)) {
    unexpected(shown(text, 40));
  }
  if (place_ == Place::kShape) {
    if (tensor_.shape.size() == kMaxRank) {
      fail(ErrorKind::kFormat, "{}: more than {} dimensions", where(), kMaxRank);
    }
    tensor_.shape.push_back(static_cast<std::int64_t>(value));
    return;
  }
  if (num_offsets_ < offsets_.size()) offsets_[num_offsets_] = value;
  ++num_offsets_;
}

void HeaderHandler::on_string(std::string_view text) {
  if (place_ == Place::kMetadata) return;
  if (place_ != Place::kTensor || field_ != Field::kDType) unexpected("a string");
  if (!parse_dtype(text, tensor_.dtype)) {
    fail(ErrorKind::kUnsupported, "{}: dtype {} is not known to this version", where(), shown(text, 40));
  }
}

void HeaderHandler::on_key(std::string_view key) {
  if (place_ == Place::kMetadata) return;
  if (place_ == Place::kTop) {
    is_metadata_ = key == "__metadata__";
    if (is_metadata_ && std::exchange(has_metadata_, true)) {
      fail(ErrorKind::kFormat, "'__metadata__' appears twice");
    }
    tensor_.name = key;
    if (key.empty()) fail(ErrorKind::kFormat, "a tensor has an empty name");
    return;
  }
  bool* seen = nullptr;
  if (key == "dtype") {
    field_ = Field::kDType;
    seen = &has_dtype_;
  } else if (key == "shape") {
    field_ = Field::kShape;
    seen = &has_shape_;
  } else if (key == "data_offsets") {
    field_ = Field::kOffsets;
    seen = &has_offsets_;
  } else {
    fail(ErrorKind::kFormat, "{}: unknown key {}, expected 'dtype', 'shape' and 'data_offsets'", where(),
         shown(key, 40));
  }
  if (std::exchange(*seen, true)) fail(ErrorKind::kFormat, "{}: {} appears twice", where(), shown(key, 40));
}

void HeaderHandler::on_begin_object() {
  if (place_ == Place::kStart) {
    place_ = Place::kTop;
  } else if (place_ == Place::kTop && is_metadata_) {
    place_ = Place::kMetadata;
  } else if (place_ == Place::kTop) {
    place_ = Place::kTensor;
    tensor_.shape.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
    num_offsets_ = 0;
  } else {
    unexpected("an object");
  }
}

void HeaderHandler::on_end_object() {
  if (place_ == Place::kTensor) finish_tensor();
  place_ = Place::kTop;
}

void HeaderHandler::on_begin_array() {
  if (place_ == Place::kTensor && field_ == Field::kShape) {
    place_ = Place::kShape;
  } else if (place_ == Place::kTensor && field_ == Field::kOffsets) {
    place_ = Place::kOffsets;
  } else {
    unexpected("an array");
  }
}

// Everything that one entry alone can tell.
void HeaderHandler::finish_tensor() {
  limits_.add(tensor_.name);
  if (!has_dtype_ || !has_shape_ || !has_offsets_) {
    fail(ErrorKind::kFormat, "{}: '{}' is missing", where(),
         !has_dtype_   ? "dtype"
         : !has_shape_ ? "shape"
                       : "data_offsets");
  }
  if (num_offsets_ != offsets_.size()) {
    fail(ErrorKind::kFormat, "{}: 'data_offsets' must be two numbers, found {}", where(), num_offsets_);
  }
  const auto [begin, end] = offsets_;
  if (begin > end) {
    fail(ErrorKind::kFormat, "{}: 'data_offsets' begin at {}, after their end {}", where(), begin, end);
  }
  if (end > data_bytes_) {
    fail(ErrorKind::kFormat,
         "{}: ends at byte {} of the data, the file has only {}; it is cut off, download it again", where(),
         end, data_bytes_);
  }
  const std::string type = type_text(tensor_.dtype, tensor_.shape);
  std::uint64_t needed = 0;
  if (!tensor_num_bytes(tensor_.dtype, tensor_.shape, needed)) {
    fail(ErrorKind::kFormat, "{}: {} has more bytes than 64 bits can count", where(), type);
  }
  if (needed != end - begin) {
    fail(ErrorKind::kFormat, "{}: span is {} bytes, {} needs {}", where(), end - begin, type, needed);
  }
  tensor_.offset = data_start_ + begin;
  tensor_.bytes = needed;
  tensors_.push_back(tensor_);
}

// The file's own count of header bytes, checked against the file.
std::uint64_t read_header_length(const ByteSource& source) {
  if (source.size() < kLengthBytes) {
    fail(ErrorKind::kFormat, "{} bytes, too short for a safetensors file; download it again", source.size());
  }
  std::array<std::byte, kLengthBytes> raw{};
  source.read(0, raw);
  // A clone without Git LFS leaves small text files in place of the weights.
  if (std::memcmp(raw.data(), "version ", raw.size()) == 0 && source.size() < 1024) {
    fail(ErrorKind::kFormat,
         "a Git LFS pointer, not the weights; run 'git lfs pull' in the checkpoint directory");
  }
  const auto length = std::bit_cast<std::uint64_t>(raw);
  if (length > kMaxHeaderBytes) {
    fail(ErrorKind::kFormat,
         "the header's length is {} bytes, more than the limit of {}; not a safetensors file", length,
         kMaxHeaderBytes);
  }
  if (length > source.size() - kLengthBytes) {
    fail(ErrorKind::kFormat,
         "the header's length is {} bytes, the file has only {} behind it; download it again", length,
         source.size() - kLengthBytes);
  }
  return length;
}

// No holes, no overlap, nothing behind the last tensor: the reference reader's rule.
void check_layout(const std::vector<TensorInfo>& tensors, std::uint64_t data_start,
                  std::uint64_t file_bytes) {
  std::vector<std::uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(tensors[a].offset, tensors[a].bytes) < std::pair(tensors[b].offset, tensors[b].bytes);
  });
  std::uint64_t expected = data_start;
  for (const std::uint32_t idx : order) {
    const TensorInfo& tensor = tensors[idx];
    if (tensor.offset != expected) {
      fail(ErrorKind::kFormat, "tensor {}: begins at byte {} of the data, {} ends at {}: {}",
           shown(tensor.name), tensor.offset - data_start,
           expected == data_start ? "the header" : "the tensor before it", expected - data_start,
           tensor.offset > expected ? "a hole" : "they overlap");
    }
    expected += tensor.bytes;
  }
  if (expected != file_bytes) {
    fail(ErrorKind::kFormat, "{} bytes behind the last tensor, expected none", file_bytes - expected);
  }
}

}  // namespace

std::vector<TensorInfo> read_safetensors_header(const ByteSource& source) {
  const std::uint64_t length = read_header_length(source);
  const std::uint64_t data_start = kLengthBytes + length;
  HeaderHandler handler(data_start, source.size() - data_start);
  {
    JsonBuffer header(static_cast<std::size_t>(length));
    source.read(kLengthBytes, header.bytes());
    try {
      parse_json_events(header, handler, kHeaderLimits);
    } catch (Error& error) {
      error.add_context("header");
      throw;
    }
  }
  std::vector<TensorInfo> tensors = handler.take();
  check_layout(tensors, data_start, source.size());
  sort_by_name(tensors);
  return tensors;
}

}  // namespace llm2mnn
