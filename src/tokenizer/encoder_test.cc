#include "tokenizer/encoder.h"

#include <gtest/gtest.h>
#include <initializer_list>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace llm2mnn {
namespace {

using Ids = std::vector<std::uint32_t>;

/// Ids count from 0 in the order given.
PieceTable make_pieces(std::initializer_list<std::string_view> texts) {
  PieceTable pieces;
  for (const std::string_view text : texts)
    pieces.insert(text, static_cast<std::uint32_t>(pieces.size()));
  return pieces;
}

void add_merge(TokenizerModel& model, BpeModel& bpe, std::string_view left, std::string_view right) {
  const auto id = [&](std::string_view text) { return model.pieces.find_id(text).value(); };
  bpe.merges.push_back({id(left), id(right), id(std::string(left) + std::string(right))});
}

AddedToken make_added(std::uint32_t id, std::string content) {
  AddedToken token;
  token.id = id;
  token.content = std::move(content);
  token.special = true;
  return token;
}

/// Bytes 0 to 255, then "ab" and " ab"; one merge each.
TokenizerModel make_byte_level() {
  TokenizerModel model;
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string piece;
    append_utf8(piece, byte_alphabet(static_cast<std::uint8_t>(byte)));
    model.pieces.insert(piece, byte);
  }
  model.pieces.insert("ab", 256);
  model.pieces.insert(
      "\xC4\xA0"
      "ab",
      257);
  BpeModel bpe;
  add_merge(model, bpe, "a", "b");
  add_merge(model, bpe, "\xC4\xA0", "ab");
  model.model = bpe;
  model.pre_tokenizers.emplace_back();
  model.decoders.emplace_back();
  return model;
}

/// SentencePiece's kind: no pre-tokenizer, blanks are U+2581, bytes for unknown characters.
TokenizerModel make_sentence_piece() {
  TokenizerModel model;
  model.pieces = make_pieces({"<unk>", "\xE2\x96\x81", "a", "b", "ab",
                              "\xE2\x96\x81"
                              "ab",
                              "b\xE2\x96\x81"});
  BpeModel bpe;
  bpe.unk_token = "<unk>";
  bpe.fuse_unk = true;
  add_merge(model, bpe, "a", "b");
  add_merge(model, bpe, "\xE2\x96\x81", "ab");
  model.model = bpe;
  NormalizerStep replace;
  replace.kind = NormalizerStep::Kind::kReplace;
  replace.pattern.text = " ";
  replace.content = "\xE2\x96\x81";
  model.normalizers.push_back(replace);
  return model;
}

TEST(Encoder, MergesBytesOfWordsByRank) {
  const Encoder encoder(make_byte_level());
  EXPECT_EQ(encoder.encode("ab abc", false), (Ids{256, 257, 'c'}));
  EXPECT_EQ(encoder.encode("\xC3\xA9", false), (Ids{0xC3, 0xA9}));
  EXPECT_EQ(encoder.decode(Ids{256, 257, 0xC3}, false), "ab ab\xEF\xBF\xBD");
}

/// Merges one pair after the other: the lowest rank, the leftmost of equal ones.
Ids merged_one_by_one(const TokenizerModel& model, std::string_view word) {
  std::vector<std::string> symbols;
  for (const char c : word)
    symbols.emplace_back(1, c);
  for (bool is_merged = true; is_merged;) {
    is_merged = false;
    for (const BpeMerge& merge : model.bpe()->merges) {
      for (std::size_t i = 0; i + 1 < symbols.size() && !is_merged; ++i) {
        if (symbols[i] != model.text_of(merge.left) || symbols[i + 1] != model.text_of(merge.right)) continue;
        symbols[i] += symbols[i + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        is_merged = true;
      }
      if (is_merged) break;
    }
  }
  Ids ids;
  for (const std::string& symbol : symbols)
    ids.push_back(model.find_id(symbol).value());
  return ids;
}

// Words of up to 24 symbols are merged by another loop than longer ones.
TEST(Encoder, EncodesLongWordsAsShortOnes) {
  TokenizerModel model;
  model.pieces = make_pieces({"a", "b", "c", "bc", "ab", "aa", "aaa", "abc", "abab", "aab", "ca", "cab"});
  BpeModel bpe;
  for (const auto& [left, right] : std::initializer_list<std::pair<const char*, const char*>>{{"b", "c"},
                                                                                              {"a", "a"},
                                                                                              {"a", "b"},
                                                                                              {"aa", "a"},
                                                                                              {"a", "bc"},
                                                                                              {"ab", "ab"},
                                                                                              {"aa", "b"},
                                                                                              {"c", "a"},
                                                                                              {"c", "ab"}})
    add_merge(model, bpe, left, right);
  model.model = bpe;
  const Encoder encoder(model);
  std::uint32_t state = 1;
  for (std::size_t size = 1; size <= 90; ++size) {
    std::string word;
    for (std::size_t i = 0; i < size; ++i) {
      state = state * 1664525 + 1013904223;
      word += "aaabbc"[(state >> 16) % 6];
    }
    EXPECT_EQ(encoder.encode(word, false), merged_one_by_one(model, word)) << word;
  }
}

TEST(Encoder, PutsPrefixAndSuffixAroundTheText) {
  TokenizerModel model = make_byte_level();
  model.prefix_ids = {7};
  model.suffix_ids = {8, 9};
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode("", true), (Ids{7, 8, 9}));
  EXPECT_EQ(encoder.encode("ab", true), (Ids{7, 256, 8, 9}));
  EXPECT_EQ(encoder.encode("ab", false), (Ids{256}));
}

TEST(Encoder, FindsTheLongestAddedTokenAndTakesItsBlanks) {
  TokenizerModel model = make_byte_level();
  AddedToken strips = make_added(302, "<s>");
  strips.lstrip = strips.rstrip = true;
  AddedToken word = make_added(303, "word");
  word.single_word = true;
  model.set_added({make_added(300, "<x>"), make_added(301, "<x><x>"), strips, word});
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode("<x><x><x>", false), (Ids{301, 300}));
  EXPECT_EQ(encoder.encode("ab \n<s>\t ab", false), (Ids{256, 302, 256}));
  EXPECT_EQ(encoder.encode("word", false), (Ids{303}));
  EXPECT_EQ(encoder.encode("words", false), (Ids{'w', 'o', 'r', 'd', 's'}));
  EXPECT_EQ(encoder.decode(Ids{300, 256}, true), "ab");
  EXPECT_EQ(encoder.decode(Ids{300, 256}, false), "<x>ab");
}

// The cases of `tokenizers`: a token of blanks counts again unless nothing is left of it.
TEST(Encoder, DropsATokenOfBlanksThatTheOneBeforeHasTaken) {
  TokenizerModel model = make_byte_level();
  AddedToken strips = make_added(300, "<s>");
  strips.rstrip = true;
  AddedToken blank = make_added(302, " ");
  blank.lstrip = true;
  model.set_added({strips, make_added(301, "  "), blank});
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode("<s> ab", false), (Ids{300, 256}));
  EXPECT_EQ(encoder.encode("<s>  ab", false), (Ids{300, 301, 256}));
  EXPECT_EQ(encoder.encode("<s>   ab", false), (Ids{300, 301, 302, 256}));
}

TEST(Encoder, FindsTheLeftmostAddedTokenThenTheLongest) {
  TokenizerModel model = make_byte_level();
  model.set_added({make_added(300, "ababx"), make_added(301, "bab"), make_added(302, "abab"),
                   make_added(303, "b"), make_added(304, "xb")});
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode("ababx", false), (Ids{300}));
  EXPECT_EQ(encoder.encode("ababab", false), (Ids{302, 'a', 303}));
  EXPECT_EQ(encoder.encode("bababxb", false), (Ids{301, 'a', 303, 304}));
  EXPECT_EQ(encoder.encode("babx", false), (Ids{301, 'x'}));
}

TEST(Encoder, OfTwoAddedTokensThatLookAlikeTheSpecialOneCounts) {
  TokenizerModel model = make_byte_level();
  NormalizerStep lower;
  lower.kind = NormalizerStep::Kind::kLowercase;
  model.normalizers.push_back(lower);
  AddedToken plain = make_added(300, "<X>"), special = make_added(301, "<x>");
  plain.normalized = special.normalized = true;
  plain.special = false;
  model.set_added({plain, special});
  EXPECT_EQ(Encoder(model).encode("<X>", false), (Ids{301}));
}

// Looking from each place as far as some token goes would take 10^10 steps.
TEST(Encoder, TakesAddedTokensThatBeginAlikeInItsStride) {
  TokenizerModel model = make_byte_level();
  model.set_added({make_added(300, std::string(50'000, '<') + "x"), make_added(301, "<<")});
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode(std::string(400'000, '<'), false).size(), 200'000u);
}

TEST(Encoder, MatchesNormalizedAddedTokensOnNormalizedText) {
  TokenizerModel model = make_byte_level();
  NormalizerStep lower;
  lower.kind = NormalizerStep::Kind::kLowercase;
  model.normalizers.push_back(lower);
  AddedToken normalized = make_added(300, "<X>");
  normalized.normalized = true;
  model.set_added({normalized, make_added(301, "<Y>")});
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode("<x><X><Y>", false), (Ids{300, 300, 301}));
  EXPECT_EQ(encoder.encode("<y>", false), (Ids{'<', 'y', '>'}));
}

TEST(Encoder, RefusesAnAddedTokenOfWhichTheNormalizerLeavesNothing) {
  TokenizerModel model = make_byte_level();
  NormalizerStep strip;
  strip.kind = NormalizerStep::Kind::kStrip;
  strip.strip_left = true;
  model.normalizers.push_back(strip);
  AddedToken blank = make_added(300, " ");
  model.set_added({blank});
  EXPECT_EQ(Encoder(model).encode("ab", false), (Ids{256}));
  blank.normalized = true;
  model.set_added({blank});
  EXPECT_THROW(Encoder{model}, Error);
}

TEST(Encoder, TakesWholePiecesWithIgnoreMerges) {
  TokenizerModel model = make_byte_level();
  model.pieces.insert("xyz", 258);
  std::get<BpeModel>(model.model).ignore_merges = true;
  EXPECT_EQ(Encoder(model).encode("xyz", false), (Ids{258}));
  std::get<BpeModel>(model.model).ignore_merges = false;
  EXPECT_EQ(Encoder(model).encode("xyz", false), (Ids{'x', 'y', 'z'}));
}

TEST(Encoder, CutsTextWithoutPreTokenizerOnlyWhereNoMergeReaches) {
  TokenizerModel model = make_sentence_piece();
  EXPECT_EQ(Encoder(model).encode("ab ab", false), (Ids{4, 5}));
  add_merge(model, std::get<BpeModel>(model.model), "b", "\xE2\x96\x81");
  EXPECT_EQ(Encoder(model).encode("b ab", false), (Ids{3, 5}));
  EXPECT_EQ(Encoder(model).encode("b b", false), (Ids{6, 3}));
}

TEST(Encoder, FusesUnknownCharacters) {
  TokenizerModel model = make_sentence_piece();
  EXPECT_EQ(Encoder(model).encode("xya", false), (Ids{0, 2}));
  std::get<BpeModel>(model.model).fuse_unk = false;
  EXPECT_EQ(Encoder(model).encode("xya", false), (Ids{0, 0, 2}));
}

TEST(Encoder, SpellsUnknownCharactersInBytes) {
  TokenizerModel model = make_sentence_piece();
  std::get<BpeModel>(model.model).byte_fallback = true;
  model.pieces.insert("<0xC3>", 7);
  model.pieces.insert("<0xA9>", 8);
  EXPECT_EQ(Encoder(model).encode("a\xC3\xA9", false), (Ids{2, 7, 8}));
}

TEST(Encoder, LaterOfTwoEqualMergesCounts) {
  TokenizerModel model;
  model.pieces = make_pieces({"a", "b", "c", "ab", "bc"});
  BpeModel bpe;
  add_merge(model, bpe, "a", "b");
  add_merge(model, bpe, "b", "c");
  model.model = bpe;
  EXPECT_EQ(Encoder(model).encode("abc", false), (Ids{3, 2}));
  add_merge(model, std::get<BpeModel>(model.model), "a", "b");
  EXPECT_EQ(Encoder(model).encode("abc", false), (Ids{0, 4}));
}

TEST(Encoder, AddsAffixesToTheCharactersOfAWord) {
  TokenizerModel model;
  model.pieces = make_pieces({"a", "##b", "##b</w>", "a</w>"});
  BpeModel bpe;
  bpe.continuing_subword_prefix = "##";
  bpe.end_of_word_suffix = "</w>";
  model.model = bpe;
  const Encoder encoder(std::move(model));
  EXPECT_EQ(encoder.encode("abb", false), (Ids{0, 1, 2}));
  EXPECT_EQ(encoder.encode("a", false), (Ids{3}));
}

TEST(Encoder, FindsTheBestUnigramPath) {
  TokenizerModel model;
  model.pieces = make_pieces({"<unk>", "a", "b", "ab", "bc", "c"});
  UnigramModel unigram;
  unigram.scores = {0, -1, -1, -3, -0.5, -2};
  unigram.unk_id = 0;
  model.model = unigram;
  EXPECT_EQ(Encoder(model).encode("abc", false), (Ids{1, 4}));
  EXPECT_EQ(Encoder(model).encode("axyb", false), (Ids{1, 0, 2}));
  std::get<UnigramModel>(model.model).unk_id.reset();
  EXPECT_THROW(Encoder(model).encode("x", false), Error);
}

TEST(Encoder, FindsTheLongestWordPieces) {
  TokenizerModel model;
  model.pieces = make_pieces({"[UNK]", "ab", "a", "##c", "##bc"});
  WordPieceModel word_piece;
  word_piece.unk_token = "[UNK]";
  word_piece.max_input_chars_per_word = 4;
  model.model = word_piece;
  PreTokenizerStep blanks;
  blanks.kind = PreTokenizerStep::Kind::kWhitespaceSplit;
  model.pre_tokenizers.push_back(blanks);
  EXPECT_EQ(Encoder(model).encode("abc abx accc acccc", false), (Ids{1, 3, 0, 2, 3, 3, 3, 0}));
}

TEST(Encoder, LooksWholeWordsUp) {
  TokenizerModel model;
  model.pieces = make_pieces({"[UNK]", "ab"});
  model.model = WordLevelModel{"[UNK]"};
  EXPECT_EQ(Encoder(model).encode("ab", false), (Ids{1}));
  EXPECT_EQ(Encoder(model).encode("abc", false), (Ids{0}));
  model.model = WordLevelModel{"<none>"};
  EXPECT_THROW(Encoder(model).encode("abc", false), Error);
}

TEST(Encoder, RefusesTextThatIsNoUtf8) {
  const Encoder encoder(make_byte_level());
  EXPECT_THROW(encoder.encode("a\xC3", false), Error);
  EXPECT_THROW(encoder.encode("\xED\xA0\x80", false), Error);
}

TEST(Encoder, EndsACatastrophicPatternWithAnError) {
  TokenizerModel model = make_byte_level();
  PreTokenizerStep split;
  split.kind = PreTokenizerStep::Kind::kSplit;
  split.pattern = {"(?:a+)+(?:a+)+[bc]", true};
  model.pre_tokenizers.insert(model.pre_tokenizers.begin(), split);
  const Encoder encoder(std::move(model));
  EXPECT_THROW(encoder.encode(std::string(5000, 'a'), false), Error);
}

TEST(Encoder, MayBeUsedByThreads) {
  const Encoder encoder(make_byte_level());
  std::vector<std::thread> threads;
  std::vector<Ids> results(4);
  for (Ids& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        result = encoder.encode("ab abc \xC3\xA9 ab", false);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const Ids& result : results)
    EXPECT_EQ(result, (Ids{256, 257, 'c', ' ', 0xC3, 0xA9, 257}));
}

}  // namespace
}  // namespace llm2mnn
