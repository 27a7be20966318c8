#include "cli/text_commands.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fmt/ranges.h>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/cancel.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "convert/chat_prompt.h"
#include "convert/text_tokenizer.h"

namespace llm2mnn::cli {
namespace {

// The lines of a file or of standard input, one at a time.
class Lines {
 public:
  explicit Lines(const std::filesystem::path& path)
      : name_(path.empty() ? "standard input" : shown(path.string())) {
    if (path.empty()) {
      stream_ = stdin;
      return;
    }
    // Opened twice: the first tells a directory, a FIFO or a device by its one-line reason.
    File::open_regular(path);
    stream_ = std::fopen(path.c_str(), "rb");
    if (stream_ == nullptr) fail(ErrorKind::kIo, "{}: {}", name_, system_message(errno));
  }
  ~Lines() {
    if (stream_ != stdin && stream_ != nullptr) std::fclose(stream_);
    std::free(buffer_);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  /// The next line without its "\n"; false at the end. A last line needs no "\n".
  bool next(std::string_view& line) {
    const ssize_t size = getline(&buffer_, &capacity_, stream_);
    if (size < 0) {
      if (std::ferror(stream_) != 0) fail(ErrorKind::kIo, "{}: {}", name_, system_message(errno));
      return false;
    }
    line = std::string_view(buffer_, static_cast<std::size_t>(size));
    if (line.ends_with('\n')) line.remove_suffix(1);
    ++number_;
    return true;
  }
  /// "'file' line 3", for messages.
  std::string where() const { return fmt::format("{} line {}", name_, number_); }

 private:
  std::string name_;
  std::FILE* stream_ = nullptr;
  char* buffer_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t number_ = 0;
};

void write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    throw std::system_error(errno, std::generic_category());
  }
}

std::string encoded_line(const TextTokenizer& tokenizer, std::string_view line,
                         const TokenizeOptions& options) {
  std::string text(line);
  if (options.json_lines) {
    JsonLimits limits;
    limits.max_bytes = line.size() + 1;  // the line is in memory already
    text = parse_json(line, limits).as_string();
  }
  return fmt::format("{}\n", fmt::join(tokenizer.encode(text, options.add_special_tokens), " "));
}

std::vector<std::uint32_t> parse_ids(std::string_view line) {
  std::vector<std::uint32_t> ids;
  for (std::size_t pos = 0; pos < line.size();) {
    std::uint32_t id = 0;
    const char* begin = line.data() + pos;
    const auto [end, error] = std::from_chars(begin, line.data() + line.size(), id);
    const std::size_t next = static_cast<std::size_t>(end - line.data());
    if (error != std::errc{} || (next < line.size() && line[next] != ' ') || next + 1 == line.size()) {
      fail(ErrorKind::kFormat, "expected ids in decimal digits with one blank between, found {}",
           shown(line.substr(pos), 40));
    }
    ids.push_back(id);
    pos = next + 1;
  }
  return ids;
}

std::string decoded_line(const TextTokenizer& tokenizer, std::string_view line,
                         const TokenizeOptions& options) {
  const std::string text = tokenizer.decode(parse_ids(line));
  return options.json_lines ? JsonValue::make_string(text).dump() + "\n" : text + "\n";
}

void print_lowered(const jinja::TemplatePlan& plan) {
  fmt::print("{}", plan.text);
  if (!plan.text.ends_with('\n')) fmt::print("\n");
  // The reasons stand behind the template as a comment, so that the whole output is a template still.
  fmt::print("{{#\n");
  if (plan.text == plan.source) fmt::print("unchanged\n");
  for (const std::string& change : plan.changes)
    fmt::print("changed: {}\n", change);
  fmt::print("proof: {} of {} conversations equal Hugging Face's prompt\n", plan.num_equal, plan.num_cases);
  for (const std::string& kind : plan.differing)
    fmt::print("differs: {}\n", kind);
  for (const std::string& limit : plan.limits)
    fmt::print("no equal form in the runtime: {}\n", limit);
  for (const std::string& kind : plan.refused)
    fmt::print("refused by Hugging Face, rendered by the runtime: {}\n", kind);
  if (!plan.suggestion.empty()) {
    fmt::print("a simple template that fits: --chat_template {}\n", plan.suggestion);
  }
  fmt::print("#}}\n");
}

}  // namespace

void run_tokenize_command(const TokenizeOptions& options) {
  if (options.decode && options.add_special_tokens)
    fail(ErrorKind::kInvalidArgument, "--add_special_tokens: contradicts --decode; give one of the two");
  const TextTokenizer tokenizer = TextTokenizer::open(options.path);
  Lines lines(options.text_file);
  print_result([&] {
    for (std::string_view line; lines.next(line);) {
      throw_if_cancelled();
      try {
        write(options.decode ? decoded_line(tokenizer, line, options)
                             : encoded_line(tokenizer, line, options));
      } catch (Error& error) {
        error.add_context(lines.where());
        throw;
      }
    }
  });
}

void run_template_command(const TemplateOptions& options) {
  if (options.lowered && !options.messages.empty())
    fail(ErrorKind::kInvalidArgument, "--messages: contradicts --lowered; give one of the two");
  if (options.lowered) {
    const jinja::TemplatePlan plan = plan_template_of(options.path);
    print_result([&] { print_lowered(plan); });
    return;
  }
  if (options.messages.empty())
    fail(ErrorKind::kInvalidArgument, "--messages: missing; see llm2mnn template --help");
  const JsonValue document = load_json(options.messages);
  std::string prompt;
  try {
    prompt = render_prompt(options.path, parse_chat_input(document));
  } catch (Error& error) {
    error.add_context(shown(options.messages.string()));
    throw;
  }
  print_result([&] { write(prompt); });
}

}  // namespace llm2mnn::cli
