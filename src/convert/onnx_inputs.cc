#include "convert/onnx_inputs.h"

#include "base/checked.h"
#include "convert/package_names.h"
#include "verify/runtime_tokenizer.h"

namespace llm2mnn {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMaxTokenizerBytes = 256u << 20;

DType dtype_of(const onnx::StoredTensor& tensor) {
  switch (tensor.elem_type) {
    case 1:
      return DType::kF32;
    case 10:
      return DType::kF16;
    case 16:
      return DType::kBF16;
    default:
      return DType::kU8;
  }
}

TensorInfo info_of(const onnx::StoredTensor& tensor) {
  TensorInfo info;
  info.name = tensor.name;
  info.dtype = dtype_of(tensor);
  info.file_idx = tensor.file_idx;
  info.offset = tensor.offset;
  info.bytes = tensor.bytes;
  info.shape = tensor.shape;
  if (info.dtype == DType::kU8) info.shape = {checked_cast<std::int64_t>(tensor.bytes)};
  return info;
}

// Empty when it is in neither directory.
fs::path side_file(const fs::path& onnx, const char* name) {
  const fs::path dir = onnx.parent_path();
  for (const fs::path& place : {dir / name, dir / ".." / name})
    if (entry_exists(place)) return place;
  return {};
}

JsonValue json_or_null(const fs::path& path) {
  if (path.empty()) return {};
  JsonValue value = load_json(path);
  if (!value.is_object())
    fail(ErrorKind::kFormat, "{}: expected a JSON object", shown(path.filename().string()));
  return value;
}

// A tokenizer's file, if the runtime can read it. @return its number of ids.
std::int64_t read_tokenizer(const fs::path& path, std::string& bytes) {
  bytes = read_text_file(path, kMaxTokenizerBytes);
  try {
    return verify::RuntimeTokenizer::parse(bytes).num_ids();
  } catch (const Error& error) {
    fail(ErrorKind::kFormat, "{}: {}; copy the file that was written with the ONNX file",
         shown(path.filename().string()), error.message());
  }
}

}  // namespace

std::vector<TensorInfo> tensor_infos(const onnx::OnnxFile& file) {
  std::vector<TensorInfo> tensors;
  for (const onnx::StoredTensor& tensor : file.tensors())
    tensors.push_back(info_of(tensor));
  return tensors;
}

fs::path needed_side_file(const fs::path& onnx, const char* name) {
  fs::path path = side_file(onnx, name);
  if (path.empty())
    fail(ErrorKind::kIo, "{} is neither beside {} nor in the directory above; it was written with the file",
         name, shown(onnx.filename().string()));
  return path;
}

void read_onnx_side_files(PackagePlan& plan, const fs::path& onnx) {
  plan.tokenizer.vocab_size = read_tokenizer(needed_side_file(onnx, kMtokName), plan.tokenizer.mtok);
  if (const fs::path txt = side_file(onnx, kTxtName); !txt.empty()) read_tokenizer(txt, plan.tokenizer.txt);
  plan.side_llm_config = json_or_null(needed_side_file(onnx, kLlmConfigName));
  plan.side_config = json_or_null(side_file(onnx, kConfigName));
}

void check_compat(const PackagePlan& plan) {
  if (plan.options.form == mnn::GraphForm::kCompat && plan.tokenizer.txt.empty())
    fail(ErrorKind::kUnsupported, "--compat 3.1: it needs a {}, and none lies with the ONNX file", kTxtName);
}

}  // namespace llm2mnn
