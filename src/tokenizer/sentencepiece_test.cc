#include "tokenizer/sentencepiece.h"

#include <bit>
#include <limits>

#include "tokenizer/test_folder.h"

namespace llm2mnn {
namespace {

using Strings = std::vector<std::string>;

// The wire format by hand: what protobuf itself writes is not what is tested.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(static_cast<unsigned char>(value | 0x80));
  return out + static_cast<char>(static_cast<unsigned char>(value));
}
std::string number(unsigned field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(unsigned field, const std::string& value) {
  return varint((field << 3) | 2) + varint(value.size()) + value;
}
std::string float32(unsigned field, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  std::string out = varint((field << 3) | 5);
  for (unsigned shift = 0; shift < 32; shift += 8)
    out += static_cast<char>(static_cast<unsigned char>(bits >> shift));
  return out;
}
std::string piece(const std::string& text, float score = 0, unsigned type = 1) {
  return bytes(1, bytes(1, text) + float32(2, score) + number(3, type));
}

constexpr unsigned kControl = 3, kUser = 4, kByte = 6;
const std::string kBpe = bytes(2, number(3, 2));
const std::string kHead = piece("<unk>", 0, 2) + piece("<s>", 0, kControl) + piece("</s>", 0, kControl);

class SentencePiece : public SourceFolder {
 protected:
  void configure(std::string_view name, std::string_view more = "") const {
    write("tokenizer_config.json",
          std::string(R"({"tokenizer_class":")").append(name).append("\"").append(more) + "}");
  }
  TokenizerSource load_llama(const std::string& file, std::string_view more = "") const {
    write("tokenizer.model", file);
    configure("LlamaTokenizer", more);
    return load();
  }
  std::string refused(const std::string& file, ErrorKind kind = ErrorKind::kFormat) const {
    write("tokenizer.model", file);
    configure("LlamaTokenizer");
    return refusal(kind);
  }
};

TEST_F(SentencePiece, ABpeModelGivesMergesByScore) {
  const TokenizerSource source = load_llama(kHead + piece("ab", -1) + piece("abc", -2) + piece("bc", -0.5F) +
                                            piece("a", -3) + piece("b", -4) + piece("c", -5) + kBpe);
  EXPECT_EQ(source.file, "tokenizer.model");
  EXPECT_EQ(kind_name(source.model), "BPE");
  // Of the two ways to "abc" the one with the longer left half comes first.
  EXPECT_EQ(merge_texts(source.model), (Strings{"b+c", "a+b", "ab+c", "a+bc"}));
  EXPECT_TRUE(source.model.bpe()->byte_fallback);
  EXPECT_TRUE(source.model.bpe()->fuse_unk);
  EXPECT_EQ(source.model.bpe()->unk_token, "<unk>");
}

TEST_F(SentencePiece, CutsBetweenCharactersOnly) {
  // The first bytes of both characters are equal; half a character is no piece.
  const TokenizerModel model =
      load_llama(kHead + piece("\xC3\xA9\xC3\xA8", -1) + piece("\xC3\xA9", -2) + piece("\xC3\xA8", -3) + kBpe)
          .model;
  EXPECT_EQ(merge_texts(model), Strings{"\xC3\xA9+\xC3\xA8"});
}

TEST_F(SentencePiece, ControlAndUserDefinedPiecesAreAddedTokens) {
  const TokenizerModel model =
      load_llama(kHead + piece("[INST]", 0, kControl) + piece("\n\n", 0, kUser) + piece("a", -1) + kBpe)
          .model;
  EXPECT_TRUE(model.find_added("[INST]")->special);
  ASSERT_NE(model.find_added("\n\n"), nullptr);
  EXPECT_FALSE(model.find_added("\n\n")->special);
  EXPECT_EQ(model.find_added("\n\n")->id, 4u);
  EXPECT_EQ(model.find_added("a"), nullptr);
  EXPECT_EQ(model.prefix_ids, std::vector<std::uint32_t>{1});
}

TEST_F(SentencePiece, LegacyPrependsAndTheNewerBehaviourHasAMetaspace) {
  const std::string file = kHead + piece("a", -1) + kBpe;
  const TokenizerModel legacy = load_llama(file).model;
  ASSERT_EQ(legacy.normalizers.size(), 2u);
  EXPECT_EQ(legacy.normalizers[0].kind, NormalizerStep::Kind::kPrepend);
  EXPECT_TRUE(legacy.pre_tokenizers.empty());
  EXPECT_EQ(legacy.decoders.size(), 4u);

  const TokenizerModel newer = load_llama(file, R"(,"legacy":false)").model;
  EXPECT_TRUE(newer.normalizers.empty());
  ASSERT_EQ(newer.pre_tokenizers.size(), 1u);
  EXPECT_EQ(newer.pre_tokenizers[0].prepend_scheme, PrependScheme::kFirst);
  EXPECT_FALSE(newer.pre_tokenizers[0].split);

  const TokenizerModel bare = load_llama(file, R"(,"add_prefix_space":false,"add_bos_token":false)").model;
  ASSERT_EQ(bare.normalizers.size(), 1u);
  EXPECT_EQ(bare.normalizers[0].kind, NormalizerStep::Kind::kReplace);
  EXPECT_EQ(bare.decoders.size(), 3u);
  EXPECT_TRUE(bare.prefix_ids.empty());
}

TEST_F(SentencePiece, AUnigramModelKeepsItsScoresAndItsCharsmap) {
  write("sentencepiece.bpe.model",
        kHead + piece("a", -1.5F) + piece("b", -2) + bytes(3, bytes(2, std::string("map\0x", 5))));
  configure("XLMRobertaTokenizer");
  const TokenizerSource source = load();
  const auto& unigram = std::get<UnigramModel>(source.model.model);
  // <s> <pad> </s> <unk> a b <mask>
  EXPECT_EQ(unigram.scores, (std::vector<double>{0, 0, 0, 0, -1.5, -2, 0}));
  EXPECT_EQ(unigram.unk_id, 3u);
  EXPECT_FALSE(unigram.byte_fallback);
  EXPECT_EQ(source.model.normalizers[0].charsmap, std::string("map\0x", 5));
  EXPECT_EQ(source.model.prefix_ids, std::vector<std::uint32_t>{0});
  EXPECT_EQ(source.model.suffix_ids, std::vector<std::uint32_t>{2});
  EXPECT_EQ(source.model.find_added("<mask>")->id, 6u);
}

TEST_F(SentencePiece, GemmaPutsATabInThePlaceOfItsByte) {
  write("tokenizer.model", piece("<pad>", 0, kControl) + piece("<eos>", 0, kControl) +
                               piece("<bos>", 0, kControl) + piece("<unk>", 0, 2) +
                               piece("<0x09>", 0, kByte) + piece("<start_of_turn>", 0, kUser) +
                               piece("\t\t", -1) + kBpe);
  configure("GemmaTokenizer");
  const TokenizerModel model = load().model;
  EXPECT_EQ(model.pieces.find_id("\t"), 4u);
  EXPECT_FALSE(model.pieces.find("<0x09>"));
  EXPECT_EQ(merge_texts(model), Strings{"\t+\t"});
  EXPECT_TRUE(model.find_added("<start_of_turn>")->special);
  EXPECT_EQ(model.prefix_ids, std::vector<std::uint32_t>{2});
}

TEST_F(SentencePiece, RemoteCodeClassesFollowTheFilesNormalizer) {
  const std::string file = kHead + piece("a", -1) + kBpe;
  configure("BaichuanTokenizer");
  write("tokenizer.model", file);
  EXPECT_EQ(load().model.normalizers.size(), 4u);  // double blanks, blanks at the ends, prefix, replacement
  write("tokenizer.model", file + bytes(3, number(3, 0) + number(4, 0)));
  EXPECT_EQ(load().model.normalizers.size(), 1u);
  EXPECT_FALSE(load().model.bpe()->byte_fallback);
  write("tokenizer.model", file + bytes(3, number(5, 0)));
  EXPECT_NE(refusal(ErrorKind::kUnsupported).find("escape_whitespaces"), std::string::npos);
}

TEST_F(SentencePiece, FieldsThatNobodyReadsArePassedOver) {
  EXPECT_EQ(load_llama(number(99, 7) + kHead + bytes(98, "text") + float32(97, 1) + kBpe).model.pieces.size(),
            3u);
}

TEST_F(SentencePiece, BrokenFilesNameTheirFault) {
  const auto expect = [&](const std::string& file, std::string_view part) {
    const std::string message = refused(file);
    EXPECT_EQ(message.find("'tokenizer.model': "), 0u) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const std::string whole = kHead + kBpe;
  const std::string last = piece("</s>", 0, kControl);
  for (std::size_t cut = 1; cut < last.size(); ++cut)
    expect(kHead.substr(0, kHead.size() - cut), "broken at byte");
  expect("\n", "broken at byte");
  expect(std::string("\n\xFF\xFF\xFF\xFF\x0F", 6), "broken at byte");
  expect(whole + varint((9 << 3) | 4), "broken at byte");
  expect(kBpe, "it has no pieces");
  expect(kHead + piece("\xC3", -1) + kBpe, "piece 3: '\\xc3' is not valid UTF-8");
  expect(kHead + piece("", -1) + kBpe, "piece 3 is empty");
  expect(kHead + piece("<s>", -1) + kBpe, "piece 3: '<s>' appears twice");
  expect(kHead + piece("a", std::numeric_limits<float>::quiet_NaN()) + kBpe, "piece 3 'a': its score");
  expect(kHead + piece("a", -std::numeric_limits<float>::infinity()) + kBpe, "piece 3 'a': its score");
  expect(kHead + piece("a", 0, 7) + kBpe, "piece 3 'a': expected a type from 1 to 6, found 7");
  expect(kHead + bytes(2, number(3, 2) + number(40, 3)), "unk_id 3 is none of the 3 pieces");
  expect(kHead + bytes(2, number(3, 2) + bytes(45, "?")), "unk_piece '?' is not in the vocabulary");
  EXPECT_NE(refused(kHead + bytes(2, number(3, 4)), ErrorKind::kUnsupported).find("model type 4"),
            std::string::npos);
}

TEST_F(SentencePiece, LongPiecesEndInAnErrorAtOnce) {
  std::string file = kHead + kBpe;
  for (unsigned i = 0; i < 40; ++i)
    file += piece(std::string(10'000 + i, 'a'), -1);
  EXPECT_NE(refused(file).find("too long to be merged"), std::string::npos);
}

TEST_F(SentencePiece, UnknownClassesAreRefusedByName) {
  write("tokenizer.model", kHead + kBpe);
  configure("ChatGLMTokenizer");
  EXPECT_NE(refusal(ErrorKind::kUnsupported).find("'ChatGLMTokenizer' with a SentencePiece model"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
