// docs/adding-a-family.md says what the code does: its tables and its example.

#include <gtest/gtest.h>
#include <set>

#include "arch/arch_test_util.h"
#include "base/file.h"

namespace llm2mnn {
namespace {

std::string guide() {
  return read_text_file(std::string(LLM2MNN_SOURCE_DIR) + "/docs/adding-a-family.md", 1u << 20);
}

std::string listed(std::string_view words) { return fmt::format("{}", fmt::join(split_words(words), ", ")); }

std::string value_text(const VocabularyKey& key) {
  switch (key.kind) {
    case KeyKind::kExpression:
      return "expression";
    case KeyKind::kLayerExpression:
      return "key, or expression of i";
    case KeyKind::kMenu:
      return listed(key.words);
    case KeyKind::kActivation:
      return "key, or " + listed(key.words);
    case KeyKind::kLayerList:
      return "key";
    case KeyKind::kLayerTypes:
      return "key, or an expression of i";
  }
  return {};
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST(FamilyGuide, TablesAreThoseOfTheVocabulary) {
  const std::string text = guide();
  std::size_t dotted_rows = 0;
  for (const VocabularyKey& key : vocabulary()) {
    const std::string row =
        fmt::format("| `{}` | {} | `{}` | {} |\n", key.path, value_text(key), key.fallback, key.meaning);
    EXPECT_EQ(count_of(text, row), 1u) << row;
    ++dotted_rows;
  }
  for (const Shorthand& one : shorthands()) {
    const std::string row = fmt::format("| `{}` | expression | | {} |\n", one.path, one.meaning);
    EXPECT_EQ(count_of(text, row), 1u) << row;
    ++dotted_rows;
  }
  for (const char* section :
       {"model", "norm", "block", "altup", "per_layer_embedding", "attention", "mixer", "mlp", "moe", "rope"})
    dotted_rows -= count_of(text, fmt::format("\n| `{}.", section));
  EXPECT_EQ(dotted_rows, 0u) << "the guide has rows for keys that the vocabulary lacks";
  for (const RoleInfo& role : roles()) {
    const std::string row = fmt::format("| `{}` | `[{}]` |\n", role.name, role.shape);
    EXPECT_EQ(count_of(text, row), 1u) << row;
  }
}

// The words in backticks of the first cells of the tables between two headings.
std::set<std::string> first_cells(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t begin = text.find("\n" + from), end = text.find("\n" + to, begin);
  EXPECT_LT(begin, end) << from;
  std::set<std::string> names;
  std::size_t at = begin;
  while ((at = text.find("\n| `", at)) < end) {
    const std::size_t stop = text.find(" |", at + 3);
    for (std::size_t tick = text.find('`', at); tick < stop; tick = text.find('`', tick)) {
      const std::size_t close = text.find('`', tick + 1);
      names.insert(text.substr(tick + 1, close - tick - 1));
      tick = close + 1;
    }
    at = stop;
  }
  return names;
}

std::set<std::string> names_of(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

TEST(FamilyGuide, TablesOfFieldsAreThoseOfTheReader) {
  const std::string text = guide();
  EXPECT_EQ(first_cells(text, "### Which checkpoints", "### Inheritance"), names_of(file_keys()));
  EXPECT_EQ(first_cells(text, "### `[config]`", "### Choices"), names_of(config_fields()));
  EXPECT_EQ(first_cells(text, "### `[tensors]`", "Blocks cover"), names_of(tensor_fields()));
  const std::size_t rows = text.find("\n| `rows` |");
  const std::string row = text.substr(rows, text.find('\n', rows + 1) - rows);
  for (const std::string_view field : row_fields())
    EXPECT_NE(row.find(fmt::format("`{}`", field)), std::string::npos) << field;
  for (const std::string_view section : named_sections())
    EXPECT_NE(text.find(fmt::format("`[{}]`", section)), std::string::npos) << section;
}

TEST(FamilyGuide, ListsTheFunctionsOfExpressions) {
  std::vector<std::string> functions = Expression::functions();
  const std::string text = guide();
  const std::size_t begin = text.find("### Expressions"), end = text.find("###", begin + 3);
  const std::string part = text.substr(begin, end - begin);
  const std::string mark = "functions `";
  const std::size_t at = part.find(mark);
  ASSERT_NE(at, std::string::npos);
  std::vector<std::string> listed =
      split_words(part.substr(at + mark.size(), part.find('`', at + mark.size()) - at - mark.size()));
  std::sort(functions.begin(), functions.end());
  std::sort(listed.begin(), listed.end());
  EXPECT_EQ(listed, functions);
}

TEST(FamilyGuide, NamesEveryRequiredConfigName) {
  for (const CanonicalName& name : canonical_names()) {
    if (!name.required) continue;
    EXPECT_NE(guide().find(fmt::format("`{}`", name.name)), std::string::npos) << name.name;
  }
}

TEST(FamilyGuide, ExampleDescribesACheckpoint) {
  const std::string text = guide();
  const std::string mark = "```toml\n";
  const std::size_t begin = text.find(mark) + mark.size();
  const Family family = testing::family_from_text(text.substr(begin, text.find("```", begin) - begin));
  JsonValue config = parse_json(testing::kSmallLlama);
  config = testing::with_key(config, "architectures", R"(["GraniteForCausalLM"])");
  config = testing::with_key(config, "embedding_multiplier", "12.0");
  config = testing::with_key(config, "attention_multiplier", "0.125");
  config = testing::with_key(config, "residual_multiplier", "0.25");
  config = testing::with_key(config, "logits_scaling", "8.0");
  const DecoderSpec spec = testing::describe(family, config, testing::llama_like_tensors(config));
  EXPECT_DOUBLE_EQ(spec.embed_scale, 12);
  EXPECT_DOUBLE_EQ(spec.logit_scale, 0.125);
  EXPECT_FALSE(spec.layers.at(0).attention.o_proj.weight.plain_source().has_value());
  EXPECT_FALSE(spec.layers.at(0).attention.q_proj.weight.plain_source().has_value());
  EXPECT_TRUE(spec.layers.at(0).attention.k_proj.weight.plain_source().has_value());
}

}  // namespace
}  // namespace llm2mnn
