#include "convert/tokenizer_proof.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <future>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "convert/package_names.h"
#include "convert/tokenizer_limits.h"
#include "verify/runtime_tokenizer.h"

namespace llm2mnn {
namespace {

constexpr std::array<std::string_view, 40> kTexts = {
    "",
    "abc",
    "Hello, world! How are you today?",
    "The quick brown fox jumps over the lazy dog; it's 5 o'clock and they'll say WE'RE late.",
    "  two leading blanks,   three inside, two at the end  ",
    " one leading blank",
    "\n\nfirst line\r\n\tsecond\t\tline\n   \n end\n",
    "def f(x):\n    if x > 0:\n        return [i**2 for i in range(10)]  # squares\n",
    "int main() { return a->b != c::d && (e <<= 0x1F); } // {\"k\": [1, 2.5e-3, null]}",
    "<div class=\"x\">&nbsp;</div> https://example.org/a?b=c&d=%20#frag user@host.org",
    "0 1 12 123 1234 12345 1234567890 3.14159 1,000,000 2024-05-17T08:30:00Z",
    "\xC2\xBD \xC2\xB2 \xE2\x85\xA7 \xE2\x91\xA9 \xD9\xA3\xD9\xA4 \xE0\xA5\xA9\xE0\xA5\xAA \xEF\xBC\x95",
    "caf\xC3\xA9 na\xC3\xAFve \xC3\x85ngstr\xC3\xB6m \xC3\x9C"
    "ber stra\xC3\x9F"
    "e \xC5\x81\xC3\xB3\xC5\xBA",
    "cafe\xCC\x81 nai\xCC\x88ve A\xCC\x8Angstro\xCC\x88m o\xCC\xA3\xCC\x82 q\xCC\x87\xCC\xA3",
    "Vi\xE1\xBB\x87t Nam, ti\xE1\xBA\xBFng Vi\xE1\xBB\x87t, nhi\xE1\xBB\x81u vi\xE1\xBB\x87"
    "c",
    "T\xC3\xBCrk\xC3\xA7"
    "e k\xC3\xBC\xC3\xA7\xC3\xBCk \xC4\xB0stanbul \xC4\xB1\xC5\x9F\xC4\xB1k",
    "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, \xD0\xB4\xD0\xB0\xD0\xB6\xD0\xB5 "
    "\xD0\xBC\xD0\xB8\xD1\x80",
    "\xCE\x9A\xCE\xB1\xCE\xBB\xCE\xB7\xCE\xBC\xCE\xAD\xCF\x81\xCE\xB1 "
    "\xCE\xBA\xCF\x8C\xCF\x83\xCE\xBC\xCE\xB5",
    "\xE4\xBD\xA0\xE5\xA5\xBD\xEF\xBC\x8C\xE4\xB8\x96\xE7\x95\x8C\xE3\x80\x82\xE4\xBB\x8A\xE5\xA4\xA9"
    "2024"
    "\xE5\xB9\xB4",
    "\xE3\x81\x93\xE3\x82\x93\xE3\x81\xAB\xE3\x81\xA1\xE3\x81\xAF\xE3\x80\x81\xE3\x82\xAB\xE3\x82\xBF\xE3\x82"
    "\xAB"
    "\xE3\x83\x8A\xE3\x80\x80\xEF\xBC\xA1",
    "\xEC\x95\x88\xEB\x85\x95\xED\x95\x98\xEC\x84\xB8\xEC\x9A\x94 \xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB",
    "\xD9\x85\xD8\xB1\xD8\xAD\xD8\xA8\xD8\xA7 "
    "\xD8\xA8\xD9\x90\xD8\xA7\xD9\x84\xD8\xB9\xD9\x8E\xD8\xA7\xD9\x84\xD9"
    "\x85\xD8\x8C \xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D",
    "\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87 "
    "\xE0\xA4\xA6\xE0\xA5\x81\xE0\xA4\xA8\xE0\xA4\xBF\xE0\xA4\xAF\xE0\xA4\xBE \xE0\xA5\xA4",
    "\xE0\xB8\xAA\xE0\xB8\xA7\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5\xE0\xB8\x8A\xE0\xB8\xB2\xE0\xB8"
    "\xA7"
    "\xE0\xB9\x82\xE0\xB8\xA5\xE0\xB8\x81",
    "\xF0\x9F\x98\x80 \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 "
    "\xF0\x9F\x87\xA9"
    "\xF0\x9F\x87\xAA \xE2\x9D\xA4\xEF\xB8\x8F \xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
    "\xE2\x80\x9Cquotes\xE2\x80\x9D \xE2\x80\x93 dash \xE2\x80\xA6 \xC2\xAB"
    "fr\xC2\xBB \xE2\x82\xAC"
    "5 \xC2\xA3 \xC2\xA7 \xC2\xA9",
    "x\xE2\x82\x82 \xE2\x88\x91 \xE2\x89\xA4 \xE2\x88\x80x\xE2\x88\x88\xE2\x84\x9D \xCF\x80\xE2\x89\x88"
    "3 \xE2\x86\x92 \xE2\x98\x83",
    "\xEF\xAC\x81 \xEF\xBC\xA1\xEF\xBC\xA2 \xE2\x84\xAB \xE2\x84\xA6 \xE3\x8E\x8F \xC7\x86",
    "no\xC2\xA0"
    "break\xE2\x80\x83"
    "em\xE3\x80\x80wide\xE2\x80\xAFnarrow",
    "zero\xE2\x80\x8Bwidth \xE2\x80\x8Ejoin\xE2\x80\x8D \xEF\xBB\xBF"
    "bom soft\xC2\xADhyphen",
    "control \x01\x02\x1B[0m \x7F end",
    "line\xC2\x85next \xE2\x80\xA8separator \xE2\x80\xA9paragraph",
    "private \xEE\x80\x80 \xF3\xB0\x80\x80 \xEF\xBF\xBD",
    "old scripts \xF0\x90\x8D\x88 \xF0\x92\x80\x80 \xF0\x9D\x95\xB3",
    "\xE2\x96\x81mark \xE2\x96\x81 a\xE2\x96\x81"
    "b",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "----====####****....!!!!????____    \t\t\t\t",
    "Donaudampfschifffahrtsgesellschaft pneumonoultramicroscopicsilicovolcanoconiosis",
    "<s> </s> <pad> [CLS] [SEP] <|endoftext|> <0x41>",
    "user\nWhat's 12+34?\nassistant\n46.\n",
};

/// Added tokens at the edges and inside of texts: some of the first and of the last of the list.
std::vector<std::string> texts_of(const TokenizerModel& model) {
  constexpr std::size_t kEach = 3;
  std::vector<std::string> texts(kTexts.begin(), kTexts.end());
  for (std::size_t i = 0; i < model.added.size(); ++i) {
    if (i >= kEach && i + kEach < model.added.size()) continue;
    const std::string& token = model.added[i].content;
    texts.push_back(fmt::format("before {} after{}{}end", token, token, token));
    texts.push_back(fmt::format("{} \n text", token));
  }
  return texts;
}

/// The files are our own: what the runtime does not read is a fault of the writers.
verify::RuntimeTokenizer parse(std::string_view name, std::string_view bytes) {
  try {
    return verify::RuntimeTokenizer::parse(bytes);
  } catch (Error& error) {
    if (error.kind() == ErrorKind::kUnsupported) {  // a pattern whose work has no bound
      error.add_context(name);
      throw;
    }
    fail(ErrorKind::kInternal, "the {} of this export is not what the runtime reads: {}; please report it",
         name, error.message());
  }
}

/// `failure` is why the runtime would give none, else empty.
std::vector<std::uint32_t> runtime_ids(const verify::RuntimeTokenizer& runtime, std::string_view text,
                                       std::string& failure) {
  try {
    return runtime.encode(text);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUnsupported) throw;
    failure = error.message();
    return {};
  }
}

/// A text and what Hugging Face makes of it, without the prefix.
struct Sample {
  std::string text;
  std::vector<std::uint32_t> ids;
};

/// Texts that Hugging Face refuses are no samples.
std::vector<Sample> samples_of(const Encoder& encoder) {
  std::vector<Sample> samples;
  for (std::string& text : texts_of(encoder.model())) {
    try {
      std::vector<std::uint32_t> ids = encoder.encode(text, false);
      samples.push_back({std::move(text), std::move(ids)});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUnsupported) throw;
    }
  }
  return samples;
}

/// What the files say beside the vocabulary is written once more from the package.
void check_small_parts(std::string_view name, const verify::RuntimeTokenizer& file,
                       const TokenizerModel& model, const TokenizerPackage& package) {
  const auto check = [name](bool is_right, std::string_view what) {
    if (!is_right)
      fail(ErrorKind::kInternal, "the {} of this export has another {} than its checkpoint; please report it",
           name, what);
  };
  check(std::ranges::equal(file.prefix_ids(), model.prefix_ids), "prefix");
  check(file.stop_ids() == package.stop_ids, "list of stop ids");
  if (name != kMtokName) return;  // the other one holds no texts
  check(file.chat_template() == package.template_plan.text, "chat template");
  check(file.eos_token() == package.eos_token, "EOS token");
  // The template's probe in the runtime wants a BOS where the checkpoint has none.
  const bool is_stand_in = package.bos_token.empty() && package.hide_bos_in_template;
  check(is_stand_in ? !file.bos_token().empty() : file.bos_token() == package.bos_token, "BOS token");
}

std::string_view without_blanks_around(std::string_view text) {
  while (text.starts_with(' '))
    text.remove_prefix(1);
  while (text.ends_with(' '))
    text.remove_suffix(1);
  return text;
}

/// An added token prints as its text with U+2581 as a blank, or as Hugging Face prints it. Blanks around it
/// do not count: the decoder of WordPiece puts one in front of every word.
bool prints_as_expected(const std::string& found, const AddedToken& token, const Encoder& encoder) {
  std::string plain;
  constexpr std::string_view kVisibleBlank = "\xE2\x96\x81";
  for (std::size_t at = 0; at < token.content.size();) {
    const bool is_blank = std::string_view(token.content).substr(at).starts_with(kVisibleBlank);
    plain += is_blank ? ' ' : token.content[at];
    at += is_blank ? kVisibleBlank.size() : 1;
  }
  if (without_blanks_around(found) == without_blanks_around(plain)) return true;
  const std::uint32_t ids[] = {token.id};
  return without_blanks_around(found) == without_blanks_around(encoder.decode(ids, false));
}

/// Whether a byte of `text` is no piece: the runtime's byte-level BPE of tokenizer.txt stops the program
/// there.
bool lacks_bytes(const TokenizerModel& model, std::string_view text) {
  if (!is_byte_level(model)) return false;
  return std::any_of(text.begin(), text.end(),
                     [&](char c) { return !model.pieces.find(to_byte_alphabet(std::string_view(&c, 1))); });
}

TokenizerProof::File compare(std::string name, const verify::RuntimeTokenizer& runtime,
                             const Encoder& encoder, const TokenizerPackage& package,
                             const std::vector<Sample>& samples) {
  const bool is_exact = name == kMtokName;
  constexpr std::string_view kApproximation = "the file is an approximation";
  const TokenizerModel& model = encoder.model();
  TokenizerProof::File file;
  file.name = std::move(name);
  file.tested = samples.size();
  check_small_parts(file.name, runtime, model, package);
  std::optional<TokenizerLimits> limits;
  for (const Sample& sample : samples) {
    std::string failure;
    const std::vector<std::uint32_t> found = runtime_ids(runtime, sample.text, failure);
    // A prefix that is right stands in front of all that the runtime gives.
    const std::span<const std::uint32_t> rest =
        std::span(found).subspan(std::min(found.size(), model.prefix_ids.size()));
    if (failure.empty() && std::ranges::equal(rest, sample.ids)) continue;
    std::string reason;
    if (!failure.empty()) {
      if (!is_exact && lacks_bytes(model, sample.text))
        reason = "it stops at bytes that the vocabulary lacks";
    } else if (!is_exact) {
      reason = kApproximation;
    } else {
      if (!limits) limits.emplace(model, !package.template_plan.text.empty());
      reason = limits->explain(sample.text, rest, sample.ids);
    }
    file.differences.push_back({sample.text, std::move(reason), std::move(failure)});
  }
  for (const AddedToken& token : model.added) {
    const std::string found = runtime.decode(token.id);
    if (prints_as_expected(found, token, encoder)) continue;
    file.misprinted.push_back({token.content, std::string(is_exact ? "" : kApproximation), {}});
  }
  return file;
}

}  // namespace

std::size_t TokenizerProof::File::unexplained() const {
  const auto has_no_reason = [](const Difference& difference) { return difference.reason.empty(); };
  return static_cast<std::size_t>(std::ranges::count_if(differences, has_no_reason) +
                                  std::ranges::count_if(misprinted, has_no_reason));
}

const TokenizerProof::Difference* TokenizerProof::File::first_unexplained() const {
  for (const auto* list : {&differences, &misprinted}) {
    for (const Difference& difference : *list)
      if (difference.reason.empty()) return &difference;
  }
  return nullptr;
}

std::string TokenizerProof::File::summary() const {
  std::string line =
      fmt::format("{}: {} of {} texts as in the checkpoint", name, tested - differences.size(), tested);
  constexpr std::size_t kShown = 40;
  if (!misprinted.empty()) {
    line += fmt::format("; {} added tokens print otherwise, as {}", misprinted.size(),
                        shown(misprinted.front().text, kShown));
  }
  if (const Difference* odd = first_unexplained()) {
    line += fmt::format("; {} without a known reason, as {}{}", unexplained(), shown(odd->text, kShown),
                        odd->failure.empty() ? "" : " (" + odd->failure + ")");
  } else if (!differences.empty()) {
    line += fmt::format("; others, as {}: {}", shown(differences.front().text, kShown),
                        differences.front().reason);
  }
  return line;
}

MtokReadback::MtokReadback(const TokenizerPackage& package)
    : reading_(std::async(std::launch::async | std::launch::deferred,
                          [&package] { return parse(kMtokName, package.mtok); })) {}

TokenizerProof prove_tokenizer(const Encoder& encoder, const TokenizerPackage& package,
                               MtokReadback readback) {
  const std::vector<Sample> samples = samples_of(encoder);
  TokenizerProof result;
  // One file after the other: each takes some tens of MB when the vocabulary is large.
  result.mtok = compare(kMtokName, readback.take(), encoder, package, samples);
  result.txt = compare(kTxtName, parse(kTxtName, package.txt), encoder, package, samples);
  return result;
}

TokenizerProof prove_tokenizer(const Encoder& encoder, const TokenizerPackage& package) {
  return prove_tokenizer(encoder, package, MtokReadback(package));
}

}  // namespace llm2mnn
