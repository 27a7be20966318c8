#include "convert/package_plan.h"

#include <algorithm>
#include <fmt/ranges.h>

#include "base/file.h"
#include "convert/manifest.h"
#include "convert/package_names.h"
#include "convert/publish.h"
#include "jinja/family_templates.h"
#include "tokenizer/checkpoint_config.h"
#include "tokenizer/source.h"

namespace llm2mnn {
namespace {

std::vector<std::int64_t> config_stop_ids(const JsonValue& config) {
  const JsonValue* eos = config.find("eos_token_id");
  if (eos == nullptr || eos->is_null()) return {};
  try {
    if (eos->is_number()) return {eos->as_int64()};
    std::vector<std::int64_t> ids;
    for (const JsonValue& id : eos->as_array())
      ids.push_back(id.as_int64());
    return ids;
  } catch (Error& error) {
    error.add_context("config.json: 'eos_token_id'");
    throw;
  }
}

// The checkpoint's own, whose tokenizer files may come from elsewhere (`--tokenizer_path`).
std::vector<std::int64_t> checkpoint_stop_ids(const Checkpoint& checkpoint) {
  std::vector<std::int64_t> ids = config_stop_ids(checkpoint.config());
  const std::vector<std::int64_t> more = load_generation_eos(checkpoint.dir());
  ids.insert(ids.end(), more.begin(), more.end());
  return ids;
}

// An unexplained difference means that the model would see other text than it was trained on. Only the file
// that config.json names counts.
void check_tokenizer_proof(const TokenizerProof& proof, const ExportOptions& options) {
  const TokenizerProof::File& file = options.form == mnn::GraphForm::kCompat ? proof.txt : proof.mtok;
  const TokenizerProof::Difference* first = file.first_unexplained();
  if (first == nullptr || options.allow_tokenizer_mismatch) return;
  fail(ErrorKind::kUnsupported,
       "{} gives other ids or texts than Hugging Face for {} of {} texts, for example {}{}; "
       "--allow_tokenizer_mismatch exports all the same",
       file.name, file.unexplained(), file.tested, shown(first->text, 60),
       first->failure.empty() ? "" : " (" + first->failure + ")");
}

// A file, or the name of a family template where there is no such file.
std::string template_of_user(const std::string& word) {
  std::error_code absent;
  const auto families = jinja::family_templates();
  const auto family =
      std::find_if(families.begin(), families.end(), [&](const auto& known) { return known.name == word; });
  if (family != families.end() && !std::filesystem::is_regular_file(word, absent))
    return std::string(family->text);
  if (!path_exists(word)) {
    std::vector<std::string_view> names;
    for (const jinja::FamilyTemplate& known : families)
      names.push_back(known.name);
    fail(ErrorKind::kInvalidArgument,
         "--chat_template {}: neither a file nor one of the built-in templates {}", shown(word),
         fmt::join(names, ", "));
  }
  try {
    std::string text = read_chat_template(word);
    if (text.empty()) fail(ErrorKind::kFormat, "{}: the file is empty", shown(word));
    return text;
  } catch (Error& error) {
    error.add_context("--chat_template");
    throw;
  }
}

void plan_tokenizer(PackagePlan& plan) {
  const ExportOptions& options = plan.options;
  TokenizerSource source =
      load_tokenizer_source(options.tokenizer_path.empty() ? options.path : options.tokenizer_path);
  if (!options.chat_template.empty()) source.config.chat_template = template_of_user(options.chat_template);
  plan.tokenizer = make_tokenizer_package(source, checkpoint_stop_ids(*plan.model.checkpoint));
  MtokReadback readback(plan.tokenizer);
  const Encoder encoder(std::move(source.model));
  plan.tokenizer_proof = prove_tokenizer(encoder, plan.tokenizer, std::move(readback));
  plan.tokenizer_record = tokenizer_record(plan.tokenizer, plan.tokenizer_proof);
  check_tokenizer_proof(plan.tokenizer_proof, options);
}

}  // namespace

std::uint64_t PackagePlan::package_bytes() const {
  std::uint64_t total = 0;
  for (const FilePlan& file : files)
    total += file.bytes;
  return total;
}

void plan_package(PackagePlan& plan, const ExportOptions& options) {
  plan.options = options;
  plan.has_own_template = !options.chat_template.empty();
  plan.destination = check_destination(options.dst_path, options.overwrite);
  const FamilyRegistry registry = FamilyRegistry::with_file(options.family_path);
  plan.model = model_of_checkpoint(std::make_shared<const Checkpoint>(Checkpoint::open(options.path)),
                                   registry, options.type, options.text_only);
  plan_tokenizer(plan);
}

std::vector<std::string> package_notes(const PackagePlan& plan) {
  std::vector<std::string> notes;
  for (const Approximation& approximation : plan.approximations)
    notes.push_back(approximation.text);
  notes.insert(notes.end(), plan.source_notes.begin(), plan.source_notes.end());
  notes.insert(notes.end(), plan.model.facts.notes.begin(), plan.model.facts.notes.end());
  notes.insert(notes.end(), plan.tokenizer.notes.begin(), plan.tokenizer.notes.end());
  if (!plan.tokenizer.txt_limits.empty()) notes.push_back(plan.tokenizer.txt_limits);
  if (plan.tokenizer.vocab_size > plan.model.facts.vocab_size) {
    notes.push_back(
        fmt::format("the tokenizer has {} ids and the embedding {} rows: ids from {} on cannot be used",
                    plan.tokenizer.vocab_size, plan.model.facts.vocab_size, plan.model.facts.vocab_size));
  }
  return notes;
}

std::vector<FilePlan> side_files(const PackagePlan& plan) {
  std::vector<FilePlan> files = {{kConfigName, plan.config_json.size()},
                                 {kLlmConfigName, plan.llm_config_json.size()},
                                 {kMtokName, plan.tokenizer.mtok.size()}};
  if (!plan.tokenizer.txt.empty()) files.push_back({kTxtName, plan.tokenizer.txt.size()});
  return files;
}

}  // namespace llm2mnn
