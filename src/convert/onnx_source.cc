#include "convert/onnx_source.h"

#include <algorithm>

#include "convert/file_digest.h"
#include "convert/llmexport_source.h"
#include "convert/onnx_inputs.h"
#include "convert/onnx_record.h"
#include "convert/publish.h"
#include "formats/onnx/llmexport.h"
#include "formats/onnx/same_model.h"

namespace llm2mnn {
namespace fs = std::filesystem;
namespace {

// Tensors of the file by name.
class Sources {
 public:
  Sources(const Checkpoint& checkpoint, const onnx::OnnxForm& form) : checkpoint_(checkpoint), form_(form) {}

  TensorId id(const std::string& name) const {
    const std::optional<TensorId> found = checkpoint_.find(name);
    if (!found)
      fail(ErrorKind::kUnsupported, "tensor {} is missing: its weights were renamed, folded or stripped",
           shown(name));
    return *found;
  }
  Binding vector(const std::string& name) const { return Binding::source(checkpoint_, id(name)); }
  Binding matrix(const onnx::MatrixBlob& blob) const {
    switch (blob.layout) {
      case onnx::MatrixLayout::kRows:
        return Binding::source(checkpoint_, id(blob.name));
      case onnx::MatrixLayout::kTransposed:
        return Binding::transposed_source(checkpoint_, id(blob.name));
      case onnx::MatrixLayout::kMatMulNBits:
      case onnx::MatrixLayout::kDequantizeLinear:
        break;
    }
    Binding::ZeroPointCodes codes;
    codes.codes = id(blob.name);
    codes.scales = id(blob.scales_name);
    codes.zero_points = id(blob.zero_points_name);
    codes.bits = form_.bits;
    codes.block = form_.block;
    codes.rows = blob.rows;
    codes.cols = blob.cols;
    codes.transposed = blob.layout == onnx::MatrixLayout::kDequantizeLinear;
    return Binding::dequantised(codes);
  }

 private:
  const Checkpoint& checkpoint_;
  const onnx::OnnxForm& form_;
};

// Values of the tensors inside the ONNX file itself; of large ones, which no export of ours has there, a
// digest.
std::map<std::string, std::string, std::less<>> inline_values(const Checkpoint& checkpoint,
                                                              const onnx::OnnxFile& file) {
  std::map<std::string, std::string, std::less<>> values;
  for (const onnx::StoredTensor& tensor : file.tensors()) {
    if (tensor.file_idx != 0) continue;
    constexpr std::uint64_t kPiece = 1 << 20;
    constexpr std::uint64_t kMostKept = 1024;  // an export of ours has less in its graph
    const TensorId id = *checkpoint.find(tensor.name);
    std::string& value = values[tensor.name];
    for (std::uint64_t at = 0; at < tensor.bytes; at += kPiece) {
      std::string piece(static_cast<std::size_t>(std::min(kPiece, tensor.bytes - at)), '\0');
      checkpoint.read(id, at, std::as_writable_bytes(std::span(piece)));
      value += tensor.bytes <= kMostKept ? piece : xxh128(std::as_bytes(std::span(piece))).hex();
    }
  }
  return values;
}

// Whether the file holds the values of the checkpoint.
bool is_exact(const onnx::OnnxForm& form) {
  return form.weights == onnx::WeightForm::kFloat && form.dtype == DType::kF32;
}

// The record says how large the tables are that are made now; those of the file must be as large.
void check_constants(const OnnxRecord& record, const onnx::OnnxFile& file) {
  std::uint64_t stored = 0;
  for (const onnx::StoredTensor& tensor : file.tensors())
    stored += tensor.bytes;
  constexpr std::uint64_t kMost = 768u << 20;
  const std::uint64_t needed = constant_bytes(record);
  if (needed > std::min(stored, kMost))
    fail(ErrorKind::kFormat,
         "vectors and rotary tables of {} bytes, and all tensors have {}: its weights were stripped", needed,
         stored);
}

// A vector is read before the graphs are compared.
void check_vector(const std::string& name, const Shape& shape, const onnx::OnnxFile& file) {
  const onnx::StoredTensor* tensor = file.find(name);
  if (tensor == nullptr) return;
  constexpr std::int32_t kFloat = 1;
  if (tensor->elem_type != kFloat || tensor->shape != shape) {
    fail(ErrorKind::kUnsupported, "tensor {}: {} {}, expected FLOAT {}", shown(tensor->name),
         onnx::elem_type_name(tensor->elem_type), shape_text(tensor->shape), shape_text(shape));
  }
}

void check_shapes(const Lowered& lowered) {
  for (std::size_t i = 0; i < lowered.weights.size(); ++i) {
    const ir::Weight& weight = lowered.graph.weights[i];
    const Binding& binding = lowered.weights[i].binding;
    if (binding.rows() != weight.shape.front() ||
        binding.cols() != (weight.shape.size() == 2 ? weight.shape.back() : 1))
      fail(ErrorKind::kFormat, "weight {}: {} x {}, and its graph says {}", shown(weight.address),
           binding.rows(), binding.cols(), shape_text(weight.shape));
  }
}

// `--overwrite` would take the place of the files that are read, and remove them.
void check_apart(const fs::path& destination, const fs::path& onnx, const onnx::OnnxFile& file) {
  for (const std::string& name : file.files()) {
    std::error_code error;
    if (fs::canonical(onnx.parent_path() / name, error).parent_path() != destination) continue;
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: {} lies there, which is to be read; choose another --dst_path",
         shown(destination.string()), shown(name));
  }
}

// The model of a file of our own: its record says what the graph is, and the graph must be just that.
void read_own_model(PackagePlan& plan, const onnx::OnnxFile& file, std::string_view text) {
  OnnxRecord record;
  try {
    record = parse_onnx_record(text);
    check_constants(record, file);
  } catch (Error& error) {
    error.add_context(fmt::format("{}: metadata {}", file.files().front(), kRecordKey));
    throw;
  }
  const Checkpoint& checkpoint = *plan.model.checkpoint;
  const Sources sources(checkpoint, record.form);
  Lowered& lowered = plan.model.lowered;
  const std::vector<bool> is_table = ir::lookup_tables(record.graph);
  for (std::size_t i = 0; i < record.graph.weights.size(); ++i) {
    LoweredWeight weight;
    weight.role = record.roles[i];
    const bool is_vector = record.graph.weights[i].shape.size() == 1;
    weight.is_matrix = !is_vector && !is_table[i];
    if (is_vector) {
      check_vector(record.weight_names[i], record.graph.weights[i].shape, file);
      weight.binding = sources.vector(record.weight_names[i]);
    }
    lowered.weights.push_back(std::move(weight));
  }
  onnx::OnnxModel expected;
  try {
    expected = recorded_model(record, [&](ir::WeightId id) { return read_vector(plan.model, id); });
  } catch (Error& error) {
    error.add_context(file.files().front());
    throw;
  }
  lowered.graph = std::move(record.graph);
  onnx::check_same_model(
      file, expected, [&](const onnx::StoredTensor& tensor, std::uint64_t offset, std::span<std::byte> out) {
        checkpoint.read(sources.id(tensor.name), offset, out);
      });
  for (const onnx::MatrixBlob& blob : expected.layout.matrices) {
    Binding binding = sources.matrix(blob);
    if (blob.weight)
      lowered.weights[*blob.weight].binding = std::move(binding);
    else
      plan.model.embed_tokens = std::move(binding);
  }
  // A tied head is the table.
  for (LoweredWeight& weight : lowered.weights)
    if (weight.binding.is_empty()) weight.binding = plan.model.embed_tokens;
  check_shapes(lowered);

  plan.model.facts = std::move(record.facts);
  plan.tokenizer_record = std::move(record.tokenizer_record);
  plan.tokenizer.notes = std::move(record.tokenizer_notes);
  plan.tokenizer.txt_limits = std::move(record.txt_limits);
  plan.tokenizer.vocab_size = record.tokenizer_vocab_size;
  plan.has_own_template = record.has_own_template;
  plan.options.allow_tokenizer_mismatch = record.allow_tokenizer_mismatch;
  plan.options.type = std::move(record.type);
  if (record.form.weights != onnx::WeightForm::kFloat) {
    plan.source_notes.push_back(fmt::format(
        "the ONNX file is quantised ({} bit, block {}): its rounding stays and this one's is added",
        record.form.bits, record.form.block));
  }
  plan.source_digest = [dir = checkpoint.dir(), files = file.files(),
                        values = inline_values(checkpoint, file), digests = record.digests,
                        is_exact = is_exact(record.form)] {
    const Digest128 weights = weights_digest(values, digest_of_files(dir, files));
    // As exported, and nothing rounded: then it is the checkpoint's digest that says what the weights are.
    return is_exact && weights == digests.weights ? digests.source : weights;
  };
}

}  // namespace

fs::path onnx_path(const fs::path& model) {
  std::error_code error;
  if (!fs::is_directory(model, error)) return model;
  for (const char* name : {"llm.onnx", "onnx/llm.onnx"})
    if (entry_exists(model / name)) return model / name;
  fail(ErrorKind::kIo, "--model {}: no llm.onnx in it", shown(model.string()));
}

void plan_onnx_package(PackagePlan& plan, const ExportOptions& options) {
  plan.options = options;
  plan.destination = check_destination(options.dst_path, options.overwrite);
  const fs::path path = onnx_path(options.path);
  const onnx::OnnxFile file = onnx::OnnxFile::open(path);
  check_apart(plan.destination, path, file);
  const std::optional<std::string_view> record = file.metadata(kRecordKey);
  if (!record) {
    if (onnx::is_llmexport(file)) return plan_llmexport_package(plan, path, file);
    fail(ErrorKind::kUnsupported,
         "{}: not an ONNX file of llm2mnn (its metadata has no {}) or of llmexport; an optimiser may have "
         "dropped it: convert the file as it was exported",
         shown(path.filename().string()), kRecordKey);
  }
  plan.model.checkpoint = std::make_shared<const Checkpoint>(
      Checkpoint::of_tensors(path.parent_path(), file.files(), tensor_infos(file)));
  read_onnx_side_files(plan, path);
  read_own_model(plan, file, *record);
  check_compat(plan);
}

}  // namespace llm2mnn
