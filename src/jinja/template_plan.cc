#include "jinja/template_plan.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "jinja/family_templates.h"
#include "jinja/lowering.h"

namespace llm2mnn::jinja {

namespace {

/// What one case must give.
struct Expectation {
  const ProofCase* proof = nullptr;
  ChatInput runtime_input;
  RuntimeContext runtime_context;
  bool refused = false;
  std::string prompt;
  std::string unknown;  ///< why the prompt is not known
};

void set_member(JsonValue::Object& object, const std::string& name, const JsonValue& value) {
  std::erase_if(object, [&](const auto& member) { return member.first == name; });
  object.emplace_back(name, value);
}

/// What Hugging Face renders. A special conversation may need what the evaluator lacks: `unknown` then says
/// what. @throws Error where a plain one does.
ChatPrompt reference_prompt(const Template& chat_template, const ChatInput& input, bool is_plain,
                            std::string& unknown) {
  try {
    return render_chat(chat_template, input);
  } catch (const Error& error) {
    if (is_plain) throw;
    unknown = error.message();
    return {};
  }
}

/// The reference prompts: Hugging Face's, less the prefix that the runtime puts in front itself.
/// @throws Error where a plain conversation goes beyond what the evaluator can do.
std::vector<Expectation> expectations_of(const Template& chat_template, const JsonValue::Object& hf_variables,
                                         const RuntimeContext& context, std::string_view prefix,
                                         bool& lacks_prefix) {
  std::vector<Expectation> expectations;
  for (const ProofCase& proof : proof_cases()) {
    ChatInput full = proof.input;
    Expectation expected{&proof, proof.input, context, false, {}, {}};
    full.variables = hf_variables;
    for (const auto& [name, value] : proof.input.variables) {
      set_member(full.variables, name, value);
      // The runtime takes variables of a conversation into the context.
      set_member(expected.runtime_context.context, name, value);
    }
    ChatPrompt prompt = reference_prompt(chat_template, full, proof.is_plain, expected.unknown);
    expected.refused = prompt.refused;
    if (!prompt.refused && expected.unknown.empty()) {
      const bool begins_with_it = prompt.text.starts_with(prefix);
      lacks_prefix |= !begins_with_it;
      if (begins_with_it) prompt.text.erase(0, prefix.size());
      expected.prompt = std::move(prompt.text);
    }
    expectations.push_back(std::move(expected));
  }
  return expectations;
}

std::string runtime_prompt(std::string_view text, const Expectation& expected) {
  return render_as_runtime(text, expected.runtime_input, expected.runtime_context);
}

/// For each expectation whether the runtime fulfils it with `text`; refused and unknown ones count as
/// fulfilled.
std::vector<bool> fulfilled(std::string_view text, const std::vector<Expectation>& expectations) {
  std::vector<bool> equal;
  equal.reserve(expectations.size());
  for (const Expectation& expected : expectations)
    equal.push_back(expected.refused || !expected.unknown.empty() ||
                    runtime_prompt(text, expected) == expected.prompt);
  return equal;
}

bool all(const std::vector<bool>& equal) {
  return std::find(equal.begin(), equal.end(), false) == equal.end();
}

/// Whether `better` is right at least wherever `base` is.
bool covers(const std::vector<bool>& better, const std::vector<bool>& base) {
  for (std::size_t i = 0; i < base.size(); ++i) {
    if (base[i] && !better[i]) return false;
  }
  return true;
}

/// The first family template with which, lowered, the runtime's prompts of all plain conversations are right.
std::string fitting_family(const std::vector<Expectation>& expectations) {
  for (const FamilyTemplate& family : family_templates()) {
    const std::string text = lower_template(family.text).text;
    std::size_t num_equal = 0;
    bool fits = true;
    for (const Expectation& expected : expectations) {
      if (!expected.proof->is_plain || expected.refused) continue;
      fits = runtime_prompt(text, expected) == expected.prompt;
      if (!fits) break;
      ++num_equal;
    }
    if (fits && num_equal > 0) return std::string(family.name);
  }
  return {};
}

void report(TemplatePlan& plan, const std::vector<Expectation>& expectations,
            const std::vector<bool>& equal) {
  for (std::size_t i = 0; i < expectations.size(); ++i) {
    const ProofCase& proof = *expectations[i].proof;
    if (expectations[i].refused) {
      const std::string prompt = runtime_prompt(plan.text, expectations[i]);
      if (!prompt.empty() && prompt != kRuntimeFails) plan.refused.push_back(proof.kind);
      continue;
    }
    ++plan.num_cases;
    if (!expectations[i].unknown.empty()) {
      plan.differing.push_back(fmt::format("{} (not proved: {})", proof.kind, expectations[i].unknown));
    } else if (equal[i]) {
      ++plan.num_equal;
    } else {
      plan.differing.push_back(proof.kind);
      plan.plain_differs |= proof.is_plain;
    }
  }
}

/// Cuts `prefix` out of the text: printed by the template it would stand there twice.
void cut_prefix(TemplatePlan& plan, std::string_view prefix) {
  if (prefix.empty()) return;
  std::size_t pos = plan.text.find(prefix);
  if (pos == std::string::npos) return;
  plan.changes.push_back(
      fmt::format("the literal {} is cut out, the runtime puts it in front itself", shown(prefix)));
  for (; pos != std::string::npos; pos = plan.text.find(prefix, pos))
    plan.text.erase(pos, prefix.size());
}

void lower_and_prove(TemplatePlan& plan, const std::vector<Expectation>& expectations) {
  LoweredTemplate lowered = lower_template(plan.text);
  plan.limits = std::move(lowered.limits);
  std::vector<bool> equal = fulfilled(plan.text, expectations);
  if (!all(equal)) {
    std::vector<bool> lowered_equal = fulfilled(lowered.text, expectations);
    if (covers(lowered_equal, equal)) {
      plan.text = std::move(lowered.text);
      plan.changes.insert(plan.changes.end(), lowered.changes.begin(), lowered.changes.end());
      equal = std::move(lowered_equal);
    }
  }
  report(plan, expectations, equal);
  if (!plan.differing.empty()) plan.suggestion = fitting_family(expectations);
}

}  // namespace

TemplatePlan plan_template(std::string_view source, const JsonValue::Object& hf_variables,
                           const RuntimeContext& context, std::string_view prefix) {
  TemplatePlan plan;
  plan.source = plan.text = source;
  cut_prefix(plan, prefix);
  try {
    const Template chat_template = parse_template(source);
    lower_and_prove(plan, expectations_of(chat_template, hf_variables, context, prefix, plan.lacks_prefix));
  } catch (const Error& error) {
    // Kept as it is: the runtime may well render it, but nobody can say what is right.
    plan.plain_differs = true;
    plan.differing.push_back(fmt::format("all (not proved: {})", error.message()));
  }
  return plan;
}

}  // namespace llm2mnn::jinja
