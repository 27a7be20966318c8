#pragma once
// The one error type of the project, and the way names from hostile files get into messages.

#include <cstdint>
#include <exception>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>

namespace llm2mnn {

/// Kinds of failure. The CLI turns each into an exit code (`exit_code`), listed in `--help`.
enum class ErrorKind : std::uint8_t {
  kInvalidArgument,  ///< a flag or a combination of flags
  kFormat,           ///< the input's bytes or values are broken (NaN weights included)
  kUnsupported,      ///< valid input that this version does not handle, refused by name
  kIo,               ///< the operating system refused a read, a write or a rename
  kNoSpace,          ///< the destination's disk is full, before or during the export
  kCancelled,        ///< INT, TERM or HUP
  kInternal,         ///< a broken invariant of ours
};

/// Process exit code of a failure of `kind`; for kCancelled the caller adds the signal to 128 instead.
int exit_code(ErrorKind kind);

/// What ends a command: a kind and one line that says where, what was expected, what was found and what to
/// do. Thrown for what ends the run; expected outcomes are returned.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}
  ErrorKind kind() const { return kind_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const { return message_; }
  /// Puts "`where`: " in front of the message; called on the way up.
  void add_context(std::string_view where) { message_ = fmt::format("{}: {}", where, message_); }

 private:
  ErrorKind kind_;
  std::string message_;
};

/// Throws Error(kind) with a formatted message.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// `name` in single quotes for a message: control characters, invalid UTF-8 and quotes become escapes, and
/// the middle of a long name is cut, so that no more than `max_bytes` and "..." stand between the quotes.
/// Every name that comes from a file or the command line goes through here.
std::string shown(std::string_view name, std::size_t max_bytes = 100);

/// The system's text for `error_number`, lower case, without errno macros ("no such file or directory").
std::string system_message(int error_number);

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

/// An invariant of our own, on in every build. Never used to validate input.
#define LLM2MNN_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::llm2mnn::check_failed(#expression, __FILE__, __LINE__))

}  // namespace llm2mnn
