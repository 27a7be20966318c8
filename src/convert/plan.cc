#include "convert/plan.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/checked.h"
#include "convert/manifest.h"
#include "convert/onnx_source.h"
#include "convert/package_config.h"
#include "convert/package_names.h"

namespace llm2mnn {
namespace {

// A tile is at least eight rows; rows beyond this many weights would break the memory promise. Wider than any
// published model by a factor of ten.
constexpr std::int64_t kMaxCols = 1 << 19;

QuantScheme scheme_for(const ExportOptions& options, WeightRole role) {
  if (stays_float(role)) return {.bits = std::max(16, options.quant_bit)};
  const bool head = role == WeightRole::kLmHead;
  return {.bits = head ? options.lm_quant_bit.value_or(options.quant_bit) : options.quant_bit,
          .group_size = head ? options.lm_quant_block.value_or(options.quant_block) : options.quant_block,
          .symmetric = options.symmetric,
          .scale_type = options.effective_scale_type()};
}

// "16, 32, 64, 96" - the blocks that divide every one of `widths`; 0 always does.
std::string common_blocks(const std::set<std::int64_t>& widths) {
  std::string text = "0 (whole rows)";
  const std::int64_t narrowest = *widths.begin();
  std::vector<std::int64_t> blocks;
  for (std::int64_t block = 16; block <= narrowest; block += 16) {
    if (std::all_of(widths.begin(), widths.end(), [&](std::int64_t width) { return width % block == 0; })) {
      blocks.push_back(block);
    }
  }
  constexpr std::size_t kShown = 8;
  if (blocks.size() > kShown) blocks.erase(blocks.begin(), blocks.end() - kShown);
  for (const std::int64_t block : blocks)
    text += fmt::format(", {}", block);
  return text;
}

struct Width {
  std::string layer;
  std::int64_t cols;
  std::int64_t block;
  const char* flag;  // the one that set the block
};

// "layers.*.mlp.experts.*.down_proj": one entry for all layers and experts of a kind.
std::string without_numbers(const std::string& address) {
  std::string text;
  for (std::size_t at = 0; at < address.size();) {
    const std::size_t dot = std::min(address.find('.', at), address.size());
    const std::string part = address.substr(at, dot - at);
    const bool is_number = std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    text += (at == 0 ? "" : ".") + (is_number ? "*" : part);
    at = dot + 1;
  }
  return text;
}

void check_blocks(const std::vector<Width>& widths) {
  std::map<std::string, std::int64_t> offenders;
  std::set<std::int64_t> all_widths;
  const Width* first = nullptr;
  for (const Width& width : widths) {
    all_widths.insert(width.cols);
    if (width.block == 0 || width.cols % width.block == 0) continue;
    if (first == nullptr) first = &width;
    offenders.emplace(without_numbers(width.layer), width.cols);
  }
  if (offenders.empty()) return;
  std::string listed;
  constexpr std::size_t kShown = 6;
  for (const auto& [layer, cols] : offenders) {
    if (static_cast<std::size_t>(std::count(listed.begin(), listed.end(), '(')) == kShown) {
      listed += fmt::format(" and {} more", offenders.size() - kShown);
      break;
    }
    listed += fmt::format("{}{} ({})", listed.empty() ? "" : ", ", layer, cols);
  }
  fail(ErrorKind::kInvalidArgument,
       "{} {}: does not divide the row width of {}; blocks that divide every layer: {}", first->flag,
       first->block, listed, common_blocks(all_widths));
}

std::vector<QuantScheme> choose_schemes(const Plan& plan) {
  std::vector<QuantScheme> schemes;
  std::vector<Width> widths;
  for (std::size_t i = 0; i < plan.model.lowered.weights.size(); ++i) {
    const LoweredWeight& weight = plan.model.lowered.weights[i];
    const QuantScheme scheme = scheme_for(plan.options, weight.role);
    schemes.push_back(scheme);
    if (!weight.is_matrix) continue;
    const std::string& address = plan.model.lowered.graph.weights[i].address;
    const std::int64_t cols = weight.binding.cols();
    if (cols > kMaxCols) {
      fail(ErrorKind::kUnsupported, "{}: rows of {} weights; at most {} are supported", shown(address), cols,
           kMaxCols);
    }
    if (scheme.is_float()) continue;
    const std::string layer = address.ends_with(".weight") ? address.substr(0, address.size() - 7) : address;
    const bool own_block = weight.role == WeightRole::kLmHead && plan.options.lm_quant_block;
    widths.push_back({layer, cols, scheme.group_size, own_block ? "--lm_quant_block" : "--quant_block"});
  }
  const ExportOptions& options = plan.options;
  if (options.embed_bit.value_or(16) < 16) {
    widths.push_back({"embed_tokens", bf16_embedding(plan.model).cols, options.quant_block, "--quant_block"});
  }
  check_blocks(widths);
  return schemes;
}

// Rows of a tied table must start on byte boundaries; the runtime decodes only these widths (3.6.1).
bool can_tie(const QuantScheme& head, std::int64_t cols) {
  return (head.bits == 4 || head.bits == 8 || head.bits == 16) && (cols * head.bits) % 8 == 0;
}

EmbeddingPlan plan_embedding(const Plan& plan) {
  const ExportOptions& options = plan.options;
  EmbeddingPlan embedding = bf16_embedding(plan.model);
  const QuantScheme head = scheme_for(options, WeightRole::kLmHead);
  const bool is_plain = ir::token_embedding(plan.model.lowered.graph) == nullptr;
  if (is_plain && plan.model.facts.tied && !options.seperate_embed && !options.embed_bit &&
      can_tie(head, embedding.cols)) {
    embedding.kind = EmbeddingPlan::Kind::kTied;
    embedding.scheme = head;
    embedding.file_name.clear();
    embedding.codes_bytes = 0;
    return embedding;
  }
  const int bits = options.embed_bit.value_or(16);
  if (bits == 16) return embedding;
  embedding.kind = EmbeddingPlan::Kind::kQuantFile;
  embedding.file_name = fmt::format("embeddings_int{}.bin", bits);
  embedding.scheme = {.bits = bits,
                      .group_size = options.quant_block,
                      .symmetric = options.symmetric,
                      .scale_type = options.effective_scale_type()};
  if (embedding.cols * bits % 8 != 0) {
    fail(ErrorKind::kInvalidArgument,
         "--embed_bit {}: rows of {} weights do not end on a byte; use --embed_bit 8 or 16", bits,
         embedding.cols);
  }
  embedding.codes_bytes =
      checked_cast<std::uint64_t>(codes_bytes(embedding.scheme, embedding.rows, embedding.cols));
  embedding.alpha_bytes =
      checked_cast<std::uint64_t>(alpha_bytes(embedding.scheme, embedding.rows, embedding.cols));
  return embedding;
}

mnn::RuntimeNeed package_runtime(const Plan& plan) {
  mnn::RuntimeNeed need = mnn::minimum_runtime(plan.model.lowered.graph, plan.layout, plan.options.form);
  const EmbeddingPlan& embedding = plan.embedding;
  if (embedding.kind != EmbeddingPlan::Kind::kBf16File) {
    if (embedding.scheme.bits == 16) need.raise({3, 2, 0}, "fp16 rows of a tied embedding");
    if (embedding.scheme.symmetric) need.raise({3, 1, 1}, "symmetric embedding rows");
    if (embedding.kind == EmbeddingPlan::Kind::kQuantFile)
      need.raise({3, 2, 4}, "a quantised embedding file");
    if (!embedding.scheme.is_float() && embedding.scheme.scale_type == ScaleType::kF16) {
      need.raise({3, 6, 0}, "fp16 scales of the embedding");
    }
  }
  if (plan.options.form == mnn::GraphForm::kPacked) need.raise({3, 5, 0}, "tokenizer.mtok");
  return need;
}

void add_notes(Plan& plan) {
  plan.notes = package_notes(plan);
  const ExportOptions& options = plan.options;
  if (options.form == mnn::GraphForm::kCompat && !options.scale_type) {
    plan.notes.push_back(
        "--compat 3.1: scales are stored as fp32, since fp16 scales need runtime 3.6.0 (--scale_bit)");
  }
  const bool has_further_rows = ir::token_embedding(plan.model.lowered.graph) != nullptr;
  if (has_further_rows)
    plan.notes.push_back(fmt::format("{} holds the per-layer embeddings, too, {} values a token{}",
                                     plan.embedding.file_name, plan.embedding.cols,
                                     options.embed_bit ? "" : "; --embed_bit 8 or 4 makes it smaller"));
  else if (plan.model.facts.tied && plan.embedding.kind != EmbeddingPlan::Kind::kTied &&
           !options.seperate_embed && !options.embed_bit) {
    plan.notes.push_back(
        fmt::format("the embedding is written as {}: the runtime reads tied rows at 4, 8 and 16 bits only",
                    plan.embedding.file_name));
  }
}

void list_files(Plan& plan) {
  plan.files = {{kGraphName, plan.graph_bytes.size()}, {kWeightsName, plan.layout.total_bytes}};
  if (!plan.embedding.file_name.empty())
    plan.files.push_back({plan.embedding.file_name, plan.embedding.file_bytes()});
  std::ranges::copy(side_files(plan), std::back_inserter(plan.files));
  plan.files.push_back({kManifestName, 0});
  // All digests have one width, so the manifest's size is known before any of them.
  plan.files.back().bytes = make_manifest(plan, {}).size();
}

// Everything behind the model and its tokenizer.
void finish_plan(Plan& plan) {
  plan.approximations =
      drop_inexpressible(plan.model.lowered.graph, "an MNN package", plan.options.allow_approximate);
  plan.method = find_method(plan.options.method);
  LLM2MNN_CHECK(plan.method != nullptr);
  plan.schemes = choose_schemes(plan);
  plan.layout = mnn::lay_out(plan.model.lowered.graph, plan.schemes, plan.options.form);
  plan.embedding = plan_embedding(plan);
  plan.graph_bytes = mnn::write_graph(plan.model.lowered.graph, plan.layout, plan.options.form,
                                      [&](ir::WeightId id) { return read_vector(plan.model, id); });
  plan.config_json = make_config_json(plan, plan.embedding, plan.options.form);
  plan.llm_config_json = make_llm_config_json(plan);
  plan.runtime = package_runtime(plan);
  add_notes(plan);
  list_files(plan);
}

}  // namespace

// Halves, which the runtime multiplies without rounding their inputs either.
bool stays_float(WeightRole role) {
  switch (role) {
    case WeightRole::kRouter:
    case WeightRole::kSharedExpertGate:
    case WeightRole::kAltupRouter:
    case WeightRole::kAltupPredictionCoefs:
    case WeightRole::kAltupCorrectionCoefs:
      return true;
    default:
      return false;
  }
}

EmbeddingPlan bf16_embedding(const Model& model) {
  EmbeddingPlan embedding;
  embedding.kind = EmbeddingPlan::Kind::kBf16File;
  embedding.file_name = "embeddings_bf16.bin";
  embedding.values = model.embed_tokens;
  const ir::TokenEmbedding* further = ir::token_embedding(model.lowered.graph);
  if (further != nullptr)
    embedding.values =
        Binding::concat_cols({model.embed_tokens, model.lowered.weights.at(further->table).binding});
  embedding.rows = embedding.values.rows();
  embedding.cols = embedding.values.cols();
  embedding.codes_bytes = 2u * checked_cast<std::uint64_t>(embedding.rows * embedding.cols);
  return embedding;
}

double Plan::linear_bits_per_weight() const {
  double bits = 0;
  double weights = 0;
  for (const mnn::LinearBlob& blob : layout.linears) {
    const double count = static_cast<double>(blob.rows) * static_cast<double>(blob.cols);
    bits += 8.0 * static_cast<double>(blob.codes_bytes + blob.alpha_bytes);
    weights += count;
  }
  return weights > 0 ? bits / weights : 0;
}

Plan make_plan(const ExportOptions& options) {
  Plan plan;
  plan_package(plan, options);
  finish_plan(plan);
  return plan;
}

Plan make_convert_plan(const ExportOptions& options) {
  Plan plan;
  plan_onnx_package(plan, options);
  finish_plan(plan);
  return plan;
}

}  // namespace llm2mnn
