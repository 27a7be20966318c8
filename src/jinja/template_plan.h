#pragma once
// The chat template of a package: lowered, and proved against full Jinja on a built-in set of conversations.

#include <string>
#include <string_view>
#include <vector>

#include "jinja/chat.h"
#include "jinja/runtime_model.h"

namespace llm2mnn::jinja {

/// One conversation of the built-in set.
struct ProofCase {
  std::string kind;       ///< "system", "multi-turn", "empty system", "tools", "thinking off", "unicode", ...
  bool is_plain = false;  ///< texts of system, user and assistant only: what every package must get right
  ChatInput input;
};
/// System, user only, multi-turn, empty system, tools (list, call, result), thinking on and off, unicode,
/// long, content parts. All with a generation prompt: the runtime adds one always.
const std::vector<ProofCase>& proof_cases();

struct TemplatePlan {
  std::string source;                  ///< as the checkpoint has it
  std::string text;                    ///< what goes into the package
  std::vector<std::string> changes;    ///< of the lowering
  std::vector<std::string> limits;     ///< constructs that the runtime has nothing for, whether met or not
  bool lacks_prefix = false;           ///< Hugging Face's prompts do not begin with what the runtime prepends
  std::vector<std::string> differing;  ///< kinds of conversation that the runtime still renders differently
  std::vector<std::string>
      refused;  ///< kinds that Hugging Face refuses (raise_exception) and the runtime renders
  std::size_t num_cases = 0, num_equal = 0;
  bool plain_differs = false;  ///< among them a plain conversation
  std::string suggestion;  ///< name of a simple family template that fits ("chatml", "llama3", ...), or empty
};

/// Lowers `source` unless the unchanged text is proved equal already, and proves the result. The lowered text
/// is taken only where it is right at least wherever the source is.
/// @param context  of the package; `bos_token` as Hugging Face sees it goes in `hf_variables`.
/// @param prefix  text of the ids that the runtime puts in front of every prompt: the package's template
/// prints what follows. Where it stands in `source` as literal text it is cut out.
TemplatePlan plan_template(std::string_view source, const JsonValue::Object& hf_variables,
                           const RuntimeContext& context, std::string_view prefix = {});

}  // namespace llm2mnn::jinja
