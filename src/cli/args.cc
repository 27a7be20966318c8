#include "cli/args.h"

#include <algorithm>
#include <set>

#include "base/near_match.h"

namespace llm2mnn::cli {
namespace {

constexpr int kMaxBlock = 1 << 19;  // the widest row that is supported at all

bool is_command(std::string_view word) { return !word.starts_with("-"); }

// "-4" is a value (which its flag then refuses by name), "-x" and "--x" are flags.
bool looks_like_flag(std::string_view word) {
  return word.size() > 1 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9');
}

[[noreturn]] void fail_unknown_flag(const CommandSyntax& syntax, std::string_view word) {
  std::vector<std::string> known;
  for (const KnownFlag& flag : syntax.flags) {
    if (flag.suggested) known.push_back(flag.name);
  }
  fail(ErrorKind::kInvalidArgument, "{}: unknown flag{}; see llm2mnn {} --help", shown(word),
       did_you_mean(word, known), syntax.name);
}

}  // namespace

std::vector<std::string> normalised_arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  bool flags_ended = false;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    flags_ended = flags_ended || word == "--";
    if (!flags_ended && word.size() > 2 && word.starts_with("--")) {
      const std::size_t end = std::min(word.find('='), word.size());
      std::replace(word.begin() + 2, word.begin() + static_cast<std::ptrdiff_t>(end), '-', '_');
    }
    arguments.push_back(std::move(word));
  }
  const bool front_flag = !arguments.empty() && !is_command(arguments.front()) &&
                          arguments.front() != "--help" && arguments.front() != "-h" &&
                          arguments.front() != "--version";
  if (front_flag) arguments.insert(arguments.begin(), "export");
  return arguments;
}

std::int64_t parse_number(std::string_view flag, std::string_view text, std::int64_t max) {
  const bool digits =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (text.size() > 1 && text.front() == '0')) {
    fail(ErrorKind::kInvalidArgument, "{} {}: expected a number in plain decimal digits", flag, shown(text));
  }
  std::int64_t value = 0;
  for (const char c : text) {
    value = value * 10 + (c - '0');
    if (value > max)
      fail(ErrorKind::kInvalidArgument, "{} {}: at most {} is allowed", flag, shown(text), max);
  }
  return value;
}

void check_words(const CommandSyntax& syntax, std::span<const std::string> words) {
  if (std::find(words.begin(), words.end(), "--help") != words.end()) return;  // help answers everything
  std::set<std::string_view> seen;
  std::size_t arguments = 0;
  bool flags_ended = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!flags_ended && word == "--") {
      flags_ended = true;
      continue;
    }
    if (flags_ended || word.size() < 2 || word[0] != '-') {
      if (++arguments <= syntax.max_arguments) continue;
      fail(ErrorKind::kInvalidArgument, "{}: {}; see llm2mnn {} --help", shown(word),
           syntax.max_arguments == 0 ? "belongs to no flag" : "one argument too many", syntax.name);
    }
    if (word == "-h") return;
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto flag = std::find_if(syntax.flags.begin(), syntax.flags.end(),
                                   [&](const KnownFlag& known) { return known.name == name; });
    if (flag == syntax.flags.end()) fail_unknown_flag(syntax, name);
    if (!flag->takes_value) {
      if (equals != std::string_view::npos) {
        fail(ErrorKind::kInvalidArgument, "{}: takes no value, found {}; leave the flag out to turn it off",
             name, shown(word.substr(equals + 1)));
      }
      continue;
    }
    if (!seen.insert(name).second) fail(ErrorKind::kInvalidArgument, "{}: given twice", name);
    if (equals != std::string_view::npos) {
      if (equals + 1 == word.size()) fail(ErrorKind::kInvalidArgument, "{}: the value is empty", name);
      continue;
    }
    ++i;
    if (i == words.size()) {
      fail(ErrorKind::kInvalidArgument, "{}: its value is missing; see llm2mnn {} --help", name, syntax.name);
    }
    if (looks_like_flag(words[i])) {
      fail(ErrorKind::kInvalidArgument, "{0}: its value is missing; {1} is read as a flag ({0}=VALUE if not)",
           name, shown(words[i]));
    }
  }
}

int parse_quant_bit(std::string_view flag, std::string_view text) {
  const std::int64_t bits = parse_number(flag, text, kAnyNumber);
  if ((bits < 2 || bits > 8) && bits != 16 && bits != 32) {
    fail(ErrorKind::kInvalidArgument, "{} {}: expected 2 to 8, 16 (FP16) or 32 (FP32)", flag, shown(text));
  }
  return static_cast<int>(bits);
}

int parse_quant_block(std::string_view flag, std::string_view text, bool is_used) {
  const std::int64_t block = parse_number(flag, text, kMaxBlock);
  if (is_used && block % 16 != 0) {
    fail(ErrorKind::kInvalidArgument, "{} {}: expected 0 (whole rows) or a multiple of 16", flag,
         shown(text));
  }
  return static_cast<int>(block);
}

const std::vector<ForeignFlag>& foreign_flags() {
  constexpr const char* kCalibrated =
      "calibrated methods are not part of this version; plain rounding is what it does";
  constexpr const char* kVisual =
      "vision encoders are not exported by this version; it writes the text decoder";
  static const std::vector<ForeignFlag> flags = {
      {"--mnnconvert", true, false, "no converter is needed: llm.mnn is written directly"},
      {"--onnx_slim", false, false, "the graph has nothing to slim"},
      {"--transformer_fuse", false, false, "attention is always the fused op"},
      {"--group_conv_native", false, false, "a text decoder has no group convolution"},
      {"--disable_fuse_qkv", false, false, "projections are written separately, as release 3.6.1 reads them"},
      {"--disable_fuse_gate_up", false, false,
       "projections are written separately, as release 3.6.1 reads them"},
      {"--disable_fuse_ln", false, false, "norms are written as release 3.6.1 reads them"},
      {"--disable_fuse_linear_attn_gate", false, false, "no supported family has linear attention"},
      {"--skip_weight", false, true,
       "a package without weights would answer nonsense; --dry_run shows the plan"},
      {"--awq", false, true, kCalibrated},
      {"--smooth", false, true, kCalibrated},
      {"--omni", false, true, kCalibrated},
      {"--omni_epochs", true, true, kCalibrated},
      {"--omni_lr", true, true, kCalibrated},
      {"--omni_wd", true, true, kCalibrated},
      {"--act_bit", true, true, kCalibrated},
      {"--act_sym", false, true, kCalibrated},
      {"--calib_data", true, true, kCalibrated},
      {"--quant_config", true, true,
       "recipes are not part of this version; --quant_bit and --lm_quant_bit set the widths"},
      {"--lora_path", true, true,
       "LoRA weights are not merged by this version; merge them into the checkpoint first"},
      {"--lora_split", false, true,
       "LoRA weights are not exported by this version; merge them into the checkpoint first"},
      {"--gptq_path", true, true, "GPTQ files are not read by this version; give the unquantised checkpoint"},
      {"--eagle_path", true, true, "speculative heads are not exported by this version"},
      {"--dflash_path", true, true, "speculative heads are not exported by this version"},
      {"--test", true, true, "this tool does not run models; load the package in the MNN runtime"},
      {"--ppl", false, true, "this tool does not run models; set all_logits in the runtime"},
      {"--visual_quant_bit", true, true, kVisual},
      {"--visual_quant_block", true, true, kVisual},
      {"--visual_sym", false, true, kVisual},
      {"--generate_for_npu", false, true, "NPU packages are not written by this version"},
      {"--disable_transformer_c4", false, true, "use --compat 3.1 for the graph without packed layouts"},
  };
  return flags;
}

}  // namespace llm2mnn::cli
