#pragma once
// The tokenizer and the chat template of a package, as MNN's runtime 3.6.1 finds them.

#include <filesystem>
#include <string>

#include "jinja/runtime_model.h"
#include "verify/runtime_tokenizer.h"

namespace llm2mnn {

struct PackageTokenizer {
  verify::RuntimeTokenizer tokenizer;
  std::string chat_template;  ///< empty when there is none
  jinja::RuntimeContext context;
};

/// The file that `tokenizer_file` names in llm_config.json merged over config.json (tokenizer.txt without
/// it). The template and EOS are that file's; `jinja.chat_template` replaces the template, and then
/// `jinja.eos`, or
/// "" without one, the EOS. BOS is the file's only. `jinja.context` is joined by context.json.
/// @throws Error kIo or kFormat names the file.
PackageTokenizer load_package_tokenizer(const std::filesystem::path& dir);

}  // namespace llm2mnn
