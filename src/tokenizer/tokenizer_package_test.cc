#include "tokenizer/tokenizer_package.h"

#include <algorithm>
#include <filesystem>
#include <fmt/ranges.h>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "tokenizer/checkpoint_config.h"
#include "tokenizer/hugging_face.h"
#include "tokenizer/source.h"

namespace llm2mnn {
namespace {

TokenizerPackage load_tokenizer(const std::filesystem::path& dir, const std::vector<std::int64_t>& stop_ids) {
  return make_tokenizer_package(load_tokenizer_source(dir), stop_ids);
}

/// A byte-level BPE with pieces a b c Ġ ab abc, one added token, a Split and a ByteLevel; parts can be
/// replaced.
struct Document {
  std::string normalizer = "null";
  std::string pre_tokenizer =
      R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+"},)"
      R"("behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,)"
      R"("use_regex":false}]})";
  std::string post_processor = "null";
  std::string decoder = R"({"type":"ByteLevel"})";
  std::string added =
      R"([{"id":6,"content":"<|eos|>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}])";
  std::string model_head = R"("type":"BPE","dropout":null,"unk_token":null)";
  std::string vocab = R"({"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5})";
  std::string merges = R"(["a b","ab c"])";
  std::string more;

  std::string text() const {
    return R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)" + added +
           R"(,"normalizer":)" + normalizer + R"(,"pre_tokenizer":)" + pre_tokenizer +
           R"(,"post_processor":)" + post_processor + R"(,"decoder":)" + decoder + more + R"(,"model":{)" +
           model_head + R"(,"vocab":)" + vocab + R"(,"merges":)" + merges + "}}";
  }
};

Document with(std::string Document::*member, std::string value) {
  Document document;
  document.*member = std::move(value);
  return document;
}

TokenizerConfig simple_config() {
  TokenizerConfig config;
  config.eos_token = "<|eos|>";
  config.chat_template = "{{ \"a prompt of its own\" }}";
  return config;
}

std::string hex(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

TEST(TokenizerPackage, WritesTheBytesThatTheRuntimeIsKnownToLoad) {
  const TokenizerPackage package = make_tokenizer_package(Document().text(), simple_config(), {});
  EXPECT_EQ(hex(package.mtok), without_blanks(R"(
      343330 20340a 30203120300a 36200a
      00
      06 02000000
      04 2300 5c707b4c7d2b7c5c707b4e7d7c203f5b5e5c735c707b4c7d5c707b4e7d5d2b7c5c732b 00 00
      01 00
      00 07000000 00 00 02000000
      0700 3c7c656f737c3e 06000000   0100 61 00000000   0200 6162 04000000   0300 616263 05000000
      0100 62 01000000   0100 63 02000000   0200 c4a0 03000000
      00000000 01000000 00000000   04000000 02000000 01000000
      00
      01000000 06000000 01 00 00 0700 3c7c656f737c3e
      1b000000 7b7b2022612070726f6d7074206f6620697473206f776e22207d7d
      0700 3c7c656f737c3e   00   0000)"));
  EXPECT_EQ(package.txt, "430 3\n1 1 0\n6 6 \n7 2\na\nb\nc\nĠ\nab\nabc\n<|eos|>\na b\nab c\n");
  EXPECT_EQ(package.vocab_size, 7);
  EXPECT_EQ(package.stop_ids, std::vector<std::int64_t>{6});
  EXPECT_FALSE(package.adds_bos);
}

TEST(TokenizerPackage, TakesMergesAsPairs) {
  Document pairs;
  pairs.merges = R"([["a","b"],["ab","c"]])";
  EXPECT_EQ(make_tokenizer_package(pairs.text(), simple_config(), {}).mtok,
            make_tokenizer_package(Document().text(), simple_config(), {}).mtok);
}

TEST(TokenizerPackage, TakesTheMembersInAnyOrder) {
  const std::string text =
      R"({"model":{"merges":["a b"],"vocab":{"ab":2,"b":1,"a":0},"type":"BPE"},"decoder":{"type":"ByteLevel"},)"
      R"("pre_tokenizer":{"type":"ByteLevel"},"added_tokens":[]})";
  EXPECT_EQ(make_tokenizer_package(text, {}, {}).txt, "430 3\n0 0 0\n\n3 1\na\nb\nab\na b\n");
}

TEST(TokenizerPackage, FillsHolesInTheIds) {
  Document document;
  document.vocab = R"({"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":5,"<|unused_8|>":9})";
  const TokenizerPackage package = make_tokenizer_package(document.text(), simple_config(), {});
  EXPECT_EQ(package.vocab_size, 10);
  EXPECT_NE(package.txt.find("\n<|unused_6|>\n<|eos|>\n<|unused_8|>_\n<|unused_8|>\na b\n"),
            std::string::npos);
}

TEST(TokenizerPackage, TheLaterOfTwoEqualMergesCounts) {
  Document document;
  document.merges = R"(["a b","ab c","a b"])";
  const TokenizerPackage package = make_tokenizer_package(document.text(), simple_config(), {});
  EXPECT_NE(hex(package.mtok)
                .find("0000000001000000020000000400000002000000"
                      "01000000"),
            std::string::npos);
}

TEST(TokenizerPackage, AddsTokensOfTheConfig) {
  TokenizerConfig config = simple_config();
  AddedToken token;
  token.id = 7;
  token.content = "<x>";
  token.rstrip = true;
  config.added_tokens = {token};
  for (const char* text : {"abc", "<nowhere>", "<|eos|>"})
    config.additional_tokens.push_back({text, std::nullopt});
  const TokenizerPackage package = make_tokenizer_package(Document().text(), config, {});
  EXPECT_EQ(package.vocab_size, 9);
  // abc is a piece and becomes an added token; the token without an id gets the next one.
  EXPECT_NE(hex(package.mtok)
                .find("04000000"
                      "05000000"
                      "010000"
                      "0300616263"
                      "06000000"),
            std::string::npos);
  EXPECT_NE(hex(package.mtok)
                .find("07000000"
                      "000001"
                      "03003c783e"),
            std::string::npos);
  ASSERT_EQ(package.notes.size(), 1u);
  EXPECT_NE(package.notes[0].find("'<nowhere>' is in no vocabulary: it gets id 8"), std::string::npos);
}

TokenizerModel model_of(const Document& document) {
  return build_tokenizer_model(parse_tokenizer_json(document.text()), {});
}

// As `tokenizers` 0.22 loads them.
TEST(TokenizerPackage, AddedTokensFollowTheVocabularyWhateverTheirIds) {
  const auto ids = [](const char* added) {
    std::string out;
    for (const AddedToken& token : model_of(with(&Document::added, added)).added)
      out += fmt::format("{}={} ", token.content, token.id);
    return out;
  };
  EXPECT_EQ(ids(R"([{"content":"x","id":8},{"content":"y","id":7}])"), "x=6 y=7 ");
  EXPECT_EQ(ids(R"([{"content":"x","id":6},{"content":"y","id":6}])"), "x=6 y=7 ");
  EXPECT_EQ(ids(R"([{"content":"x","id":6},{"content":"x","id":7}])"), "x=6 ");
  EXPECT_EQ(ids(R"([{"content":"x","id":5}])"), "x=6 ");
  EXPECT_EQ(ids(R"([{"content":"abc","id":7}])"), "abc=5 ");
  const std::vector<std::string> notes =
      model_of(with(&Document::added, R"([{"content":"x","id":8},{"content":"y","id":9}])")).notes;
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("'x' has id 6 as in transformers, not 8 as its file says (so have 1 others)"),
            std::string::npos);
}

TEST(TokenizerPackage, ALaterMentionOfAnAddedTokenGivesItsFlags) {
  const AddedToken token =
      model_of(with(&Document::added, R"([{"content":"x","id":6,"special":true},{"content":"x","id":6,)"
                                      R"("lstrip":true,"normalized":true}])"))
          .added.at(0);
  EXPECT_TRUE(token.lstrip);
  EXPECT_TRUE(token.special);  // once and for all
  EXPECT_FALSE(token.normalized);
  const AddedToken twice =
      model_of(with(&Document::added, R"([{"content":"x","id":6},{"content":"x","id":6,"normalized":true}])"))
          .added.at(0);
  EXPECT_TRUE(twice.normalized && twice.raw_too);
}

std::string template_processing(const std::string& single) {
  return R"({"type":"TemplateProcessing","single":)" + single +
         R"(,"pair":[],"special_tokens":{"<|eos|>":{"id":"<|eos|>","ids":[6],"tokens":["<|eos|>"]}}})";
}
const char* const kToken = R"({"SpecialToken":{"id":"<|eos|>","type_id":0}})";
const char* const kText = R"({"Sequence":{"id":"A","type_id":0}})";

TEST(TokenizerPackage, FindsTheBosInThePostProcessor) {
  Document document;
  document.post_processor = R"({"type":"Sequence","processors":[{"type":"ByteLevel"},)" +
                            template_processing(fmt::format("[{},{}]", kToken, kText)) + "]}";
  TokenizerConfig config = simple_config();
  config.bos_token = "<|eos|>";
  const TokenizerPackage package = make_tokenizer_package(document.text(), config, {});
  EXPECT_TRUE(package.adds_bos);
  EXPECT_TRUE(package.hide_bos_in_template);
  EXPECT_EQ(package.prefix_ids, std::vector<std::int64_t>{6});
  EXPECT_TRUE(package.mtok.starts_with("430 4\n0 1 1\n6 6 \n"));
}

TEST(TokenizerPackage, SaysThatASuffixIsLost) {
  Document document;
  document.post_processor = template_processing(fmt::format("[{},{}]", kText, kToken));
  const TokenizerPackage package = make_tokenizer_package(document.text(), simple_config(), {});
  EXPECT_TRUE(package.prefix_ids.empty());
  ASSERT_EQ(package.notes.size(), 1u);
  EXPECT_NE(package.notes[0].find("behind a text"), std::string::npos);
}

TEST(TokenizerPackage, TheLlamaClassTakesItsBosFromTheConfig) {
  TokenizerConfig config = simple_config();
  config.tokenizer_class = "LlamaTokenizerFast";
  config.bos_token = "<|eos|>";
  EXPECT_TRUE(make_tokenizer_package(Document().text(), config, {}).adds_bos);
  config.add_bos_token = false;
  EXPECT_FALSE(make_tokenizer_package(Document().text(), config, {}).adds_bos);
  config.add_bos_token = true;
  config.bos_token = "<none>";
  EXPECT_THROW(make_tokenizer_package(Document().text(), config, {}), Error);
}

TEST(TokenizerPackage, LowersTheTemplateToWhatTheRuntimeRenders) {
  TokenizerConfig config = simple_config();
  config.chat_template = "{{ (messages or 'x') }}";
  const TokenizerPackage package = make_tokenizer_package(Document().text(), config, {});
  EXPECT_NE(package.template_plan.text, config.chat_template);
  EXPECT_FALSE(package.template_plan.changes.empty());
  config.chat_template = "{% if %}";
  const TokenizerPackage broken = make_tokenizer_package(Document().text(), config, {});
  EXPECT_EQ(broken.template_plan.text, config.chat_template);
  EXPECT_NE(fmt::format("{}", fmt::join(broken.notes, "\n")).find("not proved: line 1"), std::string::npos);
}

TEST(TokenizerPackage, CutsALiteralBosOutOfTheTemplate) {
  Document document;
  document.post_processor = template_processing(fmt::format("[{},{}]", kToken, kText));
  TokenizerConfig config = simple_config();
  config.bos_token = "<|eos|>";
  config.chat_template = "<|eos|>{{ \"a\" }}";
  EXPECT_EQ(make_tokenizer_package(document.text(), config, {}).template_plan.text, "{{ \"a\" }}");
}

TEST(TokenizerPackage, GivesTheRuntimesProbeABosTextWhenTheTemplateAddsOneThatIsUndefined) {
  TokenizerConfig config = simple_config();
  config.chat_template = "{{ bos_token + messages[0].content }}";
  const TokenizerPackage package = make_tokenizer_package(Document().text(), config, {});
  EXPECT_TRUE(package.hide_bos_in_template);
  EXPECT_FALSE(package.adds_bos);
  EXPECT_EQ(package.bos_token, "");
  EXPECT_TRUE(package.mtok.ends_with(std::string("\7\0<|eos|>\0\7\0<|eos|>", 19)));
}

TEST(TokenizerPackage, StopIdsAreTheUnionOfAllSources) {
  Document document;
  document.added =
      R"([{"id":6,"content":"<|eos|>","special":true},{"id":7,"content":"<|im_end|>","special":true},)"
      R"({"id":8,"content":"<|end|>","special":true},{"id":9,"content":"<|user|>","special":true}])";
  TokenizerConfig config = simple_config();
  config.generation_eos = {6, 2};
  EXPECT_EQ(make_tokenizer_package(document.text(), config, {5, -1}).stop_ids,
            (std::vector<std::int64_t>{2, 5, 6, 7, 8}));
}

TEST(TokenizerPackage, AHarmonyModelGoesOnBehindTheEndOfAMessage) {
  Document document;
  document.added =
      R"([{"id":6,"content":"<|end|>","special":true},{"id":7,"content":"<|return|>","special":true}])";
  EXPECT_EQ(make_tokenizer_package(document.text(), {}, {}).stop_ids, std::vector<std::int64_t>{7});
}

TEST(TokenizerPackage, AGlmModelStopsAtTheNextUser) {
  Document document;
  document.added =
      R"([{"id":6,"content":"[gMASK]","special":true},{"id":7,"content":"<|user|>","special":true}])";
  EXPECT_EQ(make_tokenizer_package(document.text(), {}, {}).stop_ids, std::vector<std::int64_t>{7});
}

struct Refusal {
  const char* what;
  ErrorKind kind;
  Document document;
  const char* message;  // a part of it
};

const std::string kDeep = std::string(200, '[') + std::string(200, ']');

const Refusal kRefusals[] = {
    {"unigram_pair", ErrorKind::kFormat,
     [] {
       Document d = with(&Document::model_head, R"("type":"Unigram","unk_id":0)");
       d.vocab = R"([["a",-1.5],["b",[2]]])";
       return d;
     }(),
     "model.vocab[1]: expected a piece and its score"},
    {"unk_no_piece", ErrorKind::kFormat, with(&Document::model_head, R"("type":"WordPiece")"),
     "unk_token '[UNK]' is not in the vocabulary"},
    {"model_kind", ErrorKind::kUnsupported, with(&Document::model_head, R"("type":"Tree")"),
     "model type 'Tree' is not known"},
    {"no_type", ErrorKind::kFormat,
     [] {
       Document d = with(&Document::model_head, R"("dropout":null)");
       d.merges = "[]";
       return d;
     }(),
     "model: expected a type"},
    {"bpe_vocab_list", ErrorKind::kFormat, with(&Document::vocab, "[]"), "model.vocab: expected an object"},
    {"dropout", ErrorKind::kUnsupported, with(&Document::model_head, R"("type":"BPE","dropout":0.1)"),
     "dropout '0.1'"},
    {"suffix", ErrorKind::kUnsupported,
     with(&Document::model_head, R"("type":"BPE","end_of_word_suffix":"</w>")"),
     "end_of_word_suffix is not supported"},
    {"prefix_kind", ErrorKind::kFormat,
     with(&Document::model_head, R"("type":"BPE","continuing_subword_prefix":1)"),
     "continuing_subword_prefix: expected a string"},
    {"unknown_model_member", ErrorKind::kUnsupported,
     with(&Document::model_head, R"("type":"BPE","magic":1)"), "member 'magic'"},
    {"flag_kind", ErrorKind::kFormat, with(&Document::model_head, R"("type":"BPE","ignore_merges":1)"),
     "ignore_merges: expected true or false"},
    {"unknown_member", ErrorKind::kUnsupported, with(&Document::more, R"(,"magic":1)"), "member 'magic'"},
    {"twin_member", ErrorKind::kFormat, with(&Document::more, R"(,"decoder":null)"),
     "key 'decoder' appears twice"},
    {"twin_model_member", ErrorKind::kFormat, with(&Document::model_head, R"("type":"BPE","type":"BPE")"),
     "key 'type' appears twice"},
    {"deep", ErrorKind::kFormat, with(&Document::normalizer, kDeep), ""},
    {"deep_vocab", ErrorKind::kFormat, with(&Document::vocab, kDeep), ""},
    {"normalizer_name", ErrorKind::kUnsupported, with(&Document::normalizer, R"({"type":"NFX"})"),
     "normalizer 'NFX'"},
    {"normalizer_kind", ErrorKind::kFormat, with(&Document::normalizer, "5"),
     "normalizer: expected an object"},
    {"sequence_kind", ErrorKind::kFormat, with(&Document::normalizer, R"({"type":"Sequence"})"),
     "Sequence without normalizers"},
    {"pre_tokenizer_name", ErrorKind::kUnsupported, with(&Document::pre_tokenizer, R"({"type":"Space"})"),
     "pre_tokenizer 'Space'"},
    {"prepend_scheme", ErrorKind::kFormat,
     with(&Document::pre_tokenizer, R"({"type":"Metaspace","prepend_scheme":"last"})"),
     "always, first or never"},
    {"behavior", ErrorKind::kFormat,
     with(&Document::pre_tokenizer, R"({"type":"Split","pattern":{"String":"x"},"behavior":"Joined"})"),
     "behavior 'Joined'"},
    {"no_behavior", ErrorKind::kFormat,
     with(&Document::pre_tokenizer, R"({"type":"Split","pattern":{"String":"x"}})"),
     "behavior: expected a string"},
    {"no_pattern", ErrorKind::kFormat,
     with(&Document::pre_tokenizer, R"({"type":"Split","behavior":"Isolated"})"), "expected a pattern"},
    {"look_behind", ErrorKind::kUnsupported,
     with(
         &Document::pre_tokenizer,
         R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?<=a)b"},"behavior":"Isolated"},)"
         R"({"type":"ByteLevel"}]})"),
     "(?<="},
    {"decoder_name", ErrorKind::kUnsupported, with(&Document::decoder, R"({"type":"Melt"})"),
     "decoder 'Melt'"},
    {"charsmap", ErrorKind::kFormat,
     with(&Document::normalizer, R"({"type":"Precompiled","precompiled_charsmap":"a!=="})"), "base64"},
    {"post", ErrorKind::kUnsupported, with(&Document::post_processor, R"({"type":"MyProcessing"})"),
     "'MyProcessing'"},
    {"post_cls", ErrorKind::kFormat, with(&Document::post_processor, R"({"type":"RobertaProcessing"})"),
     "cls: expected a list of a token and its id"},
    {"post_no_single", ErrorKind::kFormat,
     with(&Document::post_processor, R"({"type":"TemplateProcessing"})"), "a list 'single'"},
    {"post_no_text", ErrorKind::kUnsupported,
     with(&Document::post_processor, template_processing(fmt::format("[{}]", kToken))), "no text"},
    {"post_two_texts", ErrorKind::kUnsupported,
     with(&Document::post_processor, template_processing(fmt::format("[{},{}]", kText, kText))), "twice"},
    {"post_many", ErrorKind::kUnsupported,
     with(&Document::post_processor,
          [] {
            std::string items;
            for (int i = 0; i < 65; ++i)
              items += std::string(kToken) + ",";
            return template_processing("[" + items + std::string(kText) + "]");
          }()),
     "more than 64 tokens"},
    {"post_item", ErrorKind::kFormat, with(&Document::post_processor, template_processing("[7]")),
     "expected a Sequence or a SpecialToken"},
    {"post_no_ids", ErrorKind::kFormat,
     with(&Document::post_processor, template_processing(R"([{"SpecialToken":{"id":"<x>"}}])")),
     "'<x>' has no ids"},
    {"post_far_id", ErrorKind::kFormat,
     with(
         &Document::post_processor,
         R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"special_tokens":{"x":{"ids":[7]}}})"),
     "id '7' is not in the vocabulary"},
    {"merge_left", ErrorKind::kFormat, with(&Document::merges, R"(["a b","x c"])"), "merges[1]"},
    {"merge_result", ErrorKind::kFormat, with(&Document::merges, R"(["b c"])"),
     "'bc' is not in the vocabulary"},
    {"merge_blanks", ErrorKind::kFormat, with(&Document::merges, R"(["a  b"])"),
     "merges[0]: expected two pieces"},
    {"merge_no_blank", ErrorKind::kFormat, with(&Document::merges, R"(["ab"])"), "merges[0]"},
    {"merge_three", ErrorKind::kFormat, with(&Document::merges, R"([["a","b","c"]])"), "found more"},
    {"merge_one", ErrorKind::kFormat, with(&Document::merges, R"([["a"]])"), "two strings"},
    {"merge_number", ErrorKind::kFormat, with(&Document::merges, "[5]"), "merges[0]: expected a merge"},
    {"merge_pair_number", ErrorKind::kFormat, with(&Document::merges, "[[5,6]]"), "two strings"},
    {"merge_nested", ErrorKind::kFormat, with(&Document::merges, "[[[]]]"), "two strings"},
    {"merge_object", ErrorKind::kFormat, with(&Document::merges, "[{}]"), "found an object"},
    {"merges_object", ErrorKind::kFormat, with(&Document::merges, "{}"), "model.merges: expected a list"},
    {"merges_null", ErrorKind::kFormat, with(&Document::merges, "null"), "model.merges: expected a list"},
    {"vocab_null", ErrorKind::kFormat, with(&Document::vocab, "null"), "model.vocab: expected an object"},
    {"vocab_empty", ErrorKind::kFormat,
     [] {
       Document d = with(&Document::vocab, "{}");
       d.merges = "[]";
       d.added = "[]";
       return d;
     }(),
     "no pieces"},
    {"twin_piece", ErrorKind::kFormat, with(&Document::vocab, R"({"a":0,"a":1})"), "piece 'a' appears twice"},
    {"twin_id", ErrorKind::kFormat, with(&Document::vocab, R"({"a":0,"b":1,"c":2,"ab":1,"abc":5})"),
     "id 1 appears twice"},
    {"id_string", ErrorKind::kFormat, with(&Document::vocab, R"({"a":"0"})"),
     "model.vocab 'a': expected an id"},
    {"id_object", ErrorKind::kFormat, with(&Document::vocab, R"({"a":{}})"), "found an object"},
    {"id_list", ErrorKind::kFormat, with(&Document::vocab, R"({"a":[]})"), "found a list"},
    {"id_negative", ErrorKind::kFormat, with(&Document::vocab, R"({"a":-1})"), "id '-1'"},
    {"id_fraction", ErrorKind::kFormat, with(&Document::vocab, R"({"a":1.5})"), "id '1.5'"},
    {"id_beyond", ErrorKind::kFormat, with(&Document::vocab, R"({"a":4294967296})"), "4294967296"},
    {"id_far", ErrorKind::kFormat, with(&Document::vocab, R"({"a":0,"b":1,"c":2,"ab":4,"abc":2147483647})"),
     "id 2147483647 is too large"},
    {"long_piece", ErrorKind::kUnsupported,
     with(&Document::vocab, R"({"a":0,"b":1,"c":2,"ab":4,"abc":5,")" + std::string(70'000, 'x') + "\":7}"),
     "has 70000 bytes"},
    {"invalid_utf8", ErrorKind::kFormat, with(&Document::vocab, "{\"\xFF\":0}"), "UTF-8"},
    {"lone_surrogate", ErrorKind::kFormat, with(&Document::vocab, R"({"\ud800":0})"), ""},
    {"added_object", ErrorKind::kFormat, with(&Document::added, "{}"), "added_tokens: expected a list"},
    {"added_null", ErrorKind::kFormat, with(&Document::added, "null"), "added_tokens: expected a list"},
    {"added_item", ErrorKind::kFormat, with(&Document::added, "[5]"), "added_tokens[0]"},
    {"added_list", ErrorKind::kFormat, with(&Document::added, "[[]]"), "added_tokens[0]"},
    {"added_no_content", ErrorKind::kFormat, with(&Document::added, R"([{"id":6}])"),
     "content: expected a string"},
    {"added_no_id", ErrorKind::kFormat, with(&Document::added, R"([{"content":"x"}])"),
     "an object with an id"},
    {"added_id_kind", ErrorKind::kFormat, with(&Document::added, R"([{"content":"x","id":"6"}])"),
     "expected a number"},
    {"added_flag", ErrorKind::kFormat, with(&Document::added, R"([{"content":"x","id":6,"special":1}])"),
     "special: expected true or false"},
    {"added_taken_id", ErrorKind::kFormat,
     with(&Document::vocab, R"({"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"abc":6})"),
     "added token '<|eos|>': `tokenizers` gives it id 6, which is that of the piece 'abc'"},
    {"added_long", ErrorKind::kUnsupported,
     with(&Document::added, R"([{"id":6,"content":")" + std::string(70'000, 'x') + "\"}]"),
     "has 70000 bytes"},
    {"added_keys", ErrorKind::kFormat, with(&Document::added, R"([{"id":6,"content":"x","content":"y"}])"),
     "'content' appears twice"},
    {"huge_component", ErrorKind::kFormat,
     with(&Document::normalizer,
          [] {
            std::string list = "[0";
            for (int i = 0; i < 30'000; ++i)
              list += ",0";
            return list + "]";
          }()),
     "more than 20000 JSON values"},
};

class TokenizerPackageRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(TokenizerPackageRefuses, ByName) {
  try {
    make_tokenizer_package(GetParam().document.text(), simple_config(), {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), GetParam().kind) << error.message();
    EXPECT_TRUE(error.message().starts_with("'tokenizer.json': ")) << error.message();
    EXPECT_NE(error.message().find(GetParam().message), std::string::npos) << error.message();
    EXPECT_LE(error.message().size(), 500u);
    EXPECT_EQ(error.message().find('\n'), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Documents, TokenizerPackageRefuses, testing::ValuesIn(kRefusals),
                         [](const auto& each) { return std::string(each.param.what); });

TEST(TokenizerPackage, RefusesWhatIsNoObject) {
  for (const char* text : {"[]", "5", "null", "", R"({"model":[]})", R"({"model":5})", R"({})"}) {
    EXPECT_THROW(make_tokenizer_package(text, {}, {}), Error) << text;
  }
}

class TokenizerFolder : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           fmt::format("tokenizer_test.{}.{}", ::getpid(),
                       testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directory(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const char* name, std::string_view text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  /// Kind and text of the refusal.
  std::string refusal(ErrorKind kind) const {
    try {
      load_tokenizer(dir_, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.message();
      return error.message();
    }
    return "accepted";
  }

  std::filesystem::path dir_;
};

TEST_F(TokenizerFolder, MustHaveATokenizer) {
  EXPECT_NE(refusal(ErrorKind::kIo).find("'tokenizer.json': not found"), std::string::npos);
}

TEST_F(TokenizerFolder, MayHoldVocabJsonAndMergesTxt) {
  write("vocab.json", R"({"a":0,"b":1,"ab":2})");
  write("merges.txt", "#version: 0.2\na b\n");
  write("tokenizer_config.json", R"({"tokenizer_class":"GPT2Tokenizer"})");
  const TokenizerPackage package = load_tokenizer(dir_, {});
  EXPECT_EQ(package.vocab_size, 4);
  EXPECT_EQ(package.stop_ids, std::vector<std::int64_t>{3});
}

TEST_F(TokenizerFolder, MayHaveNothingButTokenizerJson) {
  write("tokenizer.json", Document().text());
  const TokenizerPackage package = load_tokenizer(dir_, {6});
  EXPECT_EQ(package.stop_ids, std::vector<std::int64_t>{6});
  EXPECT_EQ(package.template_plan.text, "");
}

TEST_F(TokenizerFolder, ReadsTheSmallFiles) {
  write("tokenizer.json", Document().text());
  write(
      "tokenizer_config.json",
      R"({"eos_token":{"content":"<|eos|>"},"bos_token":null,"chat_template":[{"name":"tools","template":"T"},)"
      R"({"name":"default","template":"D"}],"model_max_length":1e30,"additional_special_tokens":["abc"],)"
      R"("added_tokens_decoder":{"7":{"content":"<y>","special":true}},"clean_up_tokenization_spaces":true})");
  write("special_tokens_map.json", R"({"bos_token":"<y>","eos_token":"a"})");
  write("generation_config.json", R"({"eos_token_id":[3,4]})");
  const TokenizerPackage package = load_tokenizer(dir_, {});
  EXPECT_EQ(package.eos_token, "<|eos|>");
  EXPECT_EQ(package.bos_token, "");  // special_tokens_map.json does not count beside added_tokens_decoder
  EXPECT_EQ(package.template_plan.text, "D");
  EXPECT_EQ(package.stop_ids, (std::vector<std::int64_t>{3, 4, 6}));
  EXPECT_EQ(package.vocab_size, 8);
  EXPECT_TRUE(package.mtok.ends_with(std::string("\7\0<|eos|>\1\0\0", 12)));
}

TEST_F(TokenizerFolder, TheMapOfSpecialTokensCountsWithoutAddedTokensDecoder) {
  write("tokenizer.json", Document().text());
  write("tokenizer_config.json",
        R"({"eos_token":"<|eos|>","pad_token":"b","additional_special_tokens":["c"]})");
  write(
      "special_tokens_map.json",
      R"({"bos_token":"<y>","eos_token":{"content":"a","lstrip":true},"additional_special_tokens":["<z>"]})");
  write("added_tokens.json", R"({"<w>":6})");
  const TokenizerSource source = load_tokenizer_source(dir_);
  EXPECT_EQ(source.config.eos_token, "a");
  EXPECT_EQ(source.config.special_tokens, (std::vector<std::string>{"<y>", "a", "b", "c", "<z>"}));
  EXPECT_EQ(source.config.named_tokens.size(), 3u);
  EXPECT_TRUE(source.model.find_added("a")->lstrip);
  // <w> has the id of <|eos|> in tokenizer.json, which counts: it is not there.
  EXPECT_EQ(source.model.find_added("<w>"), nullptr);
  EXPECT_EQ(source.model.find_id("<y>"), 7u);
  EXPECT_EQ(source.model.find_id("<z>"), 8u);
}

TEST_F(TokenizerFolder, TheTemplateFileWins) {
  write("tokenizer.json", Document().text());
  write("chat_template.json", R"({"chat_template":"J"})");
  EXPECT_EQ(load_tokenizer(dir_, {}).template_plan.text, "J");
  write("tokenizer_config.json", R"({"chat_template":"C"})");
  EXPECT_EQ(load_tokenizer(dir_, {}).template_plan.text, "C");
  write("chat_template.jinja", "F");
  EXPECT_EQ(load_tokenizer(dir_, {}).template_plan.text, "F");
  write("chat_template.jinja", "a\xFF");
  EXPECT_EQ(refusal(ErrorKind::kFormat), "'chat_template.jinja': not valid UTF-8");
}

TEST_F(TokenizerFolder, SaysThatNoTemplateIsTheDefault) {
  write("tokenizer.json", Document().text());
  write("tokenizer_config.json", R"({"chat_template":[{"name":"rag","template":"R"}]})");
  const TokenizerPackage package = load_tokenizer(dir_, {6});
  ASSERT_EQ(package.notes.size(), 1u);
  EXPECT_NE(package.notes[0].find("'default'"), std::string::npos);
  TokenizerSource source = load_tokenizer_source(dir_);
  source.config.chat_template = "of the user";
  EXPECT_TRUE(make_tokenizer_package(source, {6}).notes.empty());
}

TEST_F(TokenizerFolder, TemplateFilesCountInsteadOfTheConfig) {
  write("tokenizer.json", Document().text());
  write("tokenizer_config.json", R"({"chat_template":[{"name":"rag","template":"R"}]})");
  write("chat_template.jinja", "F");
  const TokenizerSource source = load_tokenizer_source(dir_);
  EXPECT_TRUE(make_tokenizer_package(source, {6}).notes.empty());  // that no template is the default
  EXPECT_EQ(source.config.chat_template, "F");
  std::filesystem::remove(dir_ / "chat_template.jinja");
  std::filesystem::create_directory(dir_ / "additional_chat_templates");
  write("additional_chat_templates/tools.jinja", "T");
  write("tokenizer_config.json", R"({"chat_template":"C"})");
  EXPECT_EQ(load_tokenizer_source(dir_).config.chat_template, "");
  write("additional_chat_templates/default.jinja", "D");
  EXPECT_EQ(load_tokenizer_source(dir_).config.chat_template, "D");
  for (int i = 0; i < 100; ++i)
    write(fmt::format("additional_chat_templates/{}.jinja", i).c_str(), "");
  EXPECT_EQ(refusal(ErrorKind::kFormat), "more than 100 chat templates");
}

TEST_F(TokenizerFolder, BrokenSmallFilesAreNamed) {
  write("tokenizer.json", Document().text());
  const std::pair<const char*, const char*> broken[] = {
      {"tokenizer_config.json", "[]"},
      {"tokenizer_config.json", R"({"eos_token":5})"},
      {"tokenizer_config.json", R"({"bos_token":{"x":1}})"},
      {"tokenizer_config.json", R"({"add_bos_token":"yes"})"},
      {"tokenizer_config.json", R"({"chat_template":5})"},
      {"tokenizer_config.json", R"({"chat_template":[{"name":"default"}]})"},
      {"tokenizer_config.json", R"({"additional_special_tokens":"x"})"},
      {"tokenizer_config.json", R"({"added_tokens_decoder":[]})"},
      {"tokenizer_config.json", R"({"added_tokens_decoder":{"x":{"content":"y"}}})"},
      {"tokenizer_config.json", R"({"added_tokens_decoder":{"7":{}}})"},
      {"special_tokens_map.json", "nonsense"},
      {"generation_config.json", R"({"eos_token_id":"2"})"},
      {"generation_config.json", R"({"eos_token_id":[2,-2]})"},
      {"chat_template.json", R"({"chat_template":{}})"},
  };
  for (const auto& [name, text] : broken) {
    write(name, text);
    const std::string message = refusal(ErrorKind::kFormat);
    EXPECT_LE(message.find(name), 1u) << text << " -> " << message;  // in front, quoted or not
    std::filesystem::remove(dir_ / name);
  }
}

}  // namespace
}  // namespace llm2mnn
