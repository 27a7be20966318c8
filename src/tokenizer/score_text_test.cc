#include "tokenizer/score_text.h"

#include <bit>
#include <cstdint>
#include <gtest/gtest.h>
#include <string>

namespace llm2mnn {
namespace {

// Bits that the wheel tokenizers 0.22.2 gives back; of 300,000 decimals made at random ours are the same.
TEST(ScoreText, MakesTheDoublesOfTokenizers) {
  constexpr struct {
    const char* text;
    std::uint64_t bits;
  } kCases[] = {
      {"-13.379560470581055", 0xC02AC255C0000001},
      {"-11.238569259643555", 0xC0267A25C0000001},
      {"-1.3421825343810045", 0xBFF5799464A6DC67},
      {"-18.982389450073242", 0xC032FB7DDFFFFFFF},
      {"-3.9187933964365507", 0xC00F59B05A2BCE54},
      {"-28.3449683001287723e-81", 0xAF6AE31C6BDED882},
      {"-2.41686037278706357e-110", 0xA92D0FC6F29BA647},
      {"-4.22684556947e151", 0xDF69D353364D4E52},
      {"-29.75656332029274617491E+169", 0xE353B635535FBA59},
      {"-128234586387196797656928353342", 0xC5F9E5929E9705EA},
      {"259449308306489014716737", 0x44CB78633949B38E},
      {"18446744073709551616", 0x43F0000000000000},
      {"1844674407370955161.5", 0x43B999999999999A},
      {"1.5e-320", 0x0000000000000BDC},
      {"-123e-330", 0x8000000000000000},
      {"0e99999999999999999999", 0},
      {"1e-99999999999999999999", 0},
      {"-0", 0x8000000000000000},
      {"-8", 0xC020000000000000},
  };
  for (const auto& [text, bits] : kCases) {
    const std::optional<double> score = parse_score(text);
    ASSERT_TRUE(score) << text;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*score), bits) << text;
  }
}

TEST(ScoreText, HasNoneBeyondTheLargestDouble) {
  for (const char* text : {"1e309", "-1e309", "1e99999999999999999999", "10e308"})
    EXPECT_FALSE(parse_score(text)) << text;
  EXPECT_FALSE(parse_score("1" + std::string(400, '0')));
  EXPECT_EQ(parse_score("1" + std::string(400, '0') + "e-400"), 1.0);
  EXPECT_EQ(parse_score("0." + std::string(400, '0') + "1e402"), 10.0);
}

}  // namespace
}  // namespace llm2mnn
