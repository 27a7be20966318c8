// The changes that tokenizer classes make; the expectations are what transformers 4.57.6 does.

#include "tokenizer/class_rules.h"

#include <gtest/gtest.h>

#include "tokenizer/encoder.h"
#include "tokenizer/test_folder.h"

namespace llm2mnn {
namespace {

constexpr const char* kByteLevelWithSpace = R"({"type":"ByteLevel","add_prefix_space":true})";
constexpr const char* kByteLevel = R"({"type":"ByteLevel","add_prefix_space":false})";
constexpr const char* kInSequence =
    R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":true}]})";

class ClassRules : public SourceFolder {
 protected:
  void write_document(const std::string& pre_tokenizer, const std::string& normalizer = "null") const {
    write("tokenizer.json",
          R"({"added_tokens":[{"id":6,"content":"<e>","special":true}],"normalizer":)" + normalizer +
              R"(,"pre_tokenizer":)" + pre_tokenizer +
              R"(,"decoder":{"type":"ByteLevel"},"model":{"type":"BPE",)"
              R"("vocab":{"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5},"merges":["a b","ab c"]}})");
  }
  std::vector<std::uint32_t> ids(const std::string& config) const {
    write("tokenizer_config.json", config);
    return Encoder(load().model).encode("abc", true);
  }
};

using Ids = std::vector<std::uint32_t>;

TEST_F(ClassRules, AByteLevelOfItsOwnTakesThePrefixSpaceOfTheConfig) {
  write_document(kByteLevelWithSpace);
  EXPECT_EQ(ids(R"({"tokenizer_class":"PreTrainedTokenizerFast"})"), (Ids{5}));
  EXPECT_EQ(ids(R"({"tokenizer_class":"PreTrainedTokenizerFast","add_prefix_space":true})"), (Ids{3, 5}));
  write_document(kByteLevel);
  EXPECT_EQ(ids(R"({"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true})"), (Ids{3, 5}));
  EXPECT_EQ(ids(R"({"tokenizer_class":"BlenderbotTokenizer"})"), (Ids{5}));
}

TEST_F(ClassRules, AByteLevelInASequenceKeepsItsPrefixSpace) {
  write_document(kInSequence);
  EXPECT_EQ(ids(R"({"tokenizer_class":"PreTrainedTokenizerFast"})"), (Ids{3, 5}));
  EXPECT_EQ(ids(R"({"tokenizer_class":"BloomTokenizerFast"})"), (Ids{3, 5}));
}

TEST_F(ClassRules, ClassesThatRebuildThePostProcessorHaveTheirOwnDefault) {
  write_document(kByteLevel);
  EXPECT_EQ(ids(R"({"tokenizer_class":"GemmaTokenizerFast","bos_token":"<e>"})"), (Ids{6, 5}));
  EXPECT_EQ(ids(R"({"tokenizer_class":"GPTNeoXTokenizer","bos_token":"<e>","eos_token":"<e>"})"), (Ids{5}));
  EXPECT_EQ(ids(R"({"tokenizer_class":"GPTNeoXTokenizerFast","bos_token":"<e>","eos_token":"<e>",)"
                R"("add_bos_token":true,"add_eos_token":true})"),
            (Ids{6, 5, 6}));
}

TEST_F(ClassRules, TheLlamaClassKeepsThePrefixSpaceOfTheDocument) {
  write_document(kByteLevelWithSpace);
  EXPECT_EQ(ids(R"({"tokenizer_class":"LlamaTokenizer","bos_token":"<e>"})"), (Ids{6, 3, 5}));
}

TEST_F(ClassRules, ABertNormalizerFollowsTheConfig) {
  write_document("null", R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":false,)"
                         R"("strip_accents":true,"lowercase":true})");
  write("tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer","do_lower_case":false})");
  const NormalizerStep step = load().model.normalizers.at(0);
  EXPECT_FALSE(step.lowercase);
  EXPECT_FALSE(step.strip_accents.has_value());
  EXPECT_TRUE(step.handle_chinese_chars);
  write("tokenizer_config.json", R"({"tokenizer_class":"PreTrainedTokenizerFast","do_lower_case":false})");
  EXPECT_TRUE(load().model.normalizers.at(0).lowercase);
}

TEST_F(ClassRules, AClassNamesItsTokensUnlessTheConfigDoes) {
  write_document(kByteLevel);
  write("tokenizer_config.json", R"({"tokenizer_class":"GPT2Tokenizer","bos_token":null})");
  const TokenizerConfig config = load().config;
  EXPECT_EQ(config.bos_token, "");
  EXPECT_EQ(config.eos_token, "<|endoftext|>");
}

TEST_F(ClassRules, AddedTokensOfTheConfigGiveTheirFlags) {
  write_document(kByteLevel);
  write(
      "tokenizer_config.json",
      R"({"added_tokens_decoder":{"6":{"content":"<e>","rstrip":true,"special":false}},"eos_token":"<e>"})");
  const TokenizerModel model = load().model;
  ASSERT_EQ(model.added.size(), 1u);
  EXPECT_TRUE(model.added[0].rstrip);
  EXPECT_TRUE(model.added[0].special);
}

}  // namespace
}  // namespace llm2mnn
