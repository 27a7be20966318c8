#include "verify/subword_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <string>

#include "base/error.h"

namespace llm2mnn::verify {
namespace {

using Ids = std::vector<std::uint32_t>;

/// A model whose ids are the places in `texts`.
MtokModel model_of(MtokModel::Kind kind, const std::vector<std::string_view>& texts) {
  MtokModel model;
  model.kind = kind;
  for (std::uint32_t id = 0; id < texts.size(); ++id) {
    model.id_to_text.push_back(texts[id]);
    model.pieces.push_back({texts[id], id});
    model.index.add(texts[id], id);
  }
  std::sort(model.pieces.begin(), model.pieces.end(),
            [](const MtokPiece& a, const MtokPiece& b) { return a.text < b.text; });
  return model;
}

Ids ids_of(const MtokModel& model, std::string_view text) {
  Ids ids;
  WorkBudget budget;
  SubwordModel(model).tokenize(text, ids, budget);
  return ids;
}

MtokModel word_piece(std::uint32_t max_bytes = 8) {
  MtokModel model = model_of(MtokModel::Kind::kWordPiece, {"[UNK]", "un", "##a", "##able", "able", "a"});
  model.unk_text = "[UNK]";
  model.subword_prefix = "##";
  model.max_bytes = max_bytes;
  return model;
}

TEST(SubwordModel, WordPieceTakesTheLongestPieceFirst) {
  EXPECT_EQ(ids_of(word_piece(), "unable"), (Ids{1, 3}));
  EXPECT_EQ(ids_of(word_piece(), "able"), (Ids{4}));
  EXPECT_EQ(ids_of(word_piece(), "unx"), (Ids{0}));  // all of it or nothing
  EXPECT_EQ(ids_of(word_piece(), "un[UNK]"), (Ids{0}));
  EXPECT_EQ(ids_of(word_piece(5), "unable"), (Ids{0}));
}

MtokModel unigram(bool byte_fallback) {
  std::vector<std::string_view> texts = {"<unk>", "a", "b", "ab", "aa"};
  static const std::vector<std::string> kBytes = [] {
    std::vector<std::string> names;
    for (int byte = 0; byte < 256; ++byte)
      names.push_back(fmt::format("<0x{:02X}>", byte));
    return names;
  }();
  if (byte_fallback) texts.insert(texts.end(), kBytes.begin(), kBytes.end());
  MtokModel model = model_of(MtokModel::Kind::kUnigram, texts);
  model.byte_fallback = byte_fallback;
  model.scores = {-20, -2, -2, -3, -3.5};
  model.scores.resize(texts.size(), -15);
  return model;
}

TEST(SubwordModel, UnigramTakesTheBestPath) {
  EXPECT_EQ(ids_of(unigram(false), "ab"), (Ids{3}));
  EXPECT_EQ(ids_of(unigram(false), "aab"), (Ids{1, 3}));  // -5, not -5.5
  EXPECT_EQ(ids_of(unigram(false), "b"), (Ids{2}));
}

TEST(SubwordModel, OfEqualPathsUnigramTakesTheShorterLastPiece) {
  EXPECT_EQ(ids_of(unigram(false), "aaa"), (Ids{4, 1}));
}

TEST(SubwordModel, UnigramHasOneUnknownTokenPerRun) {
  EXPECT_EQ(ids_of(unigram(false), "a\xC3\xA9xb"), (Ids{1, 0, 2}));
  EXPECT_EQ(ids_of(unigram(true), "a\xC3\xA9"), (Ids{1, 5 + 0xC3, 5 + 0xA9}));
}

MtokModel byte_pairs(bool byte_level = false) {
  MtokModel model = model_of(MtokModel::Kind::kBpe, {"a", "b", "c", "ab", "bc", "abc", "\xC4\xA0", "<0xC3>"});
  model.byte_level = byte_level;
  model.merges = {{0, 1, 1, 3}, {1, 2, 0, 4}, {3, 2, 2, 5}};
  return model;
}

TEST(SubwordModel, BytePairsMergeByRankThenFromTheLeft) {
  EXPECT_EQ(ids_of(byte_pairs(), "ab"), (Ids{3}));
  EXPECT_EQ(ids_of(byte_pairs(), "abc"), (Ids{0, 4}));  // b c ranks before a b
  EXPECT_EQ(ids_of(byte_pairs(), "abab"), (Ids{3, 3}));
}

TEST(SubwordModel, BytePairsNameTheBytesOfOtherCharacters) {
  EXPECT_EQ(ids_of(byte_pairs(),
                   "a\xC3\xA9"
                   "b"),
            (Ids{0, 7, 1}));  // <0xA9> is no piece: dropped
  EXPECT_EQ(ids_of(byte_pairs(), "xax"), (Ids{0}));
  EXPECT_EQ(ids_of(byte_pairs(true), "a b"), (Ids{0, 6, 1}));
}

TEST(SubwordModel, AnIdBeyondTheTableHasTheUnknownTokensText) {
  const MtokModel words = word_piece();
  EXPECT_EQ(SubwordModel(words).text_of(99), "[UNK]");
  const MtokModel pairs = byte_pairs();
  EXPECT_EQ(SubwordModel(pairs).text_of(99), "");
}

TEST(SubwordModel, WorkIsBounded) {
  WorkBudget budget(1000);
  Ids ids;
  const MtokModel model = word_piece(100'000);
  EXPECT_THROW(SubwordModel(model).tokenize(std::string(10'000, 'z'), ids, budget), Error);
}

}  // namespace
}  // namespace llm2mnn::verify
