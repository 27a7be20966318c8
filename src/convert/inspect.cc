#include "convert/inspect.h"

#include "convert/onnx_record.h"
#include "convert/package_names.h"

namespace llm2mnn {
namespace fs = std::filesystem;
namespace {

JsonValue load_if_there(const fs::path& path) { return entry_exists(path) ? load_json(path) : JsonValue(); }

std::string string_member(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.find(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

// What `read` makes of a value; its messages get the manifest's name and `what`.
template <typename Read>
auto from_manifest(std::string_view what, Read&& read) {
  try {
    return read();
  } catch (Error& error) {
    error.add_context(fmt::format("{}: {}", kManifestName, what));
    throw;
  }
}

PackageReport::FileState file_state(const fs::path& dir, const JsonValue& entry) {
  PackageReport::FileState state;
  state.name = string_member(entry, "name");
  const JsonValue* bytes = entry.find("bytes");
  if (state.name.empty() || state.name.find('/') != std::string::npos || bytes == nullptr) {
    fail(ErrorKind::kFormat, "{}: 'files' holds an entry without a plain name and a size", kManifestName);
  }
  const std::int64_t expected =
      from_manifest(fmt::format("bytes of {}", shown(state.name)), [&] { return bytes->as_int64(); });
  std::error_code error;
  const std::uint64_t found = fs::file_size(dir / state.name, error);
  if (error) {
    state.fault = "missing";
    return state;
  }
  state.bytes = found;
  if (expected < 0 || found != static_cast<std::uint64_t>(expected)) {
    state.fault = fmt::format("{} bytes, the manifest says {}", found, expected);
  }
  return state;
}

// Files of a package without a manifest: what its config names, as far as it is there.
std::vector<PackageReport::FileState> files_of_other_tool(const fs::path& dir) {
  std::vector<PackageReport::FileState> files;
  for (const char* name : {kGraphName, kWeightsName, kConfigName, kLlmConfigName, kMtokName, kTxtName,
                           "embeddings_bf16.bin", "embeddings_int8.bin", "embeddings_int4.bin"}) {
    std::error_code error;
    const std::uint64_t bytes = fs::file_size(dir / name, error);
    if (!error) files.push_back({name, bytes, {}});
  }
  return files;
}

}  // namespace

bool is_package(const fs::path& dir) {
  return entry_exists(dir / kManifestName) ||
         (path_exists(dir / kGraphName) && path_exists(dir / kLlmConfigName));
}

CheckpointReport inspect_checkpoint(const fs::path& dir, const FamilyRegistry& registry,
                                    std::string_view type) {
  const auto opened = std::make_shared<const Checkpoint>(Checkpoint::open(dir));
  const Checkpoint& checkpoint = *opened;
  CheckpointReport report;
  report.format = checkpoint.format();
  report.num_files = checkpoint.num_files();
  report.model_type = string_member(checkpoint.config(), "model_type");
  report.tensors = checkpoint.tensors();
  for (const TensorInfo& tensor : report.tensors) {
    CheckpointReport::DTypeTotal& total = report.dtypes[std::string(dtype_name(tensor.dtype))];
    total.tensors += 1;
    total.parameters += static_cast<std::int64_t>(tensor.bytes) / dtype_bytes(tensor.dtype);
    total.bytes += tensor.bytes;
  }
  try {
    const TextCheckpoint text = text_checkpoint_of(opened, registry);
    const DecoderSpec spec = registry.describe(*text.checkpoint, type);
    report.facts = facts_of(spec, *text.checkpoint);
    if (!text.left_out.empty())
      report.facts->notes.push_back("beside the language model: " + left_out_text(text.left_out));
    report.ropes = spec.ropes;
  } catch (const Error& error) {
    // A bad flag or a fault of ours says nothing about the checkpoint.
    if (error.kind() != ErrorKind::kFormat && error.kind() != ErrorKind::kUnsupported) throw;
    report.refusal = error.message();
  }
  return report;
}

PackageReport inspect_package(const fs::path& dir) {
  PackageReport report;
  report.manifest = load_if_there(dir / kManifestName);
  report.config = load_if_there(dir / kConfigName);
  report.llm_config = load_if_there(dir / kLlmConfigName);
  report.has_manifest = entry_exists(dir / kManifestName);
  if (!report.has_manifest) {
    report.files = files_of_other_tool(dir);
    return report;
  }
  if (string_member(report.manifest, "tool") != "llm2mnn") {
    fail(ErrorKind::kFormat, "{}: 'tool' is not 'llm2mnn', so this is no manifest of ours", kManifestName);
  }
  const JsonValue* bits = report.manifest.find("bits_per_weight");
  if (bits != nullptr && bits->is_number()) {
    report.bits_per_weight = from_manifest("'bits_per_weight'", [&] { return bits->as_double(); });
  }
  const JsonValue* files = report.manifest.find("files");
  if (files == nullptr || !files->is_array()) fail(ErrorKind::kFormat, "{}: no list 'files'", kManifestName);
  for (const JsonValue& entry : files->as_array())
    report.files.push_back(file_state(dir, entry));
  return report;
}

fs::path find_onnx(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path.extension() == ".onnx" ? path : fs::path();
  // A package of MNN's may lie beside the file that it was made from.
  return !path_exists(path / kGraphName) && entry_exists(path / kOnnxName) ? path / kOnnxName : fs::path();
}

OnnxReport inspect_onnx(const fs::path& path) {
  const onnx::OnnxFile file = onnx::OnnxFile::open(path);
  OnnxReport report;
  report.name = path.filename().string();
  report.summary = file.summary();
  if (const auto text = file.metadata(kRecordKey)) {
    try {
      const OnnxRecord record = parse_onnx_record(*text);
      report.flavour = onnx::flavour_name(record.form.flavour);
      report.weights = onnx::weights_text(record.form);
      report.facts = record.facts;
    } catch (Error& error) {
      error.add_context(fmt::format("{}: metadata {}", shown(report.name), kRecordKey));
      throw;
    }
  } else if (report.summary.opsets.contains("LlmExporter")) {
    report.flavour = "llmexport";
  }
  for (const onnx::StoredTensor& tensor : file.tensors()) {
    OnnxReport::TypeTotal& total = report.types[onnx::elem_type_name(tensor.elem_type)];
    total.tensors += 1;
    total.bytes += tensor.bytes;
  }
  for (const std::string& name : file.files()) {
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path.parent_path() / name, error);
    report.files.emplace_back(name, error ? 0 : bytes);
  }
  return report;
}

}  // namespace llm2mnn
