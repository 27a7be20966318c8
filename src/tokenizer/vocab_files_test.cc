#include "tokenizer/vocab_files.h"

#include "tokenizer/test_folder.h"

namespace llm2mnn {
namespace {

using Strings = std::vector<std::string>;

class VocabFiles : public SourceFolder {
 protected:
  /// A class's name and more members of tokenizer_config.json.
  void configure(std::string_view name, std::string_view more = "") const {
    write("tokenizer_config.json",
          std::string(R"({"tokenizer_class":")").append(name).append("\"").append(more) + "}");
  }
  void write_bpe() const {
    write("vocab.json", R"({"a":0,"b":1,"c":2,"ab":3,"abc":4})");
    write("merges.txt", "#version: 0.2\na b\nab c\n");
  }
};

TEST_F(VocabFiles, GiveGpt2sPipeline) {
  write_bpe();
  configure("GPT2Tokenizer");
  const TokenizerSource source = load();
  EXPECT_EQ(source.file, "vocab.json and merges.txt");
  EXPECT_EQ(merge_texts(source.model), (Strings{"a+b", "ab+c"}));
  ASSERT_EQ(source.model.pre_tokenizers.size(), 1u);
  EXPECT_TRUE(source.model.pre_tokenizers[0].use_regex);
  EXPECT_FALSE(source.model.pre_tokenizers[0].add_prefix_space);
  EXPECT_TRUE(source.model.normalizers.empty());
  EXPECT_TRUE(source.model.prefix_ids.empty());
  // The class's own token follows the vocabulary.
  ASSERT_NE(source.model.find_added("<|endoftext|>"), nullptr);
  EXPECT_EQ(source.model.find_added("<|endoftext|>")->id, 5u);
  EXPECT_EQ(source.config.eos_token, "<|endoftext|>");
}

TEST_F(VocabFiles, AFastClassIsTheSameClass) {
  write_bpe();
  configure("GPT2TokenizerFast", R"(,"add_bos_token":true,"add_prefix_space":true)");
  const TokenizerSource source = load();
  EXPECT_EQ(source.model.prefix_ids, std::vector<std::uint32_t>{5});
  EXPECT_TRUE(source.model.pre_tokenizers[0].add_prefix_space);
}

TEST_F(VocabFiles, Qwen2HasNfcAndItsOwnPattern) {
  write_bpe();
  configure("Qwen2Tokenizer", R"(,"eos_token":"<e>")");
  const TokenizerSource source = load();
  ASSERT_EQ(source.model.normalizers.size(), 1u);
  EXPECT_EQ(source.model.normalizers[0].kind, NormalizerStep::Kind::kNfc);
  ASSERT_EQ(source.model.pre_tokenizers.size(), 2u);
  EXPECT_EQ(source.model.pre_tokenizers[0].pattern.text.substr(0, 9), "(?i:'s|'t");
  EXPECT_FALSE(source.model.pre_tokenizers[1].use_regex);
  EXPECT_EQ(source.model.find_added("<e>")->id, 5u);
  EXPECT_EQ(source.model.find_added("<|endoftext|>")->id, 6u);
  EXPECT_EQ(source.config.bos_token, "");
}

TEST_F(VocabFiles, RobertaWrapsATextInTwoTokens) {
  write("vocab.json", R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6,"<mask>":7})");
  write("merges.txt", "#version: 0.2\na b\n");
  configure("RobertaTokenizer");
  const TokenizerSource source = load();
  EXPECT_EQ(source.model.prefix_ids, std::vector<std::uint32_t>{0});
  EXPECT_EQ(source.model.suffix_ids, std::vector<std::uint32_t>{2});
  EXPECT_TRUE(source.model.find_added("<mask>")->lstrip);
  EXPECT_FALSE(source.model.find_added("<mask>")->normalized);
}

TEST_F(VocabFiles, MostClassesDropTheFirstLineAndAnUnfinishedLastOne) {
  write("vocab.json", R"({"a":0,"b":1,"c":2,"ab":3,"abc":4})");
  write("merges.txt", "b c\r\na b\r\nab c");
  configure("GPT2Tokenizer");
  EXPECT_EQ(merge_texts(load().model), Strings{"a+b"});
}

TEST_F(VocabFiles, Qwen2DropsAVersionAndEmptyLinesOnly) {
  write("vocab.json", R"({"a":0,"b":1,"c":2,"ab":3,"abc":4})");
  write("merges.txt", "a b\n\n  ab c");
  configure("Qwen2Tokenizer");
  EXPECT_EQ(merge_texts(load().model), (Strings{"a+b", "ab+c"}));
}

TEST_F(VocabFiles, AMergeThatComesAgainHasNoEffect) {
  write_bpe();
  write("merges.txt", "#version: 0.2\na b\nab c\na b\n");
  configure("GPT2Tokenizer");
  EXPECT_EQ(merge_texts(load().model).size(), 2u);
}

TEST_F(VocabFiles, AddedTokensKeepTheirIds) {
  write_bpe();
  write("added_tokens.json", R"({"<x>":5,"ab":3})");
  configure("Qwen2Tokenizer");
  const TokenizerModel model = load().model;
  EXPECT_EQ(model.find_added("<x>")->id, 5u);
  EXPECT_TRUE(model.find_added("<x>")->normalized);
  EXPECT_EQ(model.find_added("ab")->id, 3u);
}

TEST_F(VocabFiles, AnIdThatTransformersWouldNotGiveIsRefused) {
  write_bpe();
  configure("Qwen2Tokenizer", R"(,"added_tokens_decoder":{"9":{"content":"<x>"}})");
  EXPECT_NE(refusal().find("added token '<x>': the configuration says id 9"), std::string::npos) << refusal();
}

TEST_F(VocabFiles, UnknownClassesAreRefusedWithTheList) {
  write_bpe();
  configure("WhisperTokenizer");
  const std::string message = refusal(ErrorKind::kUnsupported);
  EXPECT_NE(message.find("tokenizer_class 'WhisperTokenizer'"), std::string::npos);
  EXPECT_NE(message.find("expected one of GPT2Tokenizer, "), std::string::npos);
  write("tokenizer_config.json", "{}");
  EXPECT_NE(refusal(ErrorKind::kUnsupported).find("no tokenizer_class"), std::string::npos);
}

TEST_F(VocabFiles, BrokenFilesNameTheirFault) {
  const auto vocab = [&](std::string_view text, std::string_view part) {
    write_bpe();
    write("vocab.json", text);
    configure("GPT2Tokenizer");
    EXPECT_NE(refusal().find(part), std::string::npos) << text << "\n" << refusal();
  };
  vocab("[1]", "'vocab.json': expected an object of pieces and ids");
  vocab("{}", "'vocab.json': no pieces");
  vocab(R"({"a":"b"})", "'a': expected an id");
  vocab(R"({"a":-1})", "'a': expected an id");
  vocab(R"({"a":1.5})", "'a': expected an id");
  vocab(R"({"a":99999999999})", "'a': expected an id");
  vocab(R"({"a":0,"a":1})", "piece 'a' appears twice");
  vocab(R"({"a":0,"b":0})", "id 0 appears twice");
  vocab(R"({"a":0,"b":{"c":1}})", "'b': expected an id");
  vocab(R"({"a":2147483646})", "id 2147483646 is too large");
  const auto merges = [&](std::string_view text, std::string_view part) {
    write_bpe();
    write("merges.txt", text);
    configure("GPT2Tokenizer");
    EXPECT_NE(refusal().find(part), std::string::npos) << text << "\n" << refusal();
  };
  merges("#\na b\nabc\n", "'merges.txt' line 3: expected two pieces");
  merges("#\na b c\n", "line 2: expected two pieces");
  merges("#\n\na b\n", "line 2: expected two pieces");
  merges("#\na z\n", "line 2: 'z' is not in vocab.json");
  merges("#\nb a\n", "line 2: 'ba' is not in vocab.json");
  merges("#\n\xFF b\n", "'merges.txt': not valid UTF-8");
}

class WordPieceFile : public VocabFiles {};

TEST_F(WordPieceFile, GivesBertsPipeline) {
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n");
  configure("BertTokenizer", R"(,"do_lower_case":false,"strip_accents":true,"tokenize_chinese_chars":false)");
  const TokenizerSource source = load();
  EXPECT_EQ(source.file, "vocab.txt");
  EXPECT_EQ(kind_name(source.model), "WordPiece");
  ASSERT_EQ(source.model.normalizers.size(), 1u);
  EXPECT_FALSE(source.model.normalizers[0].lowercase);
  EXPECT_EQ(source.model.normalizers[0].strip_accents, true);
  EXPECT_FALSE(source.model.normalizers[0].handle_chinese_chars);
  EXPECT_EQ(source.model.pieces.find_id("##b"), 6u);
  EXPECT_EQ(source.model.prefix_ids, std::vector<std::uint32_t>{2});
  EXPECT_EQ(source.model.suffix_ids, std::vector<std::uint32_t>{3});
  EXPECT_EQ(source.model.added.size(), 5u);
}

TEST_F(WordPieceFile, CountsEmptyLinesAndOtherLineEnds) {
  write("vocab.txt", "[CLS]\r\n\r\n[SEP]\r\n[UNK]\n[PAD]");
  configure("BertTokenizer");
  const TokenizerModel model = load().model;
  EXPECT_EQ(model.pieces.find_id("[PAD]"), 4u);
  EXPECT_EQ(model.find_added("[MASK]")->id, 5u);
}

TEST_F(WordPieceFile, RefusesWhatIsBroken) {
  configure("BertTokenizer");
  write("vocab.txt", "");
  EXPECT_NE(refusal().find("'vocab.txt': no pieces"), std::string::npos);
  write("vocab.txt", "a\na\n");
  EXPECT_NE(refusal().find("'vocab.txt' line 2: piece 'a' appears twice"), std::string::npos);
  write("vocab.txt", "a\xC0\n");
  EXPECT_NE(refusal().find("not valid UTF-8"), std::string::npos);
  write("vocab.txt", "a\n");
  configure("BertTokenizer", R"(,"do_lower_case":"yes")");
  EXPECT_NE(refusal().find("do_lower_case: expected true or false"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
