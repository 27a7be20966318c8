#pragma once
// What the plans of all output formats have: the model, the tokenizer's files, the runtime's two JSON files.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/json.h"
#include "convert/approximate.h"
#include "convert/model.h"
#include "convert/options.h"
#include "convert/tokenizer_proof.h"
#include "tokenizer/tokenizer_package.h"

namespace llm2mnn {

struct FilePlan {
  std::string name;
  std::uint64_t bytes = 0;
};

/// What the plans of all formats have.
struct PackagePlan {
  ExportOptions options;
  std::filesystem::path destination;  ///< resolved
  Model model;
  TokenizerPackage tokenizer;
  TokenizerProof tokenizer_proof;  ///< of the two files against Hugging Face's pipeline
  std::string tokenizer_record;    ///< what the manifest says of the tokenizer, a JSON object
  std::string config_json;         ///< config.json
  std::string llm_config_json;     ///< llm_config.json
  bool has_own_template = false;   ///< `--chat_template` was given, now or when the ONNX file was made
  JsonValue side_config, side_llm_config;     ///< of an ONNX file's directory; null for a checkpoint
  std::vector<std::string> source_notes;      ///< about what the model is read from
  std::vector<Approximation> approximations;  ///< features that the output lacks
  /// Digest of a source that the stream does not digest; empty: it does.
  std::function<Digest128()> source_digest;
  std::vector<std::string> notes;  ///< one line each: limits and decisions that the user should know
  std::vector<FilePlan> files;     ///< every file of the package with its exact size, the manifest included

  std::uint64_t package_bytes() const;
};

/// The first steps of every export: the destination, the model, its tokenizer files and their proof.
/// @throws Error for a destination in the way, a model that no family describes, a tokenizer that cannot be
/// written.
void plan_package(PackagePlan& plan, const ExportOptions& options);

/// The notes that do not depend on the format.
std::vector<std::string> package_notes(const PackagePlan& plan);

/// Bytes of a file whose name is known to the runtime of any format: the two JSON files and the tokenizer's.
std::vector<FilePlan> side_files(const PackagePlan& plan);

}  // namespace llm2mnn
