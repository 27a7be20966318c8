#include "tokenizer/tiktoken.h"

#include "tokenizer/base64.h"
#include "tokenizer/merge_search.h"
#include "tokenizer/test_folder.h"

namespace llm2mnn {
namespace {

using Strings = std::vector<std::string>;
using Ids = std::vector<std::uint32_t>;

TEST(Base64, GoesThereAndBack) {
  std::string bytes, text, back;
  for (int i = 0; i < 7; ++i) {
    text.clear();
    append_base64(bytes, text);
    EXPECT_TRUE(decode_base64(text, back)) << text;
    EXPECT_EQ(back, bytes);
    bytes += static_cast<char>(250 + i);
  }
}

TEST(Base64, IsStrict) {
  std::string out;
  EXPECT_TRUE(decode_base64("IQ==", out));
  EXPECT_EQ(out, "!");
  EXPECT_TRUE(decode_base64("IUE=", out));
  EXPECT_EQ(out, "!A");
  EXPECT_TRUE(decode_base64("/+8A", out));
  EXPECT_EQ(out, std::string("\xFF\xEF\0", 3));
  EXPECT_TRUE(decode_base64("", out));
  for (const char* text : {"IQ", "IQ=", "I===", "IR==", "IUF=", "I!==", "=Q==", "IQ== "})
    EXPECT_FALSE(decode_base64(text, out)) << text;
}

TEST(MergesByRank, AreEveryCutInRankOrder) {
  PieceTable ranked;
  for (const char* text : {"a", "b", "c", "bc", "ab", "abc"})
    ranked.insert(text, static_cast<std::uint32_t>(10 + ranked.size()));
  std::string seen;
  for (const BpeMerge& merge : merges_by_rank(ranked))
    seen += fmt::format("{}+{}={} ", merge.left, merge.right, merge.merged);
  EXPECT_EQ(seen, "11+12=13 10+11=14 10+13=15 14+12=15 ");
}

// a b ab and the two bytes of e acute
constexpr const char* kFile = "YQ== 0\nYg== 1\nYWI= 2\nww== 3\nqQ== 4\n";

class Tiktoken : public SourceFolder {
 protected:
  void configure(std::string_view name, std::string_view more = "") const {
    write("tokenizer_config.json",
          std::string(R"({"tokenizer_class":")").append(name).append("\"").append(more) + "}");
  }
};

TEST_F(Tiktoken, TheFirstQwensTokensFollowTheRanks) {
  write("qwen.tiktoken", kFile);
  configure("QWenTokenizer");
  const TokenizerSource source = load();
  EXPECT_EQ(source.file, "qwen.tiktoken");
  EXPECT_EQ(kind_name(source.model), "byte-level BPE");
  EXPECT_TRUE(source.model.bpe()->ignore_merges);
  EXPECT_EQ(merge_texts(source.model), Strings{"a+b"});
  EXPECT_EQ(source.model.pieces.find_id("\xC3\x83"), 3u);  // byte C3 in the byte alphabet
  EXPECT_EQ(source.model.find_added("<|endoftext|>")->id, 5u);
  EXPECT_EQ(source.model.find_added("<|extra_204|>")->id, 212u);
  EXPECT_EQ(source.model.num_ids(), 213u);
  ASSERT_EQ(source.model.normalizers.size(), 1u);
  EXPECT_NE(source.model.pre_tokenizers[0].pattern.text.find("|\\p{N}|"), std::string::npos);
}

TEST_F(Tiktoken, RanksMayStandInAnyOrder) {
  write("qwen.tiktoken", "YWI= 2\r\n\r\nYg== 1\r\nYQ==  0");
  configure("QWenTokenizer");
  const TokenizerModel model = load().model;
  EXPECT_EQ(model.pieces.find_id("ab"), 2u);
  EXPECT_EQ(merge_texts(model), Strings{"a+b"});
}

TEST_F(Tiktoken, HunyuanCountsLinesAndPassesOverTwins) {
  write("hy.tiktoken", "YQ== 7\nYg== 8\nYQ== 9\nYWI= 9\n");
  configure("HYTokenizer");
  const TokenizerModel model = load().model;
  EXPECT_EQ(model.pieces.find_id("ab"), 2u);
  EXPECT_EQ(model.find_added("<|bos|>")->id, 5u);
}

TEST_F(Tiktoken, Glm4HasAPrefixAndNoNormalizer) {
  write("tokenizer.model", kFile);
  configure("ChatGLM4Tokenizer");
  const TokenizerSource source = load();
  EXPECT_EQ(source.model.prefix_ids, (Ids{7, 9}));
  EXPECT_EQ(source.model.text_of(7), "[gMASK]");
  EXPECT_TRUE(source.model.normalizers.empty());
  EXPECT_NE(source.model.pre_tokenizers[0].pattern.text.find("\\p{N}{1,3}"), std::string::npos);
  EXPECT_EQ(source.config.eos_token, "<|endoftext|>");
}

TEST_F(Tiktoken, TheOriginalLlama3HasNoConfiguration) {
  write("tokenizer.model", kFile);
  const TokenizerSource source = load();
  EXPECT_EQ(source.model.added.size(), 256u);
  EXPECT_EQ(source.model.prefix_ids, Ids{5});
  EXPECT_EQ(source.model.find_added("<|eot_id|>")->id, 14u);
  EXPECT_EQ(source.model.added.back().content, "<|reserved_special_token_250|>");
  EXPECT_EQ(source.config.bos_token, "<|begin_of_text|>");
}

TEST_F(Tiktoken, TransformersOwnConversionTakesTheConfigurationsTokens) {
  write("tokenizer.model", kFile);
  configure("PreTrainedTokenizerFast", R"(,"eos_token":"<e>","additional_special_tokens":["<x>"])");
  const TokenizerModel model = load().model;
  EXPECT_EQ(model.find_added("<x>")->id, 5u);
  EXPECT_EQ(model.find_added("<e>")->id, 6u);
  EXPECT_TRUE(model.prefix_ids.empty());
}

TEST_F(Tiktoken, BrokenFilesNameTheirLine) {
  configure("QWenTokenizer");
  const auto expect = [&](std::string_view text, std::string_view part) {
    write("qwen.tiktoken", text);
    const std::string message = refusal();
    EXPECT_EQ(message.find("'qwen.tiktoken': "), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("", "no pieces");
  expect("YQ== 0\nYg==\n", "line 2: expected base64, a blank and a rank, found 'Yg=='");
  expect("YQ 0\n", "line 1: expected base64");
  expect("YQ== x\n", "line 1: expected base64");
  expect("YQ== -1\n", "line 1: expected base64");
  expect("YQ== 0 1\n", "line 1: expected base64");
  expect("YQ== 99999999999\n", "line 1: expected base64");
  expect("YQ== 0\nYQ== 1\n", "line 2: 'a' appears twice");
  expect("YQ== 0\nYg== 0\n", "rank 0 appears twice");
  expect("YQ== 0\nYg== 4000000000\n", "rank 4000000000 is too large");
  expect("\xFF", "not valid UTF-8");
}

TEST_F(Tiktoken, UnknownClassesAreRefusedByName) {
  write("qwen.tiktoken", kFile);
  configure("GPT2Tokenizer");
  EXPECT_NE(refusal(ErrorKind::kUnsupported).find("'GPT2Tokenizer' with a tiktoken file"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
