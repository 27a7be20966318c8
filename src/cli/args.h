#pragma once
// From words on the command line to checked options. `-` and `_` are the same in every flag name; numbers are
// plain decimal digits; a flag that cannot be honoured is an error that says so by name.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "convert/options.h"

namespace llm2mnn::cli {

/// The command line with flag names normalised ("--quant-bit=4" to "--quant_bit=4") and "export" put in front
/// when the first word is a flag of its own.
std::vector<std::string> normalised_arguments(int argc, const char* const* argv);

/// A non-negative number of plain decimal digits, at most `max`.
/// @throws Error(kInvalidArgument) "--flag 'x': ...".
std::int64_t parse_number(std::string_view flag, std::string_view text, std::int64_t max);

/// A limit for numbers of which a list of the good ones says more than "at most".
inline constexpr std::int64_t kAnyNumber = 1'000'000'000'000;

struct KnownFlag {
  std::string name;  ///< with dashes
  bool takes_value = false;
  bool suggested = true;  ///< as a near match of a misspelt word
};
/// What a command understands.
struct CommandSyntax {
  std::string name;
  std::vector<KnownFlag> flags;
  std::size_t max_arguments = 0;  ///< words that are neither flags nor their values
};
/// Checks the words behind the name of a command, before any of them has an effect.
/// @throws Error(kInvalidArgument) naming the first word that is unknown, lacks its value, has one that it
/// does not take, or is given twice.
void check_words(const CommandSyntax& syntax, std::span<const std::string> words);

/// `--quant_bit` and `--lm_quant_bit`: 2-8, 16 or 32.
int parse_quant_bit(std::string_view flag, std::string_view text);
/// `--quant_block` and `--lm_quant_block`: 0 or a multiple of 16. Where `is_used` is false (16 and 32 bits)
/// any number will do, since nobody looks at it.
int parse_quant_block(std::string_view flag, std::string_view text, bool is_used = true);

/// A flag of MNN's llmexport that this tool knows but does not act on.
struct ForeignFlag {
  const char* name;  ///< with dashes
  bool takes_value;
  bool refused;  ///< false: accepted without effect, which is said
  const char* reason;
};
const std::vector<ForeignFlag>& foreign_flags();

}  // namespace llm2mnn::cli
