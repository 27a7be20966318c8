#include "convert/tokenizer_proof.h"

#include <algorithm>
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

/// What the writers make of `model`.
TokenizerPackage written(const TokenizerModel& model) {
  const IdTable table(model);
  TokenizerPackage package;
  package.template_plan.text = "{{ x }}";
  package.bos_token = "<|eos|>";
  package.eos_token = "<|eos|>";
  package.stop_ids = {1, 2};
  package.prefix_ids.assign(model.prefix_ids.begin(), model.prefix_ids.end());
  RuntimeTexts texts;
  texts.chat_template = package.template_plan.text;
  texts.bos_token = package.bos_token;
  texts.eos_token = package.eos_token;
  texts.stop_ids = package.stop_ids;
  package.mtok = write_mtok(model, table, texts, package.notes);
  package.txt = write_txt(model, table, texts).bytes;
  return package;
}

TEST(TokenizerProof, FindsNoDifferenceInWhatTheWriterMade) {
  const TokenizerPackage files = written(small_model());
  const TokenizerProof result = prove_tokenizer(Encoder(small_model()), files);
  EXPECT_GT(result.mtok.tested, 40U);
  EXPECT_TRUE(result.mtok.differences.empty()) << result.mtok.summary();
  EXPECT_EQ(result.txt.unexplained(), 0U);
  EXPECT_EQ(result.mtok.summary(),
            fmt::format("tokenizer.mtok: {0} of {0} texts as in the checkpoint", result.mtok.tested));
}

TEST(TokenizerProof, NamesATextThatAWrongFileGivesOtherIds) {
  const TokenizerPackage files = written(small_model(true));
  TokenizerModel model = small_model();
  const TokenizerProof result = prove_tokenizer(Encoder(model), files);
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
    const TokenizerPackage files = written(wrong);
    const TokenizerProof proof = prove_tokenizer(Encoder(changed(small_model())), files);
    EXPECT_GT(proof.mtok.unexplained(), 0U) << is_first;
  }
}

/// The message of what is wrong with `package` as one of `model`.
std::string fault_of(const TokenizerModel& model, const TokenizerPackage& package) {
  try {
    prove_tokenizer(Encoder(model), package);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    return error.message();
  }
  return {};
}

TEST(TokenizerProof, ComparesWhatIsNotVocabulary) {
  TokenizerModel model = small_model();
  model.prefix_ids = {3, 4};
  const TokenizerPackage good = written(model);
  EXPECT_EQ(fault_of(model, good), "");
  const auto expect_fault = [&](const TokenizerPackage& package, std::string_view what) {
    const std::string message = fault_of(model, package);
    EXPECT_NE(message.find(what), std::string::npos) << what << ": " << message;
  };
  TokenizerModel other = model;
  other.prefix_ids = {3};
  expect_fault(written(other), "prefix");
  TokenizerPackage package = good;
  package.stop_ids.pop_back();
  expect_fault(package, "stop ids");
  package = good;
  package.template_plan.text += " ";
  expect_fault(package, "chat template");
  package = good;
  package.eos_token = "a";
  expect_fault(package, "EOS");
  package = good;
  package.bos_token = "";
  expect_fault(package, "BOS");
  package.hide_bos_in_template = true;  // a stand-in for the runtime's probe
  EXPECT_EQ(fault_of(model, package), "");
  package = good;
  package.txt.replace(package.txt.find(" 2 2\n"), 5, " 1 3\n");
  expect_fault(package, "tokenizer.txt");
}

TEST(TokenizerProof, PrintsAddedTokens) {
  TokenizerModel model = small_model();
  std::vector<AddedToken> added = model.added;
  added.push_back({added.back().id + 1, "<\xE2\x96\x81x>"});
  model.set_added(added);
  const TokenizerProof good = prove_tokenizer(Encoder(model), written(model));
  EXPECT_TRUE(good.mtok.misprinted.empty()) << good.mtok.summary();
  added.back().content = "<y>";
  TokenizerModel other = model;
  other.set_added(added);
  const TokenizerProof proof = prove_tokenizer(Encoder(model), written(other));
  ASSERT_EQ(proof.mtok.misprinted.size(), 1U);
  EXPECT_EQ(proof.mtok.misprinted.front().text, "<\xE2\x96\x81x>");
  EXPECT_NE(proof.mtok.summary().find("1 added tokens print otherwise"), std::string::npos)
      << proof.mtok.summary();
}

/// Byte-level BPE with a piece for each byte that is not in `missing`, and one merge.
TokenizerModel byte_model(std::string_view missing) {
  TokenizerModel model;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const std::string piece = to_byte_alphabet(std::string_view(&c, 1));
    model.pieces.insert(missing.find(c) == std::string_view::npos ? piece : "no" + piece,
                        static_cast<std::uint32_t>(byte));
  }
  model.pieces.insert("th", 256);
  BpeModel bpe;
  bpe.merges = {{'t', 'h', 256}};
  model.model = bpe;
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kByteLevel;
  model.pre_tokenizers.push_back(step);
  return model;
}

TEST(TokenizerProof, SaysWhereTheTextFileStopsTheRuntime) {
  const TokenizerModel model = byte_model("\x01");
  const TokenizerProof proof = prove_tokenizer(Encoder(model), written(model));
  const auto& all = proof.txt.differences;
  const auto stopped = std::ranges::find_if(all, [](const auto& d) { return !d.failure.empty(); });
  ASSERT_NE(stopped, all.end());
  EXPECT_EQ(stopped->reason, "it stops at bytes that the vocabulary lacks");
  EXPECT_NE(stopped->failure.find("the runtime aborts"), std::string::npos) << stopped->failure;
  EXPECT_EQ(proof.txt.unexplained(), 0U) << proof.txt.summary();
}

TEST(TokenizerProof, AStopAtBytesThatTheVocabularyHasIsUnexplained) {
  const TokenizerProof proof = prove_tokenizer(Encoder(byte_model("")), written(byte_model("x")));
  EXPECT_GT(proof.txt.unexplained(), 0U);
  EXPECT_NE(proof.txt.summary().find("(the runtime aborts: "), std::string::npos) << proof.txt.summary();
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
  const TokenizerPackage files = written(model);
  const TokenizerProof proof = prove_tokenizer(Encoder(model), files);
  EXPECT_GT(proof.mtok.tested, 10U);
  EXPECT_EQ(proof.mtok.unexplained(), 0U) << proof.mtok.summary();
}

TEST(TokenizerProof, NamesTheFileThatIsCut) {
  TokenizerPackage files = written(small_model());
  files.mtok.pop_back();
  files.mtok.pop_back();
  files.mtok.pop_back();
  try {
    prove_tokenizer(Encoder(small_model()), files);
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
  const TokenizerPackage files = written(model);
  const TokenizerProof result = prove_tokenizer(Encoder(model), files);
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
    const TokenizerProof result = prove_tokenizer(encoder, package);
    EXPECT_EQ(result.mtok.unexplained(), 0U) << entry.path().filename() << ": " << result.mtok.summary();
  }
}

}  // namespace
}  // namespace llm2mnn
