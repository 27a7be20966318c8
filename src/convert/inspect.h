#pragma once
// What a checkpoint or a package contains, without reading its weights.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/family.h"
#include "checkpoint/checkpoint.h"
#include "convert/model.h"
#include "formats/onnx/onnx_file.h"

namespace llm2mnn {

struct CheckpointReport {
  CheckpointFormat format = CheckpointFormat::kSafetensors;
  std::size_t num_files = 0;
  std::string model_type;
  struct DTypeTotal {
    std::int64_t tensors = 0;
    std::int64_t parameters = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, DTypeTotal> dtypes;  ///< by safetensors name
  std::vector<TensorInfo> tensors;           ///< sorted by name
  std::optional<ModelFacts> facts;           ///< when a family describes it
  std::vector<RopeSpec> ropes;               ///< of that model
  std::string refusal;                       ///< otherwise, why not
};

struct PackageReport {
  bool has_manifest = false;  ///< false: written by another tool
  JsonValue manifest;
  JsonValue config;      ///< config.json
  JsonValue llm_config;  ///< llm_config.json
  struct FileState {
    std::string name;
    std::uint64_t bytes = 0;
    std::string fault;  ///< "missing", "12 bytes, the manifest says 40"; empty when as it should be
  };
  std::vector<FileState> files;
  std::optional<double> bits_per_weight;  ///< as the manifest says
};

/// An ONNX file, without reading its weights.
struct OnnxReport {
  std::string name;  ///< of the file
  onnx::OnnxFile::Summary summary;
  std::string flavour;              ///< "one", "ort", "genai", "llmexport"; empty: another tool's
  std::string weights;              ///< as onnx::weights_text; empty: another tool's
  std::optional<ModelFacts> facts;  ///< of a file of ours
  struct TypeTotal {
    std::int64_t tensors = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, TypeTotal> types;  ///< of the initializers
  std::vector<std::pair<std::string, std::uint64_t>>
      files;  ///< the file and its data files, with their sizes
};

/// The ONNX file that `path` is or, as a directory, holds; empty when there is none.
std::filesystem::path find_onnx(const std::filesystem::path& path);
/// @throws Error as OnnxFile::open; kFormat for a broken record.
OnnxReport inspect_onnx(const std::filesystem::path& file);

/// Whether `dir` is an MNN package (as opposed to a checkpoint).
bool is_package(const std::filesystem::path& dir);
/// @throws Error as Checkpoint::open; kInvalidArgument for a `type` that no family claims. A model that no
/// family describes is a report with a refusal, no error.
CheckpointReport inspect_checkpoint(const std::filesystem::path& dir, const FamilyRegistry& registry,
                                    std::string_view type);
/// @throws Error(kFormat) for a broken manifest or config.
PackageReport inspect_package(const std::filesystem::path& dir);

}  // namespace llm2mnn
