#include "tokenizer/tokenizer_package.h"

#include <algorithm>
#include <array>
#include <fmt/ranges.h>
#include <future>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "tokenizer/chat_setup.h"
#include "tokenizer/checkpoint_config.h"
#include "tokenizer/hugging_face.h"
#include "tokenizer/mtok.h"
#include "tokenizer/source.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/txt.h"

namespace llm2mnn {

namespace {

/// Tokens that end a turn wherever a chat model has them.
void append_turn_ends(const TokenizerModel& model, std::vector<std::int64_t>& ids) {
  constexpr std::array<std::string_view, 12> kEnds = {
      "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>",    "<end_of_turn>",         "<turn|>",
      "<|end|>",         "<|return|>", "<|call|>",   "<|endoftext|>", "<｜end▁of▁sentence｜>", "</s>"};
  constexpr std::array<std::string_view, 2> kRoleEnds = {"<|user|>", "<|observation|>"};
  const bool has_gmask = model.find_added("[gMASK]") != nullptr;
  // gpt-oss ends each of its messages with <|end|>, and goes on; <|return|> ends the turn.
  const bool is_harmony = model.find_added("<|return|>") != nullptr;
  const auto append = [&](std::string_view text) {
    const AddedToken* token = model.find_added(text);
    if (token != nullptr && !(is_harmony && text == "<|end|>")) ids.push_back(token->id);
  };
  for (const std::string_view text : kEnds)
    append(text);
  if (has_gmask) {
    for (const std::string_view text : kRoleEnds)
      append(text);
  }
}

std::vector<std::int64_t> stop_ids(const TokenizerModel& model, const TokenizerConfig& config,
                                   const std::vector<std::int64_t>& config_stop_ids) {
  std::vector<std::int64_t> ids = config_stop_ids;
  ids.insert(ids.end(), config.generation_eos.begin(), config.generation_eos.end());
  if (const auto eos = model.find_id(config.eos_token); eos && !config.eos_token.empty()) ids.push_back(*eos);
  append_turn_ends(model, ids);
  // -1 stands for "none" in some configs.
  ids.erase(std::remove_if(ids.begin(), ids.end(), [](std::int64_t id) { return id < 0; }), ids.end());
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

/// What the runtime puts in front of every prompt, as text.
std::string prefix_text(const TokenizerModel& model) {
  std::string prefix;
  for (const std::uint32_t id : model.prefix_ids)
    prefix += model.text_of(id);
  return prefix;
}

/// The part of a package that a chat depends on.
struct ChatPart {
  std::string bos_token;  ///< of tokenizer.mtok
  bool adds_bos = false;  ///< as in TokenizerPackage
  bool hide_bos_in_template = false;
  jinja::TemplatePlan plan;
};

/// The runtime's template engine is no full Jinja: the template is rewritten where the runtime would render
/// it differently, and proved on built-in conversations.
ChatPart plan_chat(const TokenizerModel& model, const TokenizerConfig& config) {
  ChatPart chat;
  chat.bos_token = config.bos_token;
  const auto bos = model.find_id(config.bos_token);
  chat.adds_bos = bos && !config.bos_token.empty() &&
                  std::find(model.prefix_ids.begin(), model.prefix_ids.end(), *bos) != model.prefix_ids.end();
  chat.hide_bos_in_template = chat.adds_bos;
  // The runtime renders the template once as a probe and misjudges one that adds an undefined BOS to a
  // string.
  if (config.bos_token.empty() && config.chat_template.find("bos_token") != std::string::npos) {
    chat.bos_token = config.eos_token.empty() ? "<s>" : config.eos_token;
    chat.hide_bos_in_template = true;
  }
  if (config.chat_template.empty()) return chat;
  jinja::RuntimeContext context;
  context.bos_token = chat.bos_token;
  context.eos_token = config.eos_token;
  if (chat.hide_bos_in_template) context.context.emplace_back("bos_token", JsonValue::make_string(""));
  chat.plan = jinja::plan_template(config.chat_template, special_token_variables(config), context,
                                   prefix_text(model));
  return chat;
}

void note_chat(const TokenizerModel& model, const jinja::TemplatePlan& plan,
               std::vector<std::string>& notes) {
  if (!plan.differing.empty()) {
    notes.push_back(fmt::format(
        "chat template: the runtime's prompt differs from Hugging Face's for {}{}",
        fmt::join(plan.differing, ", "),
        plan.suggestion.empty()
            ? ""
            : fmt::format("; --chat_template {} takes a simple template that fits", plan.suggestion)));
  }
  if (plan.num_cases == 0 && plan.differing.empty() && !plan.source.empty()) {
    notes.emplace_back("chat template: not proved, since Hugging Face refuses every built-in conversation");
  }
  if (plan.lacks_prefix) {
    notes.push_back(
        fmt::format("chat template: the runtime puts {} in front of a prompt, Hugging Face does not",
                    shown(prefix_text(model))));
  }
  if (!plan.refused.empty()) {
    notes.push_back(fmt::format("chat template: Hugging Face refuses, and the runtime renders, {}",
                                fmt::join(plan.refused, ", ")));
  }
  if (!plan.limits.empty()) {
    notes.push_back(fmt::format("chat template: conversations that need this may differ: {}",
                                fmt::join(plan.limits, "; ")));
  }
}

void note_suffix(const TokenizerModel& model, TokenizerPackage& package) {
  if (model.suffix_ids.empty()) return;
  package.notes.push_back(fmt::format("tokenizer: Hugging Face puts {} behind a text; the runtime cannot",
                                      shown(model.text_of(model.suffix_ids.front()))));
}

TokenizerPackage package_of(const TokenizerModel& model, const TokenizerConfig& config,
                            const std::vector<std::int64_t>& config_stop_ids) {
  TokenizerPackage package;
  package.kind = kind_name(model);
  package.vocab_size = model.num_ids();
  package.notes = model.notes;
  package.notes.insert(package.notes.end(), config.notes.begin(), config.notes.end());
  package.eos_token = config.eos_token;
  package.stop_ids = stop_ids(model, config, config_stop_ids);
  package.prefix_ids.assign(model.prefix_ids.begin(), model.prefix_ids.end());
  note_suffix(model, package);
  if (config.chat_template.empty() && !config.chat_templates.empty())
    package.notes.emplace_back("tokenizer: no chat template is named 'default'; the package has none");
  if (package.stop_ids.empty()) {
    package.notes.emplace_back("tokenizer: no stop id is known; generation ends at max_new_tokens only");
  }

  ChatPart chat = plan_chat(model, config);
  note_chat(model, chat.plan, package.notes);
  package.bos_token = config.bos_token;
  package.adds_bos = chat.adds_bos;
  package.hide_bos_in_template = chat.hide_bos_in_template;
  package.template_plan = std::move(chat.plan);

  RuntimeTexts texts;
  texts.bos_token = std::move(chat.bos_token);
  texts.stop_ids = package.stop_ids;
  texts.eos_token = config.eos_token;
  texts.chat_template = package.template_plan.text;
  texts.clean_up_tokenization_spaces = config.clean_up_tokenization_spaces;
  const IdTable table(model);
  // Two files of some megabytes from the same tables; deferred only where no thread is to be had.
  std::future<TxtFile> writing =
      std::async(std::launch::async | std::launch::deferred, [&] { return write_txt(model, table, texts); });
  package.mtok = write_mtok(model, table, texts, package.notes);
  TxtFile txt = writing.get();
  package.txt = std::move(txt.bytes);
  package.txt_limits = std::move(txt.limits);
  return package;
}

/// Runs `step`; its messages get the document's name in front.
template <typename Step>
auto naming_the_document(Step step) {
  try {
    return step();
  } catch (Error& error) {
    error.add_context(shown("tokenizer.json"));
    throw;
  }
}

}  // namespace

TokenizerPackage make_tokenizer_package(std::string_view tokenizer_json, const TokenizerConfig& config,
                                        const std::vector<std::int64_t>& config_stop_ids) {
  return naming_the_document([&] {
    return package_of(build_tokenizer_model(parse_tokenizer_json(tokenizer_json), config), config,
                      config_stop_ids);
  });
}

jinja::TemplatePlan plan_chat_template(const TokenizerSource& source) {
  return plan_chat(source.model, source.config).plan;
}

TokenizerPackage make_tokenizer_package(const TokenizerSource& source,
                                        const std::vector<std::int64_t>& config_stop_ids) {
  try {
    return package_of(source.model, source.config, config_stop_ids);
  } catch (Error& error) {
    error.add_context(shown(source.file));
    throw;
  }
}

}  // namespace llm2mnn
