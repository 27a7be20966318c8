// Commands, help, exit codes: the only place that decides what a process prints and how it ends.

#include <CLI/CLI.hpp>
#include <cerrno>
#include <fcntl.h>
#include <malloc.h>
#include <system_error>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/near_match.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/progress.h"
#include "cli/text_commands.h"
#include "convert/version.h"
#include "kernels/simd_level.h"

namespace llm2mnn::cli {
namespace {

CommandSyntax syntax_of(const CLI::App& command) {
  CommandSyntax syntax;
  syntax.name = command.get_name();
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) ++syntax.max_arguments;
    for (const std::string& name : option->get_lnames())
      // Flags without a group are those that the help leaves out.
      syntax.flags.push_back(
          {"--" + name, option->get_items_expected_max() > 0, !option->get_group().empty()});
  }
  return syntax;
}

// Before CLI11 sees the words: its own findings name neither the flag as it was typed nor a remedy.
void check_command_line(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty()) fail(ErrorKind::kInvalidArgument, "no command given; see llm2mnn --help");
  const std::string& first = arguments.front();
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == first)
      return check_words(syntax_of(*command), std::span(arguments).subspan(1));
    commands.push_back(command->get_name());
  }
  if (first == "--help" || first == "-h" || first == "--version") {
    if (arguments.size() == 1) return;
    fail(ErrorKind::kInvalidArgument, "{}: takes nothing behind it, found {}", first, shown(arguments[1]));
  }
  fail(ErrorKind::kInvalidArgument, "{}: unknown command{}; see llm2mnn --help", shown(first),
       did_you_mean(first, commands));
}

// What check_command_line leaves to CLI11, in our words: one line, literal flag, what to do.
[[noreturn]] void fail_parse(const CLI::App& app, const CLI::ParseError& error) {
  const std::string command = app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name();
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  const std::string name = text.substr(0, text.find_first_of(": "));
  if (error.get_name() == "RequiredError") {
    fail(
        ErrorKind::kInvalidArgument, "{}: {}; see llm2mnn {} --help", name.starts_with("-") ? name : command,
        name.starts_with("-") ? "missing" : fmt::format("the {} of a checkpoint or package is missing", name),
        command);
  }
  fail(ErrorKind::kInvalidArgument, "{}; see llm2mnn {} --help", shown(text, 300), command);
}

// Commands that are to come are not "unknown".
void refuse_later_commands(const std::vector<std::string>& arguments) {
  for (const char* later : {"verify", "eval"}) {
    if (!arguments.empty() && arguments.front() == later) {
      fail(ErrorKind::kUnsupported, "{}: not part of this version; see llm2mnn --help", later);
    }
  }
}

int dispatch(const std::vector<std::string>& arguments) {
  refuse_later_commands(arguments);
  CLI::App app{"llm2mnn: a Hugging Face checkpoint becomes a package that the stock MNN LLM runtime loads."};
  app.set_version_flag("--version", std::string("llm2mnn ") + kVersion);
  app.set_help_flag("-h,--help", "print this help");
  app.footer(std::string("llm2mnn --path DIR ... without a command means export.\nIn every flag name - and _ "
                         "are the same.\n\n") +
             kExportExample + kExitCodes);
  Words words;
  CLI::App* export_command =
      app.add_subcommand("export", "write an MNN package or an ONNX file from a checkpoint");
  CLI::App* convert_command = app.add_subcommand("convert", "write an MNN package from an ONNX file");
  CLI::App* inspect_command = app.add_subcommand("inspect", "show what a checkpoint or a package contains");
  CLI::App* tokenize_command = app.add_subcommand("tokenize", "print the ids of a text, or the text of ids");
  CLI::App* template_command = app.add_subcommand("template", "print the prompt of a conversation");
  CLI::App* families_command = app.add_subcommand("families", "list the supported model types");
  add_export(*export_command, words);
  add_convert(*convert_command, words);
  add_inspect(*inspect_command, words);
  add_tokenize(*tokenize_command, words);
  add_template(*template_command, words);
  add_families(*families_command, words);
  check_command_line(app, arguments);
  try {
    std::vector<std::string> reversed(arguments.rbegin(),
                                      arguments.rend());  // the order CLI11 takes a vector in
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    const CLI::App& asked = app.get_subcommands().empty() ? app : *app.get_subcommands().front();
    print_result([&] { fmt::print("{}", asked.help()); });
    return 0;
  } catch (const CLI::CallForVersion&) {
    print_result([] { fmt::print("llm2mnn {}\n", kVersion); });
    return 0;
  } catch (const CLI::ParseError& error) {
    fail_parse(app, error);
  }
  select_simd_level();
  if (export_command->parsed()) {
    words.output.notes = foreign_notes(*export_command);
    run_export_command(export_options(*export_command, words), words.dry_run, words.output);
  } else if (convert_command->parsed()) {
    words.output.notes = foreign_notes(*convert_command);
    run_convert_command(convert_options(*convert_command, words), words.dry_run, words.output);
  } else if (inspect_command->parsed()) {
    check_not_empty(*inspect_command);
    ExportOptions options;
    options.type = words.type;
    options.family_path = words.family;
    run_inspect_command(words.path, options, words.output);
  } else if (tokenize_command->parsed()) {
    check_not_empty(*tokenize_command);
    run_tokenize_command(
        {words.path, words.text_file, words.add_special_tokens, words.json_lines, words.decode});
  } else if (template_command->parsed()) {
    check_not_empty(*template_command);
    run_template_command({words.path, words.messages, words.lowered});
  } else if (families_command->parsed()) {
    check_not_empty(*families_command);
    ExportOptions options;
    options.family_path = words.family;
    run_families_command(options, words.output);
  } else {
    fail(ErrorKind::kInvalidArgument, "no command given; see llm2mnn --help");
  }
  return 0;
}

// One line of at most 500 characters, whatever was in the message.
void print_error(std::string message) {
  std::replace_if(
      message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  constexpr std::size_t kMaxLine = 480;
  if (message.size() > kMaxLine) {
    std::size_t end = kMaxLine;
    while (end > 0 && continues_character(message[end]))
      --end;
    message = message.substr(0, end) + "...";
  }
  print_to_stderr(fmt::format("llm2mnn: {}\n", message));
}

// A file opened while descriptor 1 or 2 is closed would get that number, and messages would be written into
// it.
void open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", O_RDWR);
  }
}

// Memory that one step of a plan gives back serves the next one, on whichever thread: without this a
// vocabulary of 262,000 takes 155 MB at its peak instead of 116.
void limit_heap() {
#ifdef __GLIBC__
  constexpr int kOneMegabyte = 1 << 20;
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, kOneMegabyte);
  mallopt(M_TRIM_THRESHOLD, kOneMegabyte);
#endif
}

int run(int argc, char** argv) {
  limit_heap();
  open_standard_streams();
  install_cancel_handlers();
  try {
    return dispatch(normalised_arguments(argc, argv));
  } catch (const Error& error) {
    print_error(error.message());
    if (error.kind() == ErrorKind::kCancelled) return 128 + cancel_signal();
    return exit_code(error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    print_error(fmt::format("{}: {}", shown(error.path1().string()), system_message(error.code().value())));
    return exit_code(ErrorKind::kIo);
  } catch (const std::system_error& error) {
    print_error(fmt::format("the system refused: {}", system_message(error.code().value())));
    return exit_code(ErrorKind::kIo);
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
    return exit_code(ErrorKind::kIo);
  } catch (const std::exception& error) {
    print_error(fmt::format("unexpected failure, please report: {}", error.what()));
    return exit_code(ErrorKind::kInternal);
  }
}

}  // namespace
}  // namespace llm2mnn::cli

int main(int argc, char** argv) { return llm2mnn::cli::run(argc, argv); }
