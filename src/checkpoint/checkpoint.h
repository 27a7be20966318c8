#pragma once
// A Hugging Face checkpoint directory: names, dtypes, shapes and spans of all tensors; no weights in memory.
// Hostile bytes stop here: when `open` returns, every span lies inside its file and agrees with dtype and
// shape.
//
// Goals: every check before the first weight is read; memory in proportion to the number of tensors only.
// Non-goals: reading pickles that need code (nothing of a `.bin` file is executed), GGUF (a later source).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/file_pool.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {

/// Index into Checkpoint::tensors().
using TensorId = std::uint32_t;

/// Where the weights were found.
enum class CheckpointFormat : std::uint8_t { kSafetensors, kPyTorchBin, kOther };

class Checkpoint {
 public:
  /// Opens `dir`: config.json, then the weights. Safetensors win when both forms exist:
  /// `model.safetensors.index.json` and its shards, else `model.safetensors`, else
  /// `pytorch_model.bin.index.json` and its shards, else `pytorch_model.bin`. Other files are never opened.
  /// @throws Error: kIo for files that cannot be read, kFormat for broken ones, kUnsupported for forms we
  /// refuse by name. Each names the file and, where there is one, the tensor.
  static Checkpoint open(const std::filesystem::path& dir);

  /// A checkpoint of another container: `files` below `dir`, in which `tensors` lie (file_idx counts in
  /// `files`). The caller has checked every span. config() is null.
  /// @throws Error(kIo) for a file that cannot be opened; kFormat for a name that appears twice.
  static Checkpoint of_tensors(const std::filesystem::path& dir, const std::vector<std::string>& files,
                               std::vector<TensorInfo> tensors);

  /// The same files with another config and other names for some of the tensors.
  Checkpoint part(JsonValue config, std::vector<TensorInfo> tensors) const;

  const std::filesystem::path& dir() const { return dir_; }
  CheckpointFormat format() const { return format_; }
  /// config.json, a JSON object (null for `of_tensors`).
  const JsonValue& config() const { return config_; }
  /// Sorted by name (bytewise), names unique.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo& tensor(TensorId id) const { return tensors_.at(id); }
  std::optional<TensorId> find(std::string_view name) const;
  std::size_t num_files() const { return files_->size(); }

  /// Fills `out` with the tensor's bytes from `byte_offset`. Thread-safe (pread).
  /// @throws Error(kIo) when the file was truncated or replaced after `open`.
  void read(TensorId id, std::uint64_t byte_offset, std::span<std::byte> out) const;
  /// To be called after the last `read`: a file rewritten in place would have been read half old, half new.
  /// @throws Error(kIo) naming a file that changed since `open`.
  void check_unchanged() const { files_->check_unchanged(); }

 private:
  Checkpoint() = default;
  void open_index(const std::string& index_name);
  void open_single(const std::string& weights_name);
  void add_file(const std::string& name);

  std::filesystem::path dir_;
  CheckpointFormat format_ = CheckpointFormat::kSafetensors;
  JsonValue config_;
  std::shared_ptr<FilePool> files_ = std::make_shared<FilePool>();
  std::vector<TensorInfo> tensors_;
  TensorLimits limits_;
};

}  // namespace llm2mnn
