#include "verify/runtime_tokenizer.h"

#include <functional>
#include <gtest/gtest.h>

#include "base/error.h"
#include "verify/test_tokenizer_files.h"

namespace llm2mnn::verify {
namespace {

using Ids = std::vector<std::uint32_t>;

std::string error_of(const std::string& file) {
  try {
    RuntimeTokenizer::parse(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFormat) << error.what();
    return error.message();
  }
  return {};
}

/// All that the model reports of a file.
std::string content_of(const std::string& file) {
  const auto tokenizer = RuntimeTokenizer::parse(file);
  std::string content = tokenizer.chat_template() + "|" + tokenizer.bos_token() + "|" + tokenizer.eos_token();
  for (const auto id : tokenizer.prefix_ids())
    content += " p" + std::to_string(id);
  for (const auto id : tokenizer.stop_ids())
    content += " s" + std::to_string(id);
  for (std::uint32_t id = 0; id < tokenizer.num_ids(); ++id)
    content += "\n" + tokenizer.decode(id);
  for (const auto id : tokenizer.encode("abc ab<|eos|>c12 b"))
    content += " " + std::to_string(id);
  return content;
}

TEST(RuntimeTokenizer, EncodesTheWorkedExampleAsTheRuntimeDoes) {
  const auto tokenizer = RuntimeTokenizer::parse(MtokSections().file());
  EXPECT_EQ(tokenizer.encode("abc ab<|eos|>c1"), (Ids{5, 3, 4, 6, 2}));
  EXPECT_EQ(tokenizer.num_ids(), 7U);
  EXPECT_EQ(tokenizer.decode(3), " ");
  EXPECT_EQ(tokenizer.decode(6), "<|eos|>");
  EXPECT_EQ(tokenizer.decode(7), "");
  EXPECT_EQ(tokenizer.chat_template(), "{{x}");
  EXPECT_EQ(tokenizer.bos_token(), "<b>");
  EXPECT_EQ(tokenizer.eos_token(), "<|eos|>");
  EXPECT_EQ(tokenizer.stop_ids(), (std::vector<std::int64_t>{6}));
}

TEST(RuntimeTokenizer, PutsThePrefixInFrontOfEveryText) {
  MtokSections sections;
  sections.header = "430 4\n0 1 2\n6 6 0\n";
  const auto tokenizer = RuntimeTokenizer::parse(sections.file());
  EXPECT_EQ(tokenizer.encode(""), (Ids{6, 0}));
  EXPECT_EQ(tokenizer.encode("b"), (Ids{6, 0, 1}));
}

TEST(RuntimeTokenizer, EveryCutOfAFileIsAnErrorOrLeavesOutTheTail) {
  const MtokSections sections;
  const std::string file = sections.file();
  const std::size_t tail = sections.chat.size() + sections.eos.size() + sections.flags.size() +
                           sections.bos.size() + sections.post.size();
  for (std::size_t size = 0; size < file.size(); ++size) {
    if (size == file.size() - tail) {
      EXPECT_NE(content_of(file.substr(0, size)), content_of(file));
    } else if (size != file.size() - sections.post.size()) {  // 3.6.1 has no post-processor at all
      EXPECT_NE(error_of(file.substr(0, size)), "") << "cut at " << size;
    }
  }
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

struct Fault {
  const char* section;  ///< how the message begins
  const char* reason;   ///< what it says
  std::function<void(MtokSections&)> change;
};

TEST(RuntimeTokenizer, EveryFaultOfASectionIsNamed) {
  const std::vector<Fault> faults = {
      {"header", "430", [](auto& s) { s.header = "431 4\n1 1 0\n6 6\n"; }},
      {"header", "type", [](auto& s) { s.header = "430 5\n1 1 0\n6 6\n"; }},
      {"header", "3 (special", [](auto& s) { s.header = "430 4\n1 1\n6 6\n"; }},
      {"header", "the counts say", [](auto& s) { s.header = "430 4\n1 1 0\n6\n"; }},
      {"header", "no number", [](auto& s) { s.header = "430 4\n1 1 0\n6 -6\n"; }},
      {"header", "no number", [](auto& s) { s.header = "430 4\n1 1 0\n6 9999999999\n"; }},
      {"header", "carriage", [](auto& s) { s.header = "430 4\r\n1 1 0\r\n6 6\r\n"; }},
      {"header", "beyond the table", [](auto& s) { s.header = "430 4\n0 1 1\n6 7\n"; }},
      {"header", "beyond the table", [](auto& s) { s.header = "430 4\n1 1 0\n99 6\n"; }},
      {"normalizer", "unknown type 9", [](auto& s) { s.normalizer = MtokBytes().u8(9).bytes(); }},
      {"normalizer", "type 0 inside", [](auto& s) { s.normalizer = MtokBytes().u8(4).u32(1).u8(0).bytes(); }},
      {"normalizer", "do not fit", [](auto& s) { s.normalizer = MtokBytes().u8(4).u32(99999).bytes(); }},
      {"normalizer", "expected 0 or 1",
       [](auto& s) { s.normalizer = MtokBytes().u8(8).u8(2).u8(0).bytes(); }},
      {"normalizer", "not above",
       [](auto& s) { s.normalizer = MtokBytes().u8(6).u32(2).u32(66).text("b").u32(65).text("a").bytes(); }},
      {"normalizer", "not UTF-8", [](auto& s) { s.normalizer = MtokBytes().u8(2).text("\xFF").bytes(); }},
      {"normalizer", "needs",
       [](auto& s) { s.normalizer = MtokBytes().u8(3).text("a").u16(60000).raw("b").bytes(); }},
      {"normalizer", "deep",
       [](auto& s) {
         MtokBytes bytes;
         for (int i = 0; i < 40; ++i)
           bytes.u8(4).u32(1);
         s.normalizer = bytes.u8(1).bytes();
       }},
      {"pre-tokenizer", "unknown type", [](auto& s) { s.pre_tokenizer = MtokBytes().u8(7).bytes(); }},
      {"pre-tokenizer", "type 0 inside",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(6).u32(1).u8(0).bytes(); }},
      {"pre-tokenizer", "unknown behavior",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(4).text("a").u8(0).u8(3).bytes(); }},
      {"pre-tokenizer", "no ']'",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(4).text("[a").u8(0).u8(0).bytes(); }},
      {"pre-tokenizer", "no ')'",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(4).text("(?:a").u8(0).u8(0).bytes(); }},
      {"pre-tokenizer", "follows the ')'",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(4).text("a)|b").u8(0).u8(0).bytes(); }},
      {"pre-tokenizer", "no int",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(4).text("a{99999999999}").u8(0).u8(0).bytes(); }},
      {"pre-tokenizer", "more terms",
       [](auto& s) { s.pre_tokenizer = MtokBytes().u8(4).text(repeated("a?", 32'000)).u8(0).u8(0).bytes(); }},
      {"pre-tokenizer", "more terms",
       [](auto& s) {
         const std::string half = repeated("a?", 2'500);
         s.pre_tokenizer = MtokBytes().u8(4).text(half + "(" + half + ")").u8(0).u8(0).bytes();
       }},
      {"model", "unknown type 3", [](auto& s) { s.model[0] = 3; }},
      {"model", "do not fit", [](auto& s) { s.model[4] = 99; }},
      {"model", "expected 0 or 1", [](auto& s) { s.model[6] = 2; }},
      {"model", "not above the one before", [](auto& s) { s.pieces.replace(s.pieces.find("a"), 1, "z"); }},
      {"model", "the table has 7", [](auto& s) { s.pieces[9] = 7; }},
      {"model", "given twice", [](auto& s) { s.pieces[9] = 5; }},
      {"merges", "do not fit", [](auto& s) { s.model[10] = 1; }},
      {"merges", "the table has 7 ids", [](auto& s) { s.merges[0] = 7; }},
      {"merges", "beyond what the runtime", [](auto& s) { s.merges[11] = 0x7F; }},
      {"merges", "no piece", [](auto& s) { s.merges[4] = 2; }},
      {"merges", "not above the one before",
       [](auto& s) { s.merges = MtokBytes().u32(4).u32(2).u32(1).u32(0).u32(1).u32(0).bytes(); }},
      {"decoder", "unknown type 8", [](auto& s) { s.decoder[0] = 8; }},
      {"decoder", "never ends", [](auto& s) { s.decoder = MtokBytes().u8(5).text("").text("x").bytes(); }},
      {"added tokens", "has no text",
       [](auto& s) { s.added = MtokBytes().u32(1).u32(6).u8(1).u8(0).u8(0).text("").bytes(); }},
      {"added tokens", "is there already",
       [](auto& s) {
         s.added =
             MtokBytes().u32(2).u32(6).u8(1).u8(0).u8(0).text("x").u32(5).u8(1).u8(0).u8(0).text("x").bytes();
       }},
      {"added tokens", "lstrip is 2", [](auto& s) { s.added[9] = 2; }},
      {"added tokens", "do not fit", [](auto& s) { s.added[1] = 9; }},
      {"template", "needs", [](auto& s) { s.chat[1] = 1; }},
      {"template", "not UTF-8", [](auto& s) { s.chat[4] = '\xC0'; }},
      {"eos", "needs", [](auto& s) { s.eos[1] = 9; }},
      {"flags", "unknown flags", [](auto& s) { s.flags[0] = 2; }},
      {"bos", "needs", [](auto& s) { s.bos[1] = 9; }},
      {"post", "follow the end", [](auto& s) { s.post += "x"; }},
      {"post", "unknown operation 2", [](auto& s) { s.post = MtokBytes().u16(1).u8(2).bytes(); }},
      {"post", "plain ids",
       [](auto& s) { s.post = MtokBytes().u16(4).u8(1).u32(1).u8(1).u32(1).u8(1).u32(1).u8(0).bytes(); }},
  };
  for (const Fault& fault : faults) {
    MtokSections sections;
    fault.change(sections);
    const std::string message = error_of(sections.file());
    EXPECT_TRUE(message.starts_with(fault.section))
        << fault.section << ", " << fault.reason << ": " << message;
    EXPECT_NE(message.find(fault.reason), std::string::npos)
        << fault.section << ", " << fault.reason << ": " << message;
    EXPECT_NE(message.find("byte "), std::string::npos) << message;
  }
}

TEST(RuntimeTokenizer, NamesOfBytesMayShareOneId) {
  MtokSections sections;
  sections.model = MtokBytes().u8(0).u32(4).u8(0).u8(0).u32(0).bytes();
  sections.merges = "";
  const auto with_pieces = [&](std::uint32_t second_name, std::uint32_t second_id) {
    sections.header = "430 4\n0 1 0\n0\n";
    sections.added = MtokBytes().u32(0).bytes();
    sections.pieces = MtokBytes().piece("<0xC3>", 1).piece("<0xE2>", second_name).piece("<u>", 1).bytes();
    sections.pieces += MtokBytes().piece("a", second_id).bytes();
    return sections.file();
  };
  const auto tokenizer = RuntimeTokenizer::parse(with_pieces(1, 0));
  EXPECT_EQ(tokenizer.encode("a\xC3\xA9\xE2\x82\xAC"), (Ids{0, 1, 1}));
  EXPECT_EQ(tokenizer.decode(1), "<u>");
  EXPECT_NE(error_of(with_pieces(0, 0)).find("given twice"), std::string::npos);
}

TEST(RuntimeTokenizer, ChangesThatAreNoFaultAreReported) {
  const std::string good = content_of(MtokSections().file());
  const std::vector<std::function<void(MtokSections&)>> changes = {
      [](auto& s) { s.header = "430 4\n1 1 0\n6 5\n"; },
      [](auto& s) { s.header = "430 4\n1 1 1\n6 6 2\n"; },
      [](auto& s) { s.normalizer = MtokBytes().u8(2).text("a").bytes(); },
      [](auto& s) { s.pre_tokenizer = MtokBytes().u8(2).u8(1).bytes(); },
      [](auto& s) { s.pieces.replace(s.pieces.find("<|eos|>"), 7, "<|eoz|>"); },
      [](auto& s) { s.decoder[0] = 4; },
      [](auto& s) { s.chat[4] = 'z'; },
      [](auto& s) { s.eos[4] = 'z'; },
      [](auto& s) { s.bos[3] = 'z'; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    MtokSections sections;
    changes[i](sections);
    EXPECT_NE(content_of(sections.file()), good) << "change " << i;
  }
}

TEST(RuntimeTokenizer, RefusesATextThatTheRuntimeNeedsTooLongFor) {
  MtokSections sections;
  sections.pre_tokenizer = MtokBytes().u8(0).bytes();
  const auto tokenizer = RuntimeTokenizer::parse(sections.file());
  std::string text;
  for (int i = 0; i < 20000; ++i)
    text += "ab";
  try {
    tokenizer.encode(text);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  }
}

/// `encode` ends with an error, and soon.
void expect_too_much_work(const std::string& file, const std::string& text) {
  const auto tokenizer = RuntimeTokenizer::parse(file);
  try {
    tokenizer.encode(text);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("more than some seconds"), std::string::npos) << error.message();
  }
}

TEST(RuntimeTokenizer, TheSearchForAddedTokensIsBounded) {
  MtokSections sections;
  constexpr std::uint32_t kCount = 20'000;
  MtokBytes added = MtokBytes().u32(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i)
    added.u32(6).u8(1).u8(0).u8(0).text("<" + std::to_string(i));
  sections.added = added.bytes();
  expect_too_much_work(sections.file(), std::string(20'000, '<'));
}

TEST(RuntimeTokenizer, TheSearchForSpecialTokensIsBounded) {
  constexpr int kCount = 20'000;
  std::string file = fmt::format("430 1\n{} 1 0\n", kCount);
  file += repeated("0 ", kCount + 1) + "\n1\nYWI=\n";
  expect_too_much_work(file, std::string(200'000, 'x'));
}

TEST(RuntimeTokenizer, TheWorkOfATextFileIsBounded) {
  std::string pieces;  // "aa=", "aaa=", ... in base64: lengths from 3 on
  for (int i = 1; i <= 3'000; ++i)
    pieces += repeated("YWFh", i) + "\n";
  expect_too_much_work("430 1\n0 1 0\n0\n3000\n" + pieces, repeated("aab", 100'000));
  expect_too_much_work("430 2\n0 1 0\n0\n1\nYQ==\n", std::string(60'000, 'z'));
  std::string words;  // each of them less than the limit
  for (int i = 0; i < 60; ++i)
    words += repeated("ab", 1'000) + " ";
  expect_too_much_work("430 3\n0 1 0\n0\n4 1\na\nb\nab\n\xC4\xA0\na b\n", words);
}

TEST(RuntimeTokenizer, EncodesTheFourKindsOfTextFile) {
  // Base64: "a" YQ==, "ab" YWI=, " " IA==, "[UNK]" W1VOS10=, "##b" IyNi, "!" IQ==.
  const auto longest = RuntimeTokenizer::parse("430 1\n0 1 0\n0\n3\nYQ==\nYWI=\nIA==\n");
  EXPECT_EQ(longest.encode("aab xa"), (Ids{0, 1, 2, 0}));
  const auto words = RuntimeTokenizer::parse("430 2\n0 1 0\n0\n4\nW1VOS10=\nYQ==\nIyNi\nIQ==\n");
  EXPECT_EQ(words.encode("AB! b"), (Ids{1, 2, 3, 0}));
  const auto bytes = RuntimeTokenizer::parse("430 3\n0 1 0\n0\n3 1\na\nb\nab\na b\n");
  EXPECT_EQ(bytes.encode("aab"), (Ids{0, 2}));
  EXPECT_THROW(bytes.encode("c"), Error);  // the runtime aborts
  const auto scored =
      RuntimeTokenizer::parse("430 0\n0 1 0\n0\n4\nPHVuaz4= 0 2\n4paB -1 1\nYQ== -2 1\n4paBYQ== -0.5 1\n");
  EXPECT_EQ(scored.encode("a a"), (Ids{3, 3}));
  EXPECT_EQ(scored.decode(3), " a");
}

TEST(RuntimeTokenizer, RefusesTextFilesThatTheRuntimeWouldMisread) {
  EXPECT_NE(error_of("430 1\n0 1 0\n0\n3\nYQ==\nYWI=\n"), "");      // a line is missing
  EXPECT_NE(error_of("430 1\n0 1 0\n0\n1\nYQ==\nYWI=\n"), "");      // a line too many
  EXPECT_NE(error_of("430 1\n0 1 0\n0\n1\nY!==\n"), "");            // not base64
  EXPECT_NE(error_of("430 1\n0 1 0\n0\n1\n\n"), "");                // an empty piece never ends
  EXPECT_NE(error_of("430 0\n0 1 0\n0\n1\nYQ== x 1\n"), "");        // no score
  EXPECT_NE(error_of("430 0\n0 1 0\n0\n1\nYQ== 1 7\n"), "");        // no type
  EXPECT_NE(error_of("430 3\n0 1 0\n0\n2 1\na\nb\na b\n"), "");     // a merge without a piece
  EXPECT_NE(error_of("430 3\n0 1 0\n0\n2 0\na\na\n"), "");          // a piece twice
  EXPECT_NE(error_of("430 3\n0 1 0\n0\n3 1\na\nb\nab\nab\n"), "");  // a merge without a blank
}

TEST(RuntimeTokenizer, NormalizesAsTheRuntimeDoes) {
  MtokSections sections;
  sections.pre_tokenizer = MtokBytes().u8(0).bytes();
  // Strip takes nothing off the right end; Replace goes from left to right once.
  sections.normalizer = MtokBytes().u8(4).u32(2).u8(8).u8(1).u8(1).u8(3).text("xx").text("a").bytes();
  EXPECT_EQ(RuntimeTokenizer::parse(sections.file()).encode("  xxxxb"), (Ids{0, 4}));
  sections.normalizer = MtokBytes().u8(7).u8(1).u8(1).u8(1).u8(1).u32(1).u32(0xE1).text("a\xCC\x81").bytes();
  EXPECT_EQ(RuntimeTokenizer::parse(sections.file())
                .encode("\xC3\xA1"
                        "BC"),
            (Ids{5}));
}

TEST(RuntimeTokenizer, APatternThatBacktracksWithoutEndIsAnError) {
  MtokSections sections;
  // No ASCII, no \p: std::wregex, to which "++" is a repeated repetition.
  sections.pre_tokenizer = MtokBytes().u8(4).text("[^\xE2\x96\x81]++\xE2\x96\x87").u8(0).u8(0).bytes();
  const auto tokenizer = RuntimeTokenizer::parse(sections.file());
  EXPECT_THROW(tokenizer.encode(std::string(60, 'a')), Error);
}

TEST(RuntimeTokenizer, APatternThatBacktracksAtTheEndOfATextIsAnError) {
  MtokSections sections;
  const std::string pattern = "x" + repeated("(|)", 30) + "\xC3\xA9";
  sections.pre_tokenizer = MtokBytes().u8(4).text(pattern).u8(0).u8(0).bytes();
  const auto tokenizer = RuntimeTokenizer::parse(sections.file());
  EXPECT_THROW(tokenizer.encode("x"), Error);
}

}  // namespace
}  // namespace llm2mnn::verify
