#include "cli/args.h"

#include <gtest/gtest.h>

namespace llm2mnn::cli {
namespace {

std::vector<std::string> normalised(std::vector<const char*> words) {
  words.insert(words.begin(), "llm2mnn");
  return normalised_arguments(static_cast<int>(words.size()), words.data());
}

using Words = std::vector<std::string>;

TEST(Arguments, DashesInFlagNamesBecomeUnderscoresAndValuesStay) {
  EXPECT_EQ(normalised({"export", "--dst-path", "my-model", "--quant-bit=4"}),
            (Words{"export", "--dst_path", "my-model", "--quant_bit=4"}));
  EXPECT_EQ(normalised({"export", "--dst-path=a-b=c-d"}), (Words{"export", "--dst_path=a-b=c-d"}));
}

TEST(Arguments, AFlagInFrontMeansExport) {
  EXPECT_EQ(normalised({"--path", "x"}), (Words{"export", "--path", "x"}));
  EXPECT_EQ(normalised({"--help"}), Words{"--help"});
  EXPECT_EQ(normalised({"--version"}), Words{"--version"});
  EXPECT_EQ(normalised({"inspect", "x"}), (Words{"inspect", "x"}));
}

TEST(Arguments, NumbersArePlainDecimalDigits) {
  EXPECT_EQ(parse_number("--threads", "12", 100), 12);
  EXPECT_EQ(parse_number("--threads", "0", 100), 0);
  for (const char* bad :
       {"", "-1", "+1", "1.0", "0x4", " 4", "4 ", "04", "1e1", "٤", "101", "99999999999999999999"}) {
    EXPECT_THROW(parse_number("--threads", bad, 100), Error) << bad;
  }
}

TEST(Arguments, QuantBitIsTwoToEightOrSixteenOrThirtyTwo) {
  for (const int bits : {2, 3, 4, 5, 6, 7, 8, 16, 32}) {
    EXPECT_EQ(parse_quant_bit("--quant_bit", std::to_string(bits)), bits);
  }
  for (const int bits : {0, 1, 9, 15, 17, 31, 33}) {
    EXPECT_THROW(parse_quant_bit("--quant_bit", std::to_string(bits)), Error) << bits;
  }
}

TEST(Arguments, QuantBlockIsAMultipleOfSixteen) {
  for (const int block : {0, 16, 32, 48, 64, 1024}) {
    EXPECT_EQ(parse_quant_block("--quant_block", std::to_string(block)), block);
  }
  for (const int block : {1, 8, 24, 63}) {
    EXPECT_THROW(parse_quant_block("--quant_block", std::to_string(block)), Error) << block;
  }
}

TEST(Arguments, WordsBehindTheEndOfFlagsStayAsTheyAre) {
  EXPECT_EQ(normalised({"inspect", "--", "--my-dir"}), (Words{"inspect", "--", "--my-dir"}));
}

// The message of check_words for an export-like command, or "" when nothing is wrong.
std::string complaint(const Words& words, std::size_t max_arguments = 0) {
  const CommandSyntax syntax = {
      "export",
      {{"--path", true}, {"--quant_bit", true}, {"--sym", false}, {"--awq", false, false}, {"--help", false}},
      max_arguments};
  try {
    check_words(syntax, words);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return error.message();
  }
  return "";
}

TEST(Arguments, GoodWordsPass) {
  EXPECT_EQ(complaint({"--path", "x", "--quant_bit=4", "--sym", "--sym"}), "");
  EXPECT_EQ(complaint({"--path=-x", "--quant_bit", "-4"}), "");
  EXPECT_EQ(complaint({"dir", "--path", "x"}, 1), "");
  EXPECT_EQ(complaint({"--", "--path"}, 1), "");
  EXPECT_EQ(complaint({"--nonsense", "--help"}), "");
}

TEST(Arguments, EachBadWordIsNamed) {
  EXPECT_EQ(complaint({"--pth", "x"}),
            "'--pth': unknown flag; did you mean '--path'?; see llm2mnn export --help");
  EXPECT_EQ(complaint({"--awk"}), "'--awk': unknown flag; see llm2mnn export --help");
  EXPECT_EQ(complaint({"-p"}), "'-p': unknown flag; see llm2mnn export --help");
  EXPECT_EQ(complaint({"--path"}), "--path: its value is missing; see llm2mnn export --help");
  EXPECT_EQ(complaint({"--path", "--sym"}),
            "--path: its value is missing; '--sym' is read as a flag (--path=VALUE if not)");
  EXPECT_EQ(complaint({"--path="}), "--path: the value is empty");
  EXPECT_EQ(complaint({"--path", "x", "--path=y"}), "--path: given twice");
  EXPECT_EQ(complaint({"--sym=false"}),
            "--sym: takes no value, found 'false'; leave the flag out to turn it off");
  EXPECT_EQ(complaint({"x"}), "'x': belongs to no flag; see llm2mnn export --help");
  EXPECT_EQ(complaint({"x", "y"}, 1), "'y': one argument too many; see llm2mnn export --help");
}

}  // namespace
}  // namespace llm2mnn::cli
