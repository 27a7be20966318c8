#include "jinja/template_plan.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

#include "jinja/family_templates.h"

namespace llm2mnn::jinja {
namespace {

constexpr std::string_view kSimple =
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

JsonValue::Object tokens(std::string_view bos) {
  return {{"bos_token", JsonValue::make_string(std::string(bos))},
          {"eos_token", JsonValue::make_string("</s>")}};
}

bool has(const std::vector<std::string>& kinds, std::string_view kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

TemplatePlan plan_of(std::string_view source) {
  return plan_template(source, tokens("<s>"), {"<s>", "</s>", {}});
}

TEST(ProofCases, HaveKindsOfTheirOwnAndMessages) {
  std::set<std::string> kinds;
  for (const ProofCase& proof : proof_cases()) {
    EXPECT_TRUE(kinds.insert(proof.kind).second) << proof.kind;
    ASSERT_TRUE(proof.input.messages.is_array()) << proof.kind;
    EXPECT_FALSE(proof.input.messages.as_array().empty()) << proof.kind;
  }
  EXPECT_GE(kinds.size(), 24u);
}

TEST(ProofCases, PlainOnesAreTextsOfSystemUserAndAssistantOnly) {
  for (const ProofCase& proof : proof_cases()) {
    if (!proof.is_plain) continue;
    EXPECT_FALSE(proof.input.tools.has_value()) << proof.kind;
    EXPECT_TRUE(proof.input.variables.empty()) << proof.kind;
    for (const JsonValue& message : proof.input.messages.as_array()) {
      EXPECT_EQ(message.as_object().size(), 2u) << proof.kind;
      EXPECT_TRUE(message.find("content")->is_string()) << proof.kind;
      const std::string_view role = message.find("role")->as_string();
      EXPECT_TRUE(role == "system" || role == "user" || role == "assistant") << proof.kind;
    }
  }
}

TEST(FamilyTemplates, AreRenderedByTheRuntimeAsByJinja) {
  for (const FamilyTemplate& family : family_templates()) {
    const TemplatePlan plan = plan_of(family.text);
    EXPECT_FALSE(plan.plain_differs) << family.name;
  }
}

TEST(TemplatePlan, WhatIsEqualAlreadyStaysByteForByte) {
  const TemplatePlan plan = plan_of("{% for m in messages %}{{ m.role }}{% endfor %}");
  EXPECT_EQ(plan.text, plan.source);
  EXPECT_TRUE(plan.changes.empty());
  EXPECT_TRUE(plan.differing.empty());
  EXPECT_EQ(plan.num_equal, plan.num_cases);
  EXPECT_GE(plan.num_cases, 24u);
}

TEST(TemplatePlan, WhatTheRuntimeRendersDifferentlyIsLowered) {
  const TemplatePlan plan = plan_of("{% for m in messages %}{{ m.role or 'x' }}{% endfor %}");
  EXPECT_NE(plan.text, plan.source);
  EXPECT_FALSE(plan.changes.empty());
  EXPECT_TRUE(plan.differing.empty());
}

TEST(TemplatePlan, TheBosIsTakenOffOnceWhereTheContextHidesIt) {
  const std::string source = "{{ bos_token }}" + std::string(kSimple);
  const RuntimeContext hidden{"<s>", "</s>", {{"bos_token", JsonValue::make_string("")}}};
  EXPECT_FALSE(plan_template(source, tokens("<s>"), hidden, "<s>").plain_differs);
  EXPECT_FALSE(plan_of(source).plain_differs);
  // Two of them: the runtime gets one id, the other is lost.
  EXPECT_TRUE(plan_template("{{ bos_token }}" + source, tokens("<s>"), hidden, "<s>").plain_differs);
}

TEST(TemplatePlan, ALiteralPrefixIsCutOut) {
  const TemplatePlan plan = plan_template("<s>" + std::string(kSimple), {}, {"<s>", "</s>", {}}, "<s>");
  EXPECT_EQ(plan.text, kSimple);
  EXPECT_EQ(plan.source, "<s>" + std::string(kSimple));
  ASSERT_EQ(plan.changes.size(), 1u);
  EXPECT_FALSE(plan.plain_differs);
  EXPECT_FALSE(plan.lacks_prefix);
}

TEST(TemplatePlan, SaysThatHuggingFacesPromptLacksThePrefix) {
  EXPECT_TRUE(plan_template(kSimple, tokens("<s>"), {"<s>", "</s>", {}}, "<s>").lacks_prefix);
}

TEST(TemplatePlan, NamesLimitsThatNoBuiltInConversationMeets) {
  const TemplatePlan plan = plan_of("{% if never is defined %}{{ messages | groupby('role') }}{% endif %}x");
  EXPECT_EQ(plan.text, plan.source);
  EXPECT_FALSE(plan.limits.empty());
}

TEST(TemplatePlan, ConversationsThatHuggingFaceRefusesAreNotCountedAsDifferent) {
  const TemplatePlan plan =
      plan_of("{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" +
              std::string(kSimple));
  EXPECT_TRUE(has(plan.refused, "system"));
  EXPECT_FALSE(has(plan.refused, "user"));
  EXPECT_FALSE(has(plan.differing, "system"));
  EXPECT_FALSE(plan.plain_differs);
}

TEST(TemplatePlan, WhatTheEvaluatorLacksIsNotSaidToBeRefused) {
  const TemplatePlan all = plan_of("{{ messages[0].content|striptags }}");
  EXPECT_EQ(all.differing, (std::vector<std::string>{"all (not proved: the chat template uses the filter "
                                                     "striptags, which is not supported)"}));
  EXPECT_TRUE(all.refused.empty());
  EXPECT_TRUE(all.plain_differs);

  const TemplatePlan some =
      plan_of("{% if enable_thinking is defined %}{{ 'x'|striptags }}{% endif %}" + std::string(kSimple));
  EXPECT_TRUE(has(some.differing,
                  "thinking on (not proved: the chat template uses the filter striptags, "
                  "which is not supported)"));
  EXPECT_FALSE(some.plain_differs);
  EXPECT_FALSE(has(some.refused, "thinking on"));
}

TEST(TemplatePlan, WhatDoesNotParseIsKeptAndSaidToBeUnproved) {
  const TemplatePlan plan = plan_of("{% if %}");
  EXPECT_EQ(plan.text, "{% if %}");
  ASSERT_EQ(plan.differing.size(), 1u);
  EXPECT_NE(plan.differing[0].find("not proved"), std::string::npos);
  EXPECT_TRUE(plan.plain_differs);
  EXPECT_TRUE(plan.suggestion.empty());
}

TEST(TemplatePlan, AFamilyTemplateIsSuggestedWhereItGivesThePlainPrompts) {
  // Content that is no text has a form that the runtime has nothing for.
  const TemplatePlan plan = plan_of(
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + "
      "(m['content'] if m['content'] is string else '%r'|format(m['content'])) + "
      "'<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
      "{% endif %}");
  EXPECT_TRUE(has(plan.differing, "content parts"));
  EXPECT_EQ(plan.suggestion, "chatml");
}

TEST(TemplatePlan, NoFamilyTemplateIsSuggestedForAFormOfItsOwn) {
  const TemplatePlan plan = plan_of("{{ '%r'|format(messages) }}");
  EXPECT_TRUE(plan.plain_differs);
  EXPECT_TRUE(plan.suggestion.empty());
}

}  // namespace
}  // namespace llm2mnn::jinja
