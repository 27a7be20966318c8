#include "convert/tokenizer_limits.h"

#include <gtest/gtest.h>

#include "tokenizer/bpe.h"

namespace llm2mnn {
namespace {

using Ids = std::vector<std::uint32_t>;

constexpr std::uint32_t kUnk = 0x7F - ' ', kMark = kUnk + 1, kAdded = kUnk + 2;

/// Ids of printable ASCII are in order from the blank's on.
std::uint32_t id_of(char c) { return static_cast<std::uint32_t>(c - ' '); }

Ids ids_of(std::string_view text) {
  Ids ids;
  for (const char c : text)
    ids.push_back(id_of(c));
  return ids;
}

TokenizerModel character_model() {
  TokenizerModel model;
  for (char c = ' '; c < 0x7F; ++c)
    model.pieces.insert(std::string(1, c), id_of(c));
  model.pieces.insert("<unk>", kUnk);
  model.pieces.insert("\xE2\x96\x81", kMark);
  model.model = BpeModel();
  return model;
}

/// What explains `found`, where the reference gives what it gives.
std::string reason(const TokenizerModel& model, std::string_view text, const Ids& found,
                   bool has_template = true) {
  return TokenizerLimits(model, has_template).explain(text, found, Encoder(model).encode(text, false));
}

TEST(TokenizerLimits, NothingExplainsADifferenceOfAPlainModel) {
  EXPECT_EQ(reason(character_model(), "abc", ids_of("acb")), "");
}

TEST(TokenizerLimits, FirstExplainsAMissingBlankAndNothingElse) {
  TokenizerModel model = character_model();
  PreTokenizerStep metaspace;
  metaspace.kind = PreTokenizerStep::Kind::kMetaspace;
  metaspace.content = "\xE2\x96\x81";
  metaspace.prepend_scheme = PrependScheme::kFirst;
  model.pre_tokenizers.push_back(metaspace);
  EXPECT_EQ(reason(model, "ab", ids_of("ab")), "its Metaspace has no 'first'");
  EXPECT_EQ(reason(model, "ab", ids_of("ba")), "");
  EXPECT_EQ(reason(model, "ab", ids_of("ab"), false), "");  // without a template the blank stays
}

TEST(TokenizerLimits, UnknownTokensOfARun) {
  TokenizerModel model = character_model();
  BpeModel bpe;
  bpe.unk_token = "<unk>";
  bpe.fuse_unk = true;
  model.model = bpe;
  EXPECT_EQ(reason(model, "\xC3\xA9\xC3\xA8", {kUnk, kUnk}),
            "it gives one unknown token per character, not one per run");
  EXPECT_EQ(reason(model, "\xC3\xA9\xC3\xA8", {kUnk, kUnk, kUnk}), "");
  EXPECT_EQ(reason(model, "ab", {kUnk, kUnk}), "");
}

TEST(TokenizerLimits, AddedTokensInsideOfWords) {
  TokenizerModel model = character_model();
  AddedToken token = {kAdded, "end"};
  token.single_word = true;
  model.set_added({token});
  EXPECT_EQ(reason(model, "bend", {id_of('b'), kAdded}),
            "it finds added tokens that are whole words only inside words too");
  EXPECT_EQ(reason(model, "bend", {kAdded, id_of('b')}), "");
  EXPECT_EQ(reason(model, "be", {kAdded}), "");
}

TEST(TokenizerLimits, AddedTokensInNormalizedText) {
  TokenizerModel model = character_model();
  NormalizerStep lower;
  lower.kind = NormalizerStep::Kind::kLowercase;
  model.normalizers.push_back(lower);
  AddedToken token = {kAdded, "END"};
  token.normalized = true;
  model.set_added({token});
  EXPECT_EQ(reason(model, "a end", ids_of("a end")),
            "it looks for added tokens in the raw text, not in the normalized one");
  EXPECT_EQ(reason(model, "a end", ids_of("a dne")), "");
}

TEST(TokenizerLimits, SeveralLimitsInOneText) {
  TokenizerModel model = character_model();
  BpeModel bpe;
  bpe.unk_token = "<unk>";
  bpe.fuse_unk = true;
  model.model = bpe;
  AddedToken token = {kAdded, "end"};
  token.single_word = true;
  model.set_added({token});
  EXPECT_EQ(reason(model, "\xC3\xA9\xC3\xA8 bend", {kUnk, kUnk, id_of(' '), id_of('b'), kAdded}),
            "it gives one unknown token per character, not one per run; it finds added tokens that are whole "
            "words only inside words too");
}

TEST(TokenizerLimits, IgnoreMergesExplainsNothingWhenEveryWordIsPlanned) {
  TokenizerModel model = character_model();
  BpeModel bpe;
  bpe.ignore_merges = true;
  model.model = bpe;
  EXPECT_EQ(reason(model, "abc", ids_of("acb")), "");
}

TEST(TokenizerLimits, EqualPathsOfAUnigram) {
  TokenizerModel model;
  for (const char* piece : {"<unk>", "a", "aa", "b"})
    model.pieces.insert(piece, static_cast<std::uint32_t>(model.pieces.size()));
  UnigramModel unigram;
  unigram.scores = {-10, -2.5, -3.25, -2.5};
  unigram.unk_id = 0;
  model.model = unigram;
  const bool shorter_first = Encoder(model).encode("aaa", false) == Ids{1, 2};
  const Ids other = shorter_first ? Ids{2, 1} : Ids{1, 2};
  EXPECT_EQ(reason(model, "aaa", other), "its Unigram takes another one of equal paths");
  EXPECT_EQ(reason(model, "aaa", {1, 1, 1}), "");
  EXPECT_EQ(reason(model, "ab", {1, 1}), "");
  EXPECT_EQ(reason(model, "ab", {3, 1}), "");
}

std::string u32(std::uint32_t value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16),
          static_cast<char>(value >> 24)};
}

TEST(TokenizerLimits, ACharsmapExplainsClustersOnly) {
  // "A" becomes "z": units at 0 the root, offset 1; a leaf behind 1 ^ 'A'.
  std::vector<std::uint32_t> units(128, 0xFF);
  units[0] = 1U << 10;
  const std::uint32_t node = 1 ^ 'A';
  units[node] = (2U << 10) | (1U << 8) | 'A';
  units[node ^ 2] = 1U << 31;
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::kPrecompiled;
  step.charsmap = u32(128 * 4);
  for (const std::uint32_t unit : units)
    step.charsmap += u32(unit);
  step.charsmap.append("z\0", 2);
  TokenizerModel model = character_model();
  model.normalizers.push_back(step);
  EXPECT_EQ(reason(model, "A\xCC\x81", ids_of("A")),
            "its tables take single characters, a charsmap takes clusters");
  EXPECT_EQ(reason(model, "bAb", ids_of("bAb")), "");
}

TEST(TokenizerLimits, SeparatorsOfLinesAreNoBlanks) {
  EXPECT_EQ(reason(character_model(), "a\xE2\x80\xA8", ids_of("ab")),
            "U+0085, U+2028 and U+2029 are no blanks in its patterns");
}

}  // namespace
}  // namespace llm2mnn
