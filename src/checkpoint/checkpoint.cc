#include "checkpoint/checkpoint.h"

#include <algorithm>

#include "base/checked.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/torch_bin.h"
#include "checkpoint/weight_index.h"

namespace llm2mnn {
namespace {

// The shards of one file of the index are few; a message names this many of them.
constexpr std::size_t kMaxNamesShown = 3;

// Runs `parse`; its messages get the file's name. Those of the system have it already.
template <typename Parse>
auto with_name(const std::string& name, Parse&& parse) {
  try {
    return parse();
  } catch (Error& error) {
    if (error.kind() == ErrorKind::kFormat || error.kind() == ErrorKind::kUnsupported) {
      error.add_context(shown(name));
    }
    throw;
  }
}

WeightIndex load_index(const std::filesystem::path& path) {
  // Larger than the parser's own limit, so that it is the parser that refuses with the figures.
  constexpr std::uint64_t kMaxFileBytes = 64'000'001;
  const File file = File::open_regular(path);
  JsonBuffer text(static_cast<std::size_t>(std::min(file.size(), kMaxFileBytes)));
  file.read_exact(0, text.bytes());
  return with_name(file.name(), [&] { return parse_weight_index(text); });
}

void check_shards_exist(const std::filesystem::path& dir, const std::string& index_name,
                        const std::vector<std::string>& shards) {
  std::size_t num_missing = 0;
  std::string names;
  for (const std::string& shard : shards) {
    if (entry_exists(dir / shard)) continue;
    if (++num_missing > kMaxNamesShown) continue;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", shown(shard, 60));
  }
  if (num_missing == 0) return;
  if (num_missing > kMaxNamesShown) names += ", ...";
  fail(ErrorKind::kIo, "{}: {} of its {} shards are not in the directory: {}; download them",
       shown(index_name), num_missing, shards.size(), names);
}

// Both sides sorted by name: every mapped tensor is in its shard, every tensor of a shard is mapped to it.
void check_index(const WeightIndex& index, const std::string& index_name,
                 const std::vector<TensorInfo>& tensors) {
  auto mapped = index.tensors.begin();
  auto stored = tensors.begin();
  while (mapped != index.tensors.end() || stored != tensors.end()) {
    const bool same =
        mapped != index.tensors.end() && stored != tensors.end() && mapped->first == stored->name;
    if (same && mapped->second == stored->file_idx) {
      ++mapped;
      ++stored;
    } else if (same) {
      fail(ErrorKind::kFormat, "{}: tensor {} is mapped to {}, but stored in {}", shown(index_name),
           shown(stored->name), shown(index.shards[mapped->second], 60),
           shown(index.shards[stored->file_idx], 60));
    } else if (stored == tensors.end() || (mapped != index.tensors.end() && mapped->first < stored->name)) {
      fail(ErrorKind::kFormat, "{}: tensor {} is mapped to {}, which does not hold it", shown(index_name),
           shown(mapped->first), shown(index.shards[mapped->second], 60));
    } else {
      fail(ErrorKind::kFormat, "{}: tensor {} is not in the map, but stored in {}", shown(index_name),
           shown(stored->name), shown(index.shards[stored->file_idx], 60));
    }
  }
}

JsonValue load_config(const std::filesystem::path& dir) {
  const std::filesystem::path path = dir / "config.json";
  if (!entry_exists(path)) {
    fail(ErrorKind::kIo, "{}: no config.json in it; give the directory of a Hugging Face checkpoint",
         shown(dir.string()));
  }
  JsonValue config = load_json(path);
  if (!config.is_object()) fail(ErrorKind::kFormat, "config.json: expected a JSON object");
  return config;
}

}  // namespace

Checkpoint Checkpoint::of_tensors(const std::filesystem::path& dir, const std::vector<std::string>& files,
                                  std::vector<TensorInfo> tensors) {
  Checkpoint out;
  out.dir_ = dir;
  out.format_ = CheckpointFormat::kOther;
  for (const std::string& file : files)
    out.files_->add(dir / file);
  sort_by_name(tensors);
  out.tensors_ = std::move(tensors);
  return out;
}

Checkpoint Checkpoint::part(JsonValue config, std::vector<TensorInfo> tensors) const {
  Checkpoint out;
  out.dir_ = dir_;
  out.format_ = format_;
  out.files_ = files_;
  out.config_ = std::move(config);
  sort_by_name(tensors);
  out.tensors_ = std::move(tensors);
  return out;
}

Checkpoint Checkpoint::open(const std::filesystem::path& dir) {
  std::error_code error;
  if (!std::filesystem::is_directory(dir, error)) {
    fail(ErrorKind::kIo, "{}: {}; give the directory of a Hugging Face checkpoint", shown(dir.string()),
         error ? system_message(error.value()) : "not a directory");
  }
  Checkpoint out;
  out.dir_ = dir;
  out.config_ = load_config(dir);
  struct Form {
    CheckpointFormat format;
    const char* index;
    const char* single;
  };
  constexpr Form kForms[] = {
      {CheckpointFormat::kSafetensors, "model.safetensors.index.json", "model.safetensors"},
      {CheckpointFormat::kPyTorchBin, "pytorch_model.bin.index.json", "pytorch_model.bin"}};
  for (const Form& form : kForms) {
    out.format_ = form.format;
    if (entry_exists(dir / form.index)) {
      out.open_index(form.index);
      return out;
    }
    if (entry_exists(dir / form.single)) {
      out.open_single(form.single);
      return out;
    }
  }
  fail(ErrorKind::kIo,
       "{}: no weights in it; expected model.safetensors, model.safetensors.index.json, pytorch_model.bin or "
       "pytorch_model.bin.index.json",
       shown(dir.string()));
}

void Checkpoint::add_file(const std::string& name) {
  const std::uint32_t file_idx = files_->add(dir_ / name);
  const std::shared_ptr<const File> file = files_->get(file_idx);
  const FileSource source(*file);
  std::vector<TensorInfo> found = with_name(name, [&] {
    return format_ == CheckpointFormat::kSafetensors ? read_safetensors_header(source)
                                                     : read_torch_bin(source);
  });
  for (TensorInfo& tensor : found) {
    with_name(name, [&] { limits_.add(tensor.name); });
    tensor.file_idx = file_idx;
    tensors_.push_back(std::move(tensor));
  }
}

void Checkpoint::open_single(const std::string& weights_name) {
  add_file(weights_name);
  if (tensors_.empty()) fail(ErrorKind::kFormat, "{}: no tensors in it", shown(weights_name));
}

void Checkpoint::open_index(const std::string& index_name) {
  const WeightIndex index = load_index(dir_ / index_name);
  check_shards_exist(dir_, index_name, index.shards);
  tensors_.reserve(index.tensors.size());
  for (const std::string& shard : index.shards)
    add_file(shard);
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) {
    return a.name != b.name ? a.name < b.name : a.file_idx < b.file_idx;
  });
  const auto twice = std::adjacent_find(tensors_.begin(), tensors_.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != tensors_.end()) {
    fail(ErrorKind::kFormat, "{}: tensor {} is stored in {} and in {}", shown(index_name), shown(twice->name),
         shown(index.shards[twice->file_idx], 60), shown(index.shards[std::next(twice)->file_idx], 60));
  }
  check_index(index, index_name, tensors_);
}

std::optional<TensorId> Checkpoint::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const TensorInfo& tensor, std::string_view key) { return tensor.name < key; });
  if (found == tensors_.end() || found->name != name) return std::nullopt;
  return static_cast<TensorId>(found - tensors_.begin());
}

void Checkpoint::read(TensorId id, std::uint64_t byte_offset, std::span<std::byte> out) const {
  const TensorInfo& info = tensor(id);
  LLM2MNN_CHECK(byte_offset <= info.bytes && out.size() <= info.bytes - byte_offset);
  files_->get(info.file_idx)->read_exact(info.offset + byte_offset, out);
}

}  // namespace llm2mnn
