#include "tokenizer/source.h"

#include "tokenizer/encoder.h"
#include "tokenizer/test_folder.h"

namespace llm2mnn {
namespace {

using Source = SourceFolder;

TEST_F(Source, FilesAreTakenInTransformersOrder) {
  // Each one is broken in its own way; the message tells which was taken.
  EXPECT_NE(refusal(ErrorKind::kIo).find("'tokenizer.json': not found"), std::string::npos);
  write("tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer"})");
  write("vocab.txt", "");
  EXPECT_NE(refusal().find("'vocab.txt': no pieces"), std::string::npos);
  write("tekken.json", "[]");
  EXPECT_NE(refusal().find("'tekken.json'"), std::string::npos);
  write("hy.tiktoken", "");
  EXPECT_NE(refusal(ErrorKind::kUnsupported).find("with a tiktoken file"), std::string::npos);
  write("tokenizer.model", "\n");
  EXPECT_NE(refusal().find("'tokenizer.model'"), std::string::npos);
  write("vocab.json", "{}");
  EXPECT_NE(refusal().find("'tokenizer.model'"), std::string::npos);  // vocab.json alone is nothing
  write("merges.txt", "");
  EXPECT_NE(refusal(ErrorKind::kUnsupported).find("with vocab.json and merges.txt"), std::string::npos);
  write("tokenizer.json", "");
  EXPECT_NE(refusal().find("'tokenizer.json'"), std::string::npos);
}

// As `tokenizers` does: an unknown character vanishes only where no unknown token is stated.
TEST_F(Source, AnUnknownTokenOfABpeThatIsNoPieceMakesUnknownCharactersErrors) {
  const auto write_model = [&](const char* unk_token) {
    write("tokenizer.json", std::string(R"({"model":{"type":"BPE","unk_token":)") + unk_token +
                                R"(,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}})");
  };
  for (const char* unk_token : {R"("<unk>")", R"("")"}) {
    write_model(unk_token);
    const Encoder encoder(load().model);
    EXPECT_EQ(encoder.encode("ab", false), std::vector<std::uint32_t>{2});
    EXPECT_THROW(encoder.encode("abx", false), Error) << unk_token;
  }
  write_model("null");
  EXPECT_EQ(Encoder(load().model).encode("abx", false), std::vector<std::uint32_t>{2});
  write_model(R"("a")");
  EXPECT_EQ(Encoder(load().model).encode("abx", false), (std::vector<std::uint32_t>{2, 0}));
}

TEST_F(Source, ADanglingLinkIsNotPassedOver) {
  std::filesystem::create_symlink("nowhere", dir_ / "tekken.json");
  write("vocab.txt", "a\n");
  EXPECT_NE(refusal(ErrorKind::kIo).find("tekken.json"), std::string::npos);
}

TEST_F(Source, TemplatesSeeTheNamedTokensOfTheClass) {
  write("vocab.txt", "[CLS]\n[SEP]\n[UNK]\n");
  write("tokenizer_config.json",
        R"({"tokenizer_class":"BertTokenizer","pad_token":"<p>","mask_token":null})");
  const TokenizerConfig config = load().config;
  EXPECT_EQ(
      config.named_tokens,
      (std::vector<std::pair<std::string, std::string>>{
          {"unk_token", "[UNK]"}, {"sep_token", "[SEP]"}, {"pad_token", "<p>"}, {"cls_token", "[CLS]"}}));
}

TEST_F(Source, BrokenSmallFilesNameThemselves) {
  write("vocab.txt", "[CLS]\n[SEP]\n[UNK]\n");
  write("tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer"})");
  EXPECT_EQ(refusal(), "");
  write("added_tokens.json", R"({"<x>":"5"})");
  EXPECT_NE(refusal().find("'added_tokens.json': '<x>': expected an id"), std::string::npos);
  write("added_tokens.json", R"({"<x>":-1})");
  EXPECT_NE(refusal().find("expected an id"), std::string::npos);
  write("added_tokens.json", "[]");
  EXPECT_NE(refusal().find("'added_tokens.json': expected an object"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
