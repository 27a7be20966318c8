#include "tokenizer/tekken.h"

#include "tokenizer/test_folder.h"

namespace llm2mnn {
namespace {

using Strings = std::vector<std::string>;

constexpr const char* kConfig =
    R"("config":{"pattern":"\\p{L}+|.","num_vocab_tokens":4,"default_vocab_size":27,"default_num_special_tokens":24})";
constexpr const char* kVocab =
    R"("vocab":[{"rank":0,"token_bytes":"YQ==","token_str":"a"},{"rank":1,"token_bytes":"Yg==","token_str":null},)"
    R"({"rank":2,"token_bytes":"YWI=","token_str":"ab"},{"rank":3,"token_bytes":"YWE=","token_str":"aa"}])";

class Tekken : public SourceFolder {
 protected:
  void write_file(const std::string& members) const { write("tekken.json", "{" + members + "}"); }
};

TEST_F(Tekken, RanksFollowTheSpecialTokens) {
  write_file(std::string(kConfig) + "," + kVocab + R"(,"image":{"sizes":[1,{"a":2}]})");
  const TokenizerSource source = load();
  EXPECT_EQ(source.file, "tekken.json");
  EXPECT_EQ(source.model.pieces.find_id("ab"), 26u);
  EXPECT_FALSE(source.model.pieces.find("aa"));  // beyond default_vocab_size
  EXPECT_EQ(merge_texts(source.model), Strings{"a+b"});
  EXPECT_EQ(source.model.pre_tokenizers[0].pattern.text, "\\p{L}+|.");
  EXPECT_EQ(source.model.added.size(), 24u);
  EXPECT_EQ(source.model.find_added("[TOOL_CONTENT]")->id, 19u);
  EXPECT_EQ(source.model.find_added("<SPECIAL_23>")->id, 23u);
  EXPECT_EQ(source.model.prefix_ids, std::vector<std::uint32_t>{1});
  EXPECT_EQ(source.config.eos_token, "</s>");
}

TEST_F(Tekken, TheFilesOwnSpecialTokensCount) {
  // Members may stand in any order.
  write_file(std::string(R"("special_tokens":[{"rank":0,"token_str":"<unk>","is_control":true},)"
                         R"({"rank":1,"token_str":"<s>","is_control":true},{"rank":2,"token_str":"</s>"},)"
                         R"({"rank":5,"token_str":"[THINK]","is_control":false}],)") +
             kVocab + "," + kConfig);
  const TokenizerModel model = load().model;
  EXPECT_FALSE(model.find_added("[THINK]")->special);
  EXPECT_EQ(model.find_added("[THINK]")->id, 5u);
  EXPECT_EQ(model.find_added("<SPECIAL_4>")->id, 4u);
  EXPECT_EQ(model.find_added("[INST]"), nullptr);
}

TEST_F(Tekken, BrokenFilesNameTheirFault) {
  const auto expect = [&](const std::string& members, std::string_view part) {
    write_file(members);
    const std::string message = refusal();
    EXPECT_NE(message.find(part), std::string::npos) << members << "\n" << message;
    EXPECT_EQ(message.find("'tekken.json'"), 0u) << message;
  };
  const std::string config = kConfig, vocab = kVocab;
  expect(config, "needs 3 pieces, found 0");
  expect(vocab, "config.pattern: expected a string");
  expect(vocab + R"(,"config":{"pattern":""})", "config.default_num_special_tokens: expected a count");
  expect(vocab + R"(,"config":7)", "config.pattern");
  expect(config + R"(,"vocab":7)", "vocab: expected a list of objects");
  expect(config + R"(,"vocab":{"rank":0})", "vocab: expected a list of objects");
  expect(config + R"(,"vocab":[7])", "vocab: expected a list of objects");
  expect(config + R"(,"vocab":[[7]])", "vocab: expected a list of objects");
  expect(config + R"(,"vocab":[{"rank":1,"token_bytes":"YQ=="}])", "vocab[0]: expected rank 0, found '1'");
  expect(config + R"(,"vocab":[{"rank":0,"token_bytes":"YQ"}])", "vocab[0]: expected base64 token_bytes");
  expect(config + R"(,"vocab":[{"rank":0}])", "vocab[0]: expected base64 token_bytes");
  expect(config + R"(,"vocab":[{"rank":0,"token_bytes":"YQ=="},{"rank":1,"token_bytes":"YQ=="}])",
         "vocab[1]: 'a' appears twice");
  expect(config + "," + vocab + R"(,"special_tokens":[{"rank":24,"token_str":"x"}])", "a rank below 24");
  expect(
      config + "," + vocab + R"(,"special_tokens":[{"rank":0,"token_str":"x"},{"rank":0,"token_str":"y"}])",
      "rank 0 is taken");
  expect(config + "," + vocab + R"(,"special_tokens":[{"rank":0,"token_str":"ab"}])",
         "the text appears twice");
  write("tekken.json", "[]");
  EXPECT_NE(refusal().find("expected an object"), std::string::npos);
}

TEST_F(Tekken, CountsThatPromiseTooMuchAreRefused) {
  write_file(
      std::string(kVocab) +
      R"(,"config":{"pattern":"a","default_vocab_size":9000000,"default_num_special_tokens":8999999})");
  EXPECT_NE(refusal().find("default_vocab_size 9000000"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
