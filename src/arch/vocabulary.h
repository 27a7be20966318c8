#pragma once
// The words of family.toml in one table: reader, checks, `families` and the documentation all use it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/decoder_spec.h"

namespace llm2mnn {

enum class KeyKind : std::uint8_t {
  kExpression,       ///< one number for the model
  kLayerExpression,  ///< one number per layer: `i` is its index; or { key = ..., default = EXPRESSION }
  kMenu,             ///< one of `words`
  kLayerList,        ///< { key = ... }: a config list of layer numbers
  kActivation,       ///< a word, or { key = ..., default = ..., words = {...} }
  kLayerTypes,       ///< { key = ..., default = EXPRESSION }: a word per layer
};

/// A choice or a number that a family states.
struct VocabularyKey {
  std::string_view path;  ///< "attention.scale"
  KeyKind kind;
  std::string_view words;     ///< of a menu, separated by spaces
  std::string_view fallback;  ///< what holds when the family and its ancestors say nothing
  std::string_view meaning;
  /// How `families` lists a family whose value is not the fallback: this word, "-" for not at all, empty for
  /// the key and, of a menu, the word (of an activation the word alone); with '!' before it, a family whose
  /// value is the fallback.
  std::string_view feature = {};
};
std::span<const VocabularyKey> vocabulary();
const VocabularyKey* find_vocabulary_key(std::string_view path);

/// A key that sets several of the vocabulary at once; those that the same file names keep their own values.
struct Shorthand {
  std::string_view path;    ///< "attention.bias"
  std::string_view covers;  ///< paths, separated by spaces
  std::string_view meaning;
};
std::span<const Shorthand> shorthands();

/// A config value that the code itself needs, whatever the family.
struct CanonicalName {
  enum class Kind : std::uint8_t { kSize, kCount, kNumber, kBool };  ///< kSize >= 1, kCount >= 0
  std::string_view name;
  Kind kind;
  bool required;  ///< every family has it, directly or by inheritance
  std::string_view meaning;
};
std::span<const CanonicalName> canonical_names();
const CanonicalName* find_canonical_name(std::string_view name);

/// A tensor that a family can name.
struct RoleInfo {
  std::string_view name;  ///< "q_proj", "q_proj_bias"
  WeightRole role;
  bool is_bias;
  bool is_layer;           ///< its pattern has {i}
  std::string_view shape;  ///< in config names, rows first: "num_attention_heads * head_dim, hidden_size"
  bool is_expert = false;  ///< every expert has one: {e} in its name, or a part of a tensor of all experts
};
std::span<const RoleInfo> roles();
const RoleInfo* find_role(std::string_view name);

/// Keys of the tables that are no choices: of the file itself, of an entry of [config], of a table in
/// [tensors], and of its `rows`.
std::span<const std::string_view> file_keys();
std::span<const std::string_view> config_fields();
std::span<const std::string_view> tensor_fields();
std::span<const std::string_view> row_fields();
/// Sections whose keys the file makes up: "config", "tensors", "ignore", ...
std::span<const std::string_view> named_sections();

/// The parts of a menu.
std::vector<std::string> split_words(std::string_view words);

/// Activation of a Hugging Face name ("gelu_pytorch_tanh", as ACT2FN maps it), or of a word of the menu.
std::optional<Activation> activation_of_hf_name(std::string_view name);
std::optional<Activation> activation_of_word(std::string_view word);

}  // namespace llm2mnn
