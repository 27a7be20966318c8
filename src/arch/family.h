#pragma once
// Families are data: TOML files, embedded in the binary or given by `--family FILE`, read by the same code.
// The vocabulary is described in docs/adding-a-family.md.

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/container.h"
#include "arch/decoder_spec.h"
#include "checkpoint/checkpoint.h"

namespace llm2mnn {

/// A family file after parsing, inheritance resolved and every key checked against the vocabulary.
class Family;

/// Names and features of a family for `families`.
struct FamilySummary {
  std::string name;  ///< the folder's, or the file's stem
  std::vector<std::string> model_types;
  std::vector<std::string> architectures;
  std::string inherits;  ///< empty for a root
  std::vector<std::string>
      features;  ///< short words in the vocabulary's order: "q_norm", "sliding_window", ...
};

/// All families: the built-in ones and at most one brought by the user, which goes first.
class FamilyRegistry {
 public:
  /// Parses the embedded files. A fault in one is kInternal (a test parses them all).
  static FamilyRegistry built_in();
  /// The built-in families and, unless `user_file` is empty, that file (`--family`).
  static FamilyRegistry with_file(const std::filesystem::path& user_file);
  /// Adds a user's file; it may inherit from built-in families and takes precedence over them.
  /// @throws Error(kFormat) "FILE:LINE: ..." for syntax, unknown keys, wrong types, with near matches.
  void add_file(const std::filesystem::path& path);

  std::vector<FamilySummary> summaries() const;

  /// The language model of a checkpoint that holds more; none when the checkpoint is one, or of no known
  /// type.
  /// @throws Error as text_model_of.
  std::optional<TextModel> text_model(const Checkpoint& checkpoint) const;

  /// Builds the canonical description of `checkpoint`.
  /// @param type  `--type`: use the family of this model_type whatever config.json says; empty: by
  /// `model_type`.
  /// @throws Error kUnsupported for an unknown model_type (with the nearest names), a config key that matters
  /// and is not consumed, a feature the vocabulary lacks; kFormat for missing, left-over or misshapen tensors
  /// (with near matches) and for values of the wrong kind.
  DecoderSpec describe(const Checkpoint& checkpoint, std::string_view type = {}) const;

 private:
  std::vector<std::shared_ptr<const Family>> families_;
  std::vector<Container> containers_;
  bool has_user_family_ = false;  // it is the first
};

}  // namespace llm2mnn
