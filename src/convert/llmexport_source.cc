#include "convert/llmexport_source.h"

#include <cmath>

#include "arch/vocabulary.h"
#include "base/checked.h"
#include "convert/file_digest.h"
#include "convert/onnx_inputs.h"
#include "convert/onnx_plan.h"
#include "convert/package_names.h"
#include "formats/onnx/llmexport.h"

namespace llm2mnn {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEmbeddingName = "embeddings_bf16.bin";

// Of "layers.3.self_attn.q_proj.weight".
WeightRole role_of(const std::string& address) {
  const std::size_t end = address.rfind('.');
  const std::size_t begin = address.rfind('.', end - 1);
  const std::string name = address.substr(begin == std::string::npos ? 0 : begin + 1, end - begin - 1);
  const RoleInfo* role = find_role(name);
  LLM2MNN_CHECK(role != nullptr);
  return role->role;
}

// What llm_config.json says of the model.
class LlmConfig {
 public:
  explicit LlmConfig(const JsonValue& json) : json_(json) {}

  std::string text(const char* key, const char* fallback) const {
    return read(key, std::string(fallback),
                [](const JsonValue& value) { return std::string(value.as_string()); });
  }
  std::int64_t integer(const char* key, std::int64_t fallback) const {
    return read(key, fallback, [](const JsonValue& value) { return value.as_int64(); });
  }
  double number(const char* key, double fallback) const {
    return read(key, fallback, [](const JsonValue& value) { return value.as_double(); });
  }

  /// The engine scales scores by head_dim^-0.5, masks them causally and rotates by one position.
  void check(const ir::Graph& graph, std::int64_t head_dim) const {
    require(text("attention_mask", "float") == "float", "attention_mask");
    require(text("attention_type", "full") == "full", "attention_type");
    require(json_.find("is_mrope") == nullptr ||
                !read("is_mrope", false, [](const JsonValue& value) { return value.as_bool(); }),
            "is_mrope");
    require(integer("hidden_size", graph.hidden_size) == graph.hidden_size, "hidden_size");
    const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
    // A float's worth of digits.
    require(std::abs(number("attn_scale", scale) - scale) <= 1e-6 * scale, "attn_scale");
  }

 private:
  template <typename T, typename Read>
  T read(const char* key, T fallback, Read&& read) const {
    const JsonValue* value = json_.find(key);
    if (value == nullptr || value->is_null()) return fallback;
    try {
      return read(*value);
    } catch (Error& error) {
      error.add_context(fmt::format("{}: '{}'", kLlmConfigName, key));
      throw;
    }
  }
  static void require(bool ok, const char* key) {
    if (!ok)
      fail(ErrorKind::kUnsupported, "{}: '{}' is not what the graph has, or what a plain decoder has",
           kLlmConfigName, key);
  }

  const JsonValue& json_;
};

ModelFacts facts_of(const ir::Graph& graph, const LlmConfig& config, std::int64_t parameters) {
  ModelFacts facts;
  facts.model_type = config.text("model_type", "");
  facts.hidden_size = graph.hidden_size;
  facts.vocab_size = graph.vocab_size;
  facts.max_position_embeddings = config.integer("max_position_embeddings", 0);
  facts.parameters = parameters;
  for (const ir::Node& node : graph.nodes) {
    const auto* attention = std::get_if<ir::Attention>(&node.op);
    if (attention == nullptr) continue;
    if (facts.num_hidden_layers++ > 0) continue;
    facts.num_attention_heads = attention->num_attention_heads;
    facts.num_key_value_heads = attention->num_key_value_heads;
    facts.head_dim = attention->head_dim;
  }
  return facts;
}

void check_heads(const ir::Graph& graph, const LlmConfig& config) {
  for (const ir::Node& node : graph.nodes)
    if (const auto* attention = std::get_if<ir::Attention>(&node.op))
      config.check(graph, attention->head_dim);
}

// The tensors of the file and the table beside it.
std::shared_ptr<const Checkpoint> open_tensors(const fs::path& onnx, const onnx::OnnxFile& file,
                                               std::vector<std::string>& files, std::int64_t rows,
                                               std::int64_t cols) {
  std::vector<TensorInfo> tensors = tensor_infos(file);
  const fs::path path = needed_side_file(onnx, kEmbeddingName);
  TensorInfo table;
  table.name = kEmbeddingName;
  table.dtype = DType::kBF16;
  table.shape = {rows, cols};
  table.file_idx = checked_cast<std::uint32_t>(files.size());
  if (!tensor_num_bytes(table.dtype, table.shape, table.bytes))
    fail(ErrorKind::kFormat, "{}: too large", kEmbeddingName);
  const std::uint64_t found = File::open_regular(path).size();
  if (found != table.bytes) {
    fail(ErrorKind::kFormat, "{}: {} bytes, {} needs {}", kEmbeddingName, found,
         type_text(table.dtype, table.shape), table.bytes);
  }
  files.push_back(path.lexically_relative(onnx.parent_path()).string());
  tensors.push_back(std::move(table));
  return std::make_shared<const Checkpoint>(
      Checkpoint::of_tensors(onnx.parent_path(), files, std::move(tensors)));
}

void set_tokenizer(PackagePlan& plan) {
  plan.tokenizer_record = fmt::format(
      R"({{"kind": "the ONNX file's {}, unchanged", "vocab_size": {}, "chat_template": null, "self_test": []}})",
      kMtokName, plan.tokenizer.vocab_size);
  plan.source_notes.push_back(
      "tokenizer and chat template are those of the ONNX file, unchanged and untested");
}

}  // namespace

void plan_llmexport_package(PackagePlan& plan, const fs::path& onnx, const onnx::OnnxFile& file) {
  read_onnx_side_files(plan, onnx);
  // A tokenizer.txt of llmexport is not written with this file, and config.json would not name it.
  check_compat(plan);
  const LlmConfig config(plan.side_llm_config);
  const std::int64_t max_positions = config.integer("max_position_embeddings", 0);

  const Checkpoint constants = Checkpoint::of_tensors(onnx.parent_path(), file.files(), tensor_infos(file));
  onnx::LlmexportModel model;
  try {
    model = onnx::read_llmexport(
        file,
        [&](const onnx::StoredTensor& tensor, std::uint64_t offset, std::span<std::byte> out) {
          constants.read(*constants.find(tensor.name), offset, out);
        },
        rope_table_positions(max_positions));
  } catch (Error& error) {
    error.add_context(shown(onnx.filename().string()));
    throw;
  }
  check_heads(model.graph, config);

  std::vector<std::string> files = file.files();
  plan.model.checkpoint = open_tensors(onnx, file, files, model.graph.vocab_size, model.graph.hidden_size);
  const Checkpoint& checkpoint = *plan.model.checkpoint;
  plan.model.embed_tokens = Binding::source(checkpoint, *checkpoint.find(kEmbeddingName));
  std::int64_t parameters = model.graph.vocab_size * model.graph.hidden_size;
  for (std::size_t i = 0; i < model.weights.size(); ++i) {
    const auto& [address, shape] = model.graph.weights[i];
    const TensorId id = *checkpoint.find(model.weights[i].tensor);
    LoweredWeight weight;
    weight.role = role_of(address);
    weight.is_matrix = shape.size() == 2;
    weight.binding = model.weights[i].transposed ? Binding::transposed_source(checkpoint, id)
                                                 : Binding::source(checkpoint, id);
    parameters += weight.binding.rows() * weight.binding.cols();
    plan.model.lowered.weights.push_back(std::move(weight));
  }
  plan.model.facts = facts_of(model.graph, config, parameters);
  plan.model.lowered.graph = std::move(model.graph);
  set_tokenizer(plan);
  plan.source_digest = [dir = checkpoint.dir(), files] {
    const File graph = File::open_regular(dir / files.front());
    return weights_digest({{files.front(), digest_of_file(graph, graph.size()).hex()}},
                          digest_of_files(dir, files));
  };
}

}  // namespace llm2mnn
