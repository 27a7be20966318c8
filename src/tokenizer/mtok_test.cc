#include "tokenizer/mtok.h"

#include <gtest/gtest.h>
#include <utility>

#include "base/error.h"
#include "tokenizer/txt.h"
#include "tokenizer/whole_words.h"

namespace llm2mnn {
namespace {

TokenizerModel model_of(std::vector<std::string> pieces) {
  TokenizerModel model;
  for (const std::string& piece : pieces)
    model.pieces.insert(piece, static_cast<std::uint32_t>(model.pieces.size()));
  return model;
}

NormalizerStep normalizer(NormalizerStep::Kind kind, std::string from = "", std::string content = "") {
  NormalizerStep step;
  step.kind = kind;
  step.pattern.text = std::move(from);
  step.content = std::move(content);
  return step;
}

PreTokenizerStep pre_tokenizer(PreTokenizerStep::Kind kind, std::string content = "") {
  PreTokenizerStep step;
  step.kind = kind;
  step.content = std::move(content);
  return step;
}

struct Written {
  std::string mtok;
  std::vector<std::string> notes;
  bool has(std::string_view bytes) const { return mtok.find(bytes) != std::string::npos; }
};

Written write(const TokenizerModel& model, const std::string& chat_template = "") {
  Written written;
  RuntimeTexts texts;
  texts.chat_template = chat_template;
  const IdTable table(model);
  written.mtok = write_mtok(model, table, texts, written.notes);
  return written;
}

/// A Split step.
std::string split(const std::string& regex, bool invert = false, int behavior = 0) {
  std::string out = "\4";
  out += static_cast<char>(regex.size());
  out += '\0';
  out += regex;
  out += invert ? '\1' : '\0';
  out += static_cast<char>(behavior);
  return out;
}
std::string metaspace(const std::string& replacement, bool prefix) {
  return std::string("\3") + static_cast<char>(replacement.size()) + '\0' + replacement +
         (prefix ? '\1' : '\0');
}
std::string replace(const std::string& from, const std::string& to) {
  return std::string("\3") + static_cast<char>(from.size()) + '\0' + from + static_cast<char>(to.size()) +
         '\0' + to;
}

TokenizerModel metaspace_bpe(std::vector<std::string> pieces) {
  TokenizerModel model = model_of(std::move(pieces));
  model.model = BpeModel{};
  model.normalizers = {normalizer(NormalizerStep::Kind::kPrepend, "", "▁"),
                       normalizer(NormalizerStep::Kind::kReplace, " ", "▁")};
  return model;
}

TEST(Mtok, ABpeOverVisibleBlanksIsSplitAtBlanks) {
  const Written written = write(metaspace_bpe({"▁", "a", "▁a"}));
  EXPECT_TRUE(written.has(replace("▁", " ") + std::string("\2\1\0 ", 4)));
  EXPECT_TRUE(written.has(split(" *[^ ]+| +") + metaspace("▁", false)));
  EXPECT_TRUE(written.notes.empty());
}

TEST(Mtok, TheSplitAtBlanksKeepsTogetherWhatAPieceCrosses) {
  const Written written = write(metaspace_bpe({"▁", ">▁<", "。▁", "▁▁"}));
  EXPECT_TRUE(written.has(split(" *(?:[^ \\x06\\x3E]+|[\\x06\\x3E] *)+| +")));
}

TEST(Mtok, ASplitAtBlanksThatAreGoneIsLeftOut) {
  TokenizerModel model = metaspace_bpe({"▁", "a"});
  model.pre_tokenizers.push_back(pre_tokenizer(PreTokenizerStep::Kind::kSplit));
  model.pre_tokenizers[0].pattern.text = " ";
  EXPECT_EQ(write(model).mtok, write(metaspace_bpe({"▁", "a"})).mtok);
}

TEST(Mtok, MetaspaceStartsAWordAtEachBlank) {
  TokenizerModel model = model_of({"▁", "a"});
  model.model = UnigramModel{{-1, -2}, 0, false};
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kMetaspace, "▁")};
  EXPECT_TRUE(write(model).has(metaspace(" ", true) + split(" ?[^ ]+| ") + metaspace("▁", false)));
}

TEST(Mtok, APrefixForTheFirstWordOnlyDependsOnTheTemplate) {
  TokenizerModel model = model_of({"▁", "a"});
  model.model = UnigramModel{{-1, -2}, 0, false};
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kMetaspace, "▁")};
  model.pre_tokenizers[0].prepend_scheme = PrependScheme::kFirst;
  EXPECT_TRUE(write(model).has(metaspace(" ", true)));
  EXPECT_FALSE(write(model, "{{ messages }}").has(metaspace(" ", true)));
  EXPECT_EQ(write(model).notes.size(), 1u);
}

TEST(Mtok, TheUnknownPieceScoresTenBelowTheLowest) {
  TokenizerModel model = model_of({"<unk>", "a", "<0xC3>", "<0xA9>"});
  model.model = UnigramModel{{0, -2.5, -1, -1}, 0, true};
  const std::string lowest_minus_ten("\0\0\0\0\0\0\x29\xC0", 8);
  const std::string zero(8, '\0');
  const Written written = write(model);
  EXPECT_TRUE(written.has(std::string("\5\0<unk>\0\0\0\0", 11) + lowest_minus_ten));
  EXPECT_TRUE(written.has(std::string("<0xC3>\2\0\0\0", 10) + lowest_minus_ten));
  EXPECT_TRUE(written.has(std::string("<0xA9>\3\0\0\0", 10) + zero));
}

TEST(Mtok, LeadBytesStandForTheUnknownTokenOfABpe) {
  TokenizerModel model = metaspace_bpe({"<unk>", "a"});
  BpeModel bpe;
  bpe.unk_token = "<unk>";
  model.model = bpe;
  const Written written = write(model);
  EXPECT_TRUE(written.has(std::string("\6\0<0xC3>\0\0\0\0", 12)));
  EXPECT_FALSE(written.has("<0x80>"));
}

TEST(Mtok, AffixesOfBpePiecesAreRefused) {
  TokenizerModel model = model_of({"a</w>"});
  BpeModel bpe;
  bpe.end_of_word_suffix = "</w>";
  model.model = bpe;
  EXPECT_THROW(write(model), Error);
}

TEST(Mtok, WordLevelIsAWordPieceWithoutContinuations) {
  TokenizerModel model = model_of({"[UNK]", "word"});
  model.model = WordLevelModel{"[UNK]"};
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kWhitespace)};
  EXPECT_TRUE(write(model).has(std::string("\1\2\0\0\0\5\0[UNK]\1\0\1\xFF\xFF\xFF\x7F", 19)));
  model.model = WordLevelModel{"<none>"};
  EXPECT_THROW(write(model), Error);
}

TEST(Mtok, AWordPieceCountsCharactersThroughAPattern) {
  TokenizerModel model = model_of({"[UNK]", "word"});
  model.model = WordPieceModel{"[UNK]", "##", 100};
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kBert)};
  const Written written = write(model);
  EXPECT_TRUE(written.has("\5" + metaspace(" ", true) + split(" (?![\\s\\S]{101})", false, 1)));
  EXPECT_TRUE(written.has(std::string("##\x90\1\0\0", 6)));
}

TEST(Mtok, SplitsThatMergeAreIsolatedMatchesOfALargerPattern) {
  TokenizerModel model = model_of({"a"});
  model.model = BpeModel{};
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kSplit)};
  PreTokenizerStep& step = model.pre_tokenizers[0];
  step.pattern.text = "-";
  step.behavior = SplitBehavior::kMergedWithPrevious;
  EXPECT_TRUE(write(model).has(split("(?:(?!\\-)[\\s\\S])+(?:\\-)?|\\-")));
  step.behavior = SplitBehavior::kMergedWithNext;
  EXPECT_TRUE(write(model).has(split("(?:\\-)?(?:(?!\\-)[\\s\\S])+|\\-")));
  step.behavior = SplitBehavior::kContiguous;
  EXPECT_TRUE(write(model).has(split("(?:\\-)+")));
}

TEST(Mtok, RunsOfBlanksAreHalvedUntilNoneIsLeft) {
  TokenizerModel model = model_of({"a"});
  model.model = UnigramModel{{-1}, 0, false};
  model.normalizers = {normalizer(NormalizerStep::Kind::kReplace, " {2,}", " ")};
  model.normalizers[0].pattern.is_regex = true;
  EXPECT_TRUE(write(model).has(replace("  ", " ") + replace("  ", " ")));
  model.normalizers[0].pattern.text = "[a-z]+";
  const Written written = write(model);
  ASSERT_EQ(written.notes.size(), 1u);
  EXPECT_NE(written.notes[0].find("'[a-z]+'"), std::string::npos);
}

TEST(Mtok, ABertNormalizerSparesTheMarksThatTakeSpace) {
  TokenizerModel model = model_of({"[UNK]"});
  model.model = WordPieceModel{"[UNK]", "##", 100};
  model.normalizers = {normalizer(NormalizerStep::Kind::kBert)};
  const Written written = write(model);
  EXPECT_TRUE(written.has(replace("\u2028", " ")));
  EXPECT_TRUE(written.has(replace("\u200B", "")));
  const std::size_t back = written.mtok.rfind("\u0903");  // Mc
  ASSERT_NE(back, std::string::npos);
  EXPECT_EQ(written.mtok.substr(back - 2, 2), std::string("\3\0", 2));
}

TEST(Mtok, ABertNormalizerKeepsWhatIsNewerThanItsUnicode) {
  TokenizerModel model = model_of({"[UNK]"});
  model.model = WordPieceModel{"[UNK]", "##", 100};
  model.normalizers = {normalizer(NormalizerStep::Kind::kBert)};
  const Written written = write(model);
  EXPECT_FALSE(written.has(replace("\U00013430", "")));  // Cf of Unicode 12
  EXPECT_TRUE(written.has("\U0001E130"));                // Mn of Unicode 12, by way of a stand-in
}

TEST(Mtok, TablesOfNormalFormsAreThoseOfUnicode9) {
  TokenizerModel model = model_of({"a"});
  model.model = UnigramModel{{-1}, 0, false};
  for (const NormalizerStep::Kind kind : {NormalizerStep::Kind::kNfkc, NormalizerStep::Kind::kNfkd}) {
    model.normalizers = {normalizer(kind)};
    const Written written = write(model);
    EXPECT_TRUE(written.has(std::string("\x7F\x33\0\0\x0C\0", 6) + "株式会社"));
    EXPECT_FALSE(written.has("令和"));  // U+32FF is of Unicode 12
  }
}

TEST(Mtok, WithoutADecoderPiecesAreJoinedByBlanks) {
  TokenizerModel model = model_of({"[UNK]"});
  model.model = WordLevelModel{"[UNK]"};
  EXPECT_TRUE(write(model).has(std::string("[UNK]\0\0\0\0\3\1\0\1\0\0\0\0\0", 18)));
}

TokenizerModel ignoring_merges() {
  TokenizerModel model = model_of({"a", "b", "c", "d", "ab", "abc", "abcd"});
  BpeModel bpe;
  bpe.ignore_merges = true;
  bpe.merges = {{0, 1, 4}};
  model.model = bpe;
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kByteLevel)};
  return model;
}

TEST(WholeWords, AWordGetsAChainOfMergesThatComesFirst) {
  const WholeWordPlan plan = plan_whole_words(ignoring_merges(), 7);
  EXPECT_EQ(plan.marker, "\x0F\x0E");
  EXPECT_TRUE(plan.complete);
  // Words are abc and abcd; ab is reachable. The mark of the inner level stays in front of both, that of the
  // outer one in front of abcd only.
  EXPECT_EQ(plan.pattern, "\x0F(?!\x0E(?:abcd)$)|\x0E(?!(?:a(?:b(?:c(?:d)?)))$)|\u0120\x0E");
  ASSERT_FALSE(plan.entries.empty());
  EXPECT_EQ(plan.entries.front().id, 7u);
  EXPECT_EQ(plan.entries.back().text,
            "\x0E"
            "abc");
  EXPECT_EQ(plan.entries.back().id, 5u);
  for (std::size_t i = 0; i < plan.merges.size(); ++i)
    EXPECT_EQ(plan.merges[i].rank, i);
}

TEST(WholeWords, NothingIsPlannedWhereMergesCount) {
  TokenizerModel model = ignoring_merges();
  std::get<BpeModel>(model.model).ignore_merges = false;
  EXPECT_TRUE(plan_whole_words(model, 7).marker.empty());
}

TEST(Txt, ABpeOverVisibleBlanksBecomesSentencePieces) {
  TokenizerModel model = metaspace_bpe({"▁", "a", "▁a", "<0x41>"});
  BpeModel bpe;
  bpe.merges = {{0, 1, 2}};
  model.model = bpe;
  const TxtFile file = write_txt(model, IdTable(model), {});
  EXPECT_EQ(file.bytes, "430 0\n0 0 0\n\n4\n4paB 0 4\nYQ== 0 4\n4paBYQ== -0 1\nPDB4NDE+ 0 6\n");
}

TEST(Txt, AWordPieceBecomesBertsForm) {
  TokenizerModel model = model_of({"[UNK]", "##a"});
  model.model = WordPieceModel{"[UNK]", "##", 100};
  EXPECT_EQ(write_txt(model, IdTable(model), {}).bytes, "430 2\n0 0 0\n\n2\nW1VOS10=\nIyNh\n");
}

TEST(Txt, BytePiecesWithoutMergesBecomeTheTiktokenForm) {
  TokenizerModel model = model_of({"Ġ", "a"});
  model.model = BpeModel{};
  model.pre_tokenizers = {pre_tokenizer(PreTokenizerStep::Kind::kByteLevel)};
  EXPECT_EQ(write_txt(model, IdTable(model), {}).bytes, "430 1\n0 0 0\n\n2\nIA==\nYQ==\n");
}

}  // namespace
}  // namespace llm2mnn
