#include "convert/tokenizer_proof.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tokenizer/bpe.h"
#include "tokenizer/mtok.h"
#include "tokenizer/source.h"
#include "tokenizer/tokenizer_package.h"
#include "tokenizer/txt.h"

namespace llm2mnn {
namespace {

/// BPE over characters: pieces for printable ASCII and a few more, merges of letters; byte pieces for the
/// rest.
TokenizerModel small_model(bool other_order = false) {
  TokenizerModel model;
  std::vector<std::string> pieces;
  for (char c = ' '; c < 0x7F; ++c)
    pieces.emplace_back(1, c);
  for (int byte = 0; byte < 256; ++byte)
    pieces.push_back(fmt::format("<0x{:02X}>", byte));
  const auto letters = static_cast<std::uint32_t>(pieces.size());
  pieces.insert(pieces.end(), {"ab", "bc", "abc", "th"});
  for (std::uint32_t id = 0; id < pieces.size(); ++id)
    model.pieces.insert(pieces[id], id);
  BpeModel bpe;
  bpe.byte_fallback = true;
  const auto id_of = [](char c) { return static_cast<std::uint32_t>(c - ' '); };
  bpe.merges = {{id_of('a'), id_of('b'), letters},
                {id_of('b'), id_of('c'), letters + 1},
                {id_of('t'), id_of('h'), letters + 3}};
  if (other_order) std::swap(bpe.merges[0], bpe.merges[1]);
  model.model = bpe;
  model.set_added({{letters + 4, "<|eos|>", true}});
  return model;
}

struct Files {
  std::string mtok, txt;
};

Files written(const TokenizerModel& model) {
  const IdTable table(model);
  std::vector<std::string> notes;
  return {write_mtok(model, table, {}, notes), write_txt(model, table, {}).bytes};
}

TEST(TokenizerProof, FindsNoDifferenceInWhatTheWriterMade) {
  const Files files = written(small_model());
  const TokenizerProof result = prove_tokenizer(Encoder(small_model()), files.mtok, files.txt);
  EXPECT_GT(result.mtok.tested, 40U);
  EXPECT_TRUE(result.mtok.differences.empty()) << result.mtok.summary();
  EXPECT_EQ(result.txt.unexplained(), 0U);
  EXPECT_EQ(result.mtok.summary(),
            fmt::format("tokenizer.mtok: {0} of {0} texts as in the checkpoint", result.mtok.tested));
}

TEST(TokenizerProof, NamesATextThatAWrongFileGivesOtherIds) {
  const Files files = written(small_model(true));
  TokenizerModel model = small_model();
  const TokenizerProof result = prove_tokenizer(Encoder(model), files.mtok, files.txt);
  ASSERT_GT(result.mtok.unexplained(), 0U);
  EXPECT_NE(result.mtok.summary().find("without a known reason"), std::string::npos) << result.mtok.summary();
}

/// A limit that the model meets is no excuse for texts that it does not touch.
TEST(TokenizerProof, LimitsDoNotExplainAWrongFile) {
  for (const bool is_first : {false, true}) {
    const auto changed = [is_first](TokenizerModel model) {
      std::get<BpeModel>(model.model).ignore_merges = !is_first;
      PreTokenizerStep metaspace;
      metaspace.kind = PreTokenizerStep::Kind::kMetaspace;
      metaspace.content = "\xE2\x96\x81";
      metaspace.prepend_scheme = PrependScheme::kFirst;
      if (is_first) model.pre_tokenizers.push_back(metaspace);
      return model;
    };
    TokenizerModel wrong = changed(small_model());
    std::get<BpeModel>(wrong.model).merges.pop_back();
    const Files files = written(wrong);
    const TokenizerProof proof = prove_tokenizer(Encoder(changed(small_model())), files.mtok, files.txt);
    EXPECT_GT(proof.mtok.unexplained(), 0U) << is_first;
  }
}

TEST(TokenizerProof, LeavesOutTextsThatHuggingFaceRefuses) {
  TokenizerModel model;
  model.pieces.insert("<none>", 0);  // what the runtime takes for unknown characters
  UnigramModel unigram;
  unigram.scores = {-200};
  for (char c = ' '; c < 0x7F; ++c) {
    model.pieces.insert(std::string(1, c), static_cast<std::uint32_t>(c - ' ' + 1));
    unigram.scores.push_back(-c);
  }
  model.model = unigram;  // no unknown token
  const Files files = written(model);
  const TokenizerProof proof = prove_tokenizer(Encoder(model), files.mtok, files.txt);
  EXPECT_GT(proof.mtok.tested, 10U);
  EXPECT_EQ(proof.mtok.unexplained(), 0U) << proof.mtok.summary();
}

TEST(TokenizerProof, NamesTheFileThatIsCut) {
  Files files = written(small_model());
  files.mtok.pop_back();
  files.mtok.pop_back();
  files.mtok.pop_back();
  try {
    prove_tokenizer(Encoder(small_model()), files.mtok, files.txt);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_EQ(error.message().rfind("the tokenizer.mtok of this export", 0), 0U) << error.message();
  }
}

TEST(TokenizerProof, ReadsAnUnknownTokenWithTheNamesOfBytes) {
  TokenizerModel model;
  for (std::uint32_t i = 0; i < 0x7F - ' '; ++i)
    model.pieces.insert(std::string(1, static_cast<char>(' ' + i)), i);
  const auto unk = static_cast<std::uint32_t>(model.pieces.size());
  model.pieces.insert("<unk>", unk);
  BpeModel bpe;
  bpe.unk_token = "<unk>";
  model.model = bpe;
  model.set_added({{unk, "<unk>", true}});
  const Files files = written(model);
  const TokenizerProof result = prove_tokenizer(Encoder(model), files.mtok, files.txt);
  EXPECT_EQ(result.mtok.unexplained(), 0U) << result.mtok.summary();
}

/// Every model of tests/tokenizer/models can be exported.
TEST(TokenizerProof, ExplainsAllDifferencesOfTheTrainedModels) {
  const std::filesystem::path models =
      std::filesystem::path(LLM2MNN_SOURCE_DIR) / "tests" / "tokenizer" / "models";
  for (const auto& entry : std::filesystem::directory_iterator(models)) {
    TokenizerSource source = load_tokenizer_source(entry.path());
    const TokenizerPackage package = make_tokenizer_package(source, {});
    const Encoder encoder(std::move(source.model));
    const TokenizerProof result = prove_tokenizer(encoder, package.mtok, package.txt);
    EXPECT_EQ(result.mtok.unexplained(), 0U) << entry.path().filename() << ": " << result.mtok.summary();
  }
}

}  // namespace
}  // namespace llm2mnn
