#pragma once
// The tokenizer of a checkpoint as the MNN runtime reads it: tokenizer.mtok (the whole pipeline, runtime
// >= 3.5.0) and tokenizer.txt (older runtimes, an approximation), the chat template, and the ids that stop
// generation.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/template_plan.h"

namespace llm2mnn {

struct TokenizerConfig;
struct TokenizerSource;

struct TokenizerPackage {
  std::string kind;             ///< "byte-level BPE"
  std::int64_t vocab_size = 0;  ///< ids the tokenizer can produce: 1 + the largest
  std::string mtok;             ///< bytes of tokenizer.mtok
  std::string txt;              ///< bytes of tokenizer.txt
  std::string txt_limits;  ///< one line: for which runtimes tokenizer.txt is right and what it cannot express
  jinja::TemplatePlan template_plan;   ///< its `text` is the chat template; empty when there is none
  std::string bos_token, eos_token;    ///< text; empty when there is none
  bool adds_bos = false;               ///< Hugging Face puts a BOS in front of plain text
  std::vector<std::int64_t> stop_ids;  ///< sorted, unique
  std::vector<std::int64_t> prefix_ids;
  /// `jinja.context.bos_token` must be "" in llm_config.json: the runtime prepends the BOS itself, or the
  /// template names a BOS that Hugging Face does not have (the text in the mtok only serves the runtime's
  /// probe of the template then).
  bool hide_bos_in_template = false;
  std::vector<std::string> notes;  ///< one line each, for the summary (known runtime limits)
};

/// @param config_stop_ids  what the checkpoint itself says: `eos_token_id` of its config.json and
/// generation_config.json.
/// @throws Error kUnsupported for what the runtime cannot express, by name. Messages name the source's file.
TokenizerPackage make_tokenizer_package(const TokenizerSource& source,
                                        const std::vector<std::int64_t>& config_stop_ids);

/// The same from the bytes of a tokenizer.json and what the files beside it say.
TokenizerPackage make_tokenizer_package(std::string_view tokenizer_json, const TokenizerConfig& config,
                                        const std::vector<std::int64_t>& config_stop_ids);

/// The chat template that a package of `source` gets; all texts empty when there is none.
jinja::TemplatePlan plan_chat_template(const TokenizerSource& source);

}  // namespace llm2mnn
