#pragma once
// Synthetic checkpoints for the tests of this folder: names, shapes and config only.

#include <map>
#include <string>
#include <vector>

#include "arch/describe.h"
#include "arch/family_data.h"
#include "base/json.h"

namespace llm2mnn::testing {

/// A built-in family, inheritance resolved.
const Family& family_named(const std::string& name);
/// A family file's text with its ancestors among the built-in ones.
Family family_from_text(const std::string& text, const std::string& file = "test.toml");
/// A fixture of tests/fixtures/families.
std::string family_fixture(const std::string& name);

using Tensors = std::map<std::string, Shape>;

/// A config of two small layers.
extern const std::string kSmallLlama;
/// The tensors that transformers would store for a Llama-like config: biases and q/k norms by the keys
/// attention_bias, mlp_bias, and the model_type; lm_head unless tied.
Tensors llama_like_tensors(const JsonValue& config);
/// The tensors that a checkpoint of the family has with this config: those of its roles.
Tensors stored_tensors(const Family& family, const JsonValue& config);
/// `config` with one key set to the JSON text, or removed when the text is empty.
JsonValue with_key(const JsonValue& config, const std::string& key, const std::string& json);

DecoderSpec describe(const Family& family, const JsonValue& config, const Tensors& tensors);
DecoderSpec describe(const std::string& family, const JsonValue& config, const Tensors& tensors);

/// The message of the Error that `call` throws; fails the test when it throws none.
template <typename Call>
std::string message_of(Call call, ErrorKind* kind = nullptr) {
  try {
    call();
  } catch (const Error& error) {
    if (kind != nullptr) *kind = error.kind();
    return error.message();
  }
  return "(no error)";
}

}  // namespace llm2mnn::testing
