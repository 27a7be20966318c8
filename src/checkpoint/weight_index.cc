#include "checkpoint/weight_index.h"

#include <algorithm>
#include <map>

#include "checkpoint/tensor_info.h"

namespace llm2mnn {
namespace {

// 64 MB hold kMaxTensors names of 128 bytes and as much beside them; 4 tokens each, the rest for `metadata`.
constexpr JsonLimits kIndexLimits = {.max_bytes = 64'000'000, .max_depth = 16, .max_tokens = 2'000'000};
// The largest published model has under 200; each costs a name and a place in the pool.
constexpr std::size_t kMaxShards = 10'000;

void check_shard_name(std::string_view tensor, std::string_view shard) {
  constexpr std::size_t kMaxNameBytes = 255;  // of a file name on Linux
  constexpr std::string_view kForbidden("/\\\0", 3);
  if (shard.empty() || shard == "." || shard.size() > kMaxNameBytes ||
      shard.find_first_of(kForbidden) != std::string_view::npos ||
      shard.find("..") != std::string_view::npos) {
    fail(ErrorKind::kFormat,
         "tensor {}: shard {} is not a plain file name (1 to 255 bytes, no '/', '\\', '..' or NUL)",
         shown(tensor), shown(shard));
  }
}

class IndexHandler : public JsonHandler {
 public:
  void on_null() override { scalar("null"); }
  void on_bool(bool) override { scalar("true or false"); }
  void on_number(std::string_view) override { scalar("a number"); }
  void on_string(std::string_view text) override {
    if (depth_ != 2 || !in_map_) return scalar("a string");
    add(text);
  }
  void on_key(std::string_view key) override {
    if (depth_ == 1) {
      at_map_ = key == "weight_map";
      if (at_map_ && std::exchange(has_map_, true)) fail(ErrorKind::kFormat, "'weight_map' appears twice");
    }
    if (in_map_) tensor_ = key;
  }
  void on_begin_object() override {
    if (in_map_) scalar("an object");
    ++depth_;
    if (depth_ == 2 && at_map_) in_map_ = true;
  }
  void on_end_object() override {
    if (depth_ == 2) in_map_ = false;
    --depth_;
  }
  void on_begin_array() override {
    scalar("an array");
    ++depth_;
  }
  void on_end_array() override { --depth_; }

  WeightIndex take();

 private:
  void scalar(std::string_view found) const {
    if (depth_ == 0) fail(ErrorKind::kFormat, "expected a JSON object, found {}", found);
    if (depth_ == 1 && at_map_) {
      fail(ErrorKind::kFormat, "'weight_map' must be an object of tensor names and files, found {}", found);
    }
    if (in_map_) {
      fail(ErrorKind::kFormat, "tensor {}: expected the name of its shard, found {}", shown(tensor_), found);
    }
  }
  void add(std::string_view shard);

  int depth_ = 0;
  bool at_map_ = false;  // the last key of the top level is `weight_map`
  bool in_map_ = false;
  bool has_map_ = false;
  std::string tensor_;
  TensorLimits limits_;
  std::map<std::string, std::uint32_t, std::less<>> shards_;
  std::vector<std::pair<std::string, std::uint32_t>> tensors_;
};

void IndexHandler::add(std::string_view shard) {
  if (tensor_.empty()) fail(ErrorKind::kFormat, "'weight_map': a tensor has an empty name");
  limits_.add(tensor_);
  auto found = shards_.find(shard);
  if (found == shards_.end()) {
    check_shard_name(tensor_, shard);
    if (shards_.size() == kMaxShards) fail(ErrorKind::kUnsupported, "more than {} shards", kMaxShards);
    found = shards_.emplace(std::string(shard), static_cast<std::uint32_t>(shards_.size())).first;
  }
  tensors_.emplace_back(tensor_, found->second);
}

WeightIndex IndexHandler::take() {
  if (!has_map_) fail(ErrorKind::kFormat, "'weight_map' is missing");
  if (tensors_.empty()) fail(ErrorKind::kFormat, "'weight_map' is empty");
  WeightIndex index;
  // From the order of appearance to the order of names.
  std::vector<std::uint32_t> rank(shards_.size());
  for (const auto& [name, first_seen] : shards_) {
    rank[first_seen] = static_cast<std::uint32_t>(index.shards.size());
    index.shards.push_back(name);
  }
  for (auto& [name, shard] : tensors_)
    shard = rank[shard];
  std::sort(tensors_.begin(), tensors_.end());
  const auto twice = std::adjacent_find(tensors_.begin(), tensors_.end(),
                                        [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != tensors_.end()) {
    fail(ErrorKind::kFormat, "tensor {} appears twice in 'weight_map'", shown(twice->first));
  }
  index.tensors = std::move(tensors_);
  return index;
}

}  // namespace

WeightIndex parse_weight_index(const JsonBuffer& text) {
  IndexHandler handler;
  parse_json_events(text, handler, kIndexLimits);
  return handler.take();
}

}  // namespace llm2mnn
