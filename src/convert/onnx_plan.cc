#include "convert/onnx_plan.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <iterator>
#include <numeric>
#include <optional>
#include <set>

#include "convert/genai_config.h"
#include "convert/manifest.h"
#include "convert/onnx_record.h"
#include "convert/package_config.h"
#include "convert/package_names.h"
#include "convert/version.h"

namespace llm2mnn {
namespace {

// MatMulNBits and DequantizeLinear want whole blocks.
void check_blocks(const OnnxPlan& plan) {
  const onnx::OnnxForm& form = plan.options.onnx;
  if (form.weights == onnx::WeightForm::kFloat) return;
  std::int64_t common = 0;  // divisor of all row widths
  std::optional<std::size_t> offender;
  for (std::size_t i = 0; i < plan.model.lowered.weights.size(); ++i) {
    const LoweredWeight& weight = plan.model.lowered.weights[i];
    if (!weight.is_matrix || weight.role == WeightRole::kLmHead || stays_float(weight.role)) continue;
    common = std::gcd(common, weight.binding.cols());
    if (!offender && weight.binding.cols() % form.block != 0) offender = i;
  }
  if (!offender) return;
  std::vector<std::int64_t> blocks(onnx::kQuantBlocks.begin(), onnx::kQuantBlocks.end());
  std::erase_if(blocks, [&](std::int64_t block) { return common % block != 0; });
  fail(ErrorKind::kInvalidArgument, "--quant_block {}: does not divide the row width of {} ({}); {}",
       form.block, plan.model.lowered.graph.weights[*offender].address,
       plan.model.lowered.weights[*offender].binding.cols(),
       blocks.empty() ? fmt::format("none of the blocks {} divides every layer; export without --onnx_quant",
                                    fmt::join(onnx::kQuantBlocks, ", "))
                      : fmt::format("blocks that divide every layer: {}", fmt::join(blocks, ", ")));
}

std::vector<std::string> onnx_notes(const OnnxPlan& plan) {
  std::vector<std::string> notes = package_notes(plan);
  const onnx::OnnxForm& form = plan.options.onnx;
  if (form.flavour == onnx::Flavour::kOne && form.weights != onnx::WeightForm::kFloat)
    notes.push_back("MNN's converter cannot read quantised ONNX; for it export without --onnx_quant");
  if (form.flavour == onnx::Flavour::kGenai) {
    notes.push_back("GroupQueryAttention: one sequence at a time, or padding on the right");
    const bool has_tokenizer = std::ranges::any_of(
        plan.tokenizer_files, [](const auto& file) { return file.name == kTokenizerJsonName; });
    if (!has_tokenizer)
      notes.push_back(
          fmt::format("onnxruntime-genai reads {} only, and the checkpoint has none: it takes ids, not text",
                      kTokenizerJsonName));
  }
  return notes;
}

void list_files(OnnxPlan& plan) {
  plan.files = {{kOnnxName, onnx_file_bytes(plan, {}).size()},
                {onnx::kDataName, plan.onnx.layout.total_bytes},
                {plan.embedding.file_name, plan.embedding.file_bytes()}};
  std::ranges::copy(side_files(plan), std::back_inserter(plan.files));
  if (!plan.genai_config_json.empty())
    plan.files.push_back({kGenaiConfigName, plan.genai_config_json.size()});
  for (const OnnxPlan::TokenizerFile& file : plan.tokenizer_files)
    plan.files.push_back({file.name, file.content.size()});
  plan.files.push_back({kManifestName, 0});
  plan.files.back().bytes = make_manifest(plan, {}).size();
}

}  // namespace

Digest128 weights_digest(const std::map<std::string, std::string, std::less<>>& inline_values,
                         const Digest128& data) {
  Hasher128 hasher;
  const auto add = [&hasher](std::string_view text) { hasher.update(std::as_bytes(std::span(text))); };
  for (const auto& [name, bytes] : inline_values) {
    add(fmt::format("{} {}\n", name, bytes.size()));
    add(bytes);
  }
  add(data.hex());
  return hasher.digest();
}

std::string onnx_file_bytes(const OnnxPlan& plan, const OnnxDigests& digests) {
  return onnx::with_metadata(plan.onnx.bytes, kVersion, kRecordKey, make_onnx_record(plan, digests));
}

onnx::DecoderFacts decoder_facts(const ModelFacts& facts) {
  // Beyond these a cache of cosines costs more than the model's own limit is worth.
  constexpr std::int64_t kMostCachedPositions = 1 << 18;
  const std::int64_t positions = facts.max_position_embeddings > 0 ? facts.max_position_embeddings : 32768;
  onnx::DecoderFacts decoder;
  decoder.vocab_rows = facts.vocab_size;
  decoder.tied = facts.tied;
  decoder.sliding_window = facts.sliding_window;
  decoder.num_positions = std::min(positions, kMostCachedPositions);
  return decoder;
}

namespace {

// Fills in the names of the initializers.
void name_weights(const Model& model, onnx::DecoderFacts& decoder) {
  std::set<std::string> used;
  const auto name_of = [&](const Binding& binding, std::string_view address) {
    const std::optional<TensorId> tensor = binding.plain_source();
    std::string name = tensor ? model.checkpoint->tensor(*tensor).name : "";
    // A tensor that serves twice, or a part of one, goes by its canonical name.
    if (name.empty() || used.contains(name))
      name = (address.starts_with("lm_head.") ? "" : "model.") + std::string(address);
    used.insert(name);
    return name;
  };
  decoder.embedding_name = name_of(model.embed_tokens, "embed_tokens.weight");
  for (std::size_t i = 0; i < model.lowered.weights.size(); ++i)
    decoder.weight_names.push_back(
        name_of(model.lowered.weights[i].binding, model.lowered.graph.weights[i].address));
}

}  // namespace

OnnxPlan make_onnx_plan(const ExportOptions& options) {
  onnx::check_form(options.onnx);
  OnnxPlan plan;
  plan_package(plan, options);
  // MNN's converter makes the Attention op of it, which has no cap.
  if (options.onnx.flavour == onnx::Flavour::kOne)
    plan.approximations = drop_inexpressible(
        plan.model.lowered.graph, "--onnx_flavour one, for MNN's converter,", options.allow_approximate);
  check_blocks(plan);
  plan.embedding = bf16_embedding(plan.model);
  plan.decoder = decoder_facts(plan.model.facts);
  name_weights(plan.model, plan.decoder);
  plan.onnx = onnx::build_model(plan.model.lowered.graph, plan.decoder, options.onnx,
                                [&](ir::WeightId id) { return read_vector(plan.model, id); });
  plan.config_json = make_config_json(plan, plan.embedding, mnn::GraphForm::kPacked);
  plan.llm_config_json = make_llm_config_json(plan);
  if (options.onnx.flavour == onnx::Flavour::kGenai) {
    plan.genai_config_json = make_genai_config_json(plan);
    plan.tokenizer_files =
        genai_tokenizer_files(options.tokenizer_path.empty() ? options.path : options.tokenizer_path,
                              plan.tokenizer.template_plan.source);
  }
  plan.notes = onnx_notes(plan);
  list_files(plan);
  return plan;
}

}  // namespace llm2mnn
