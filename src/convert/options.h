#pragma once
// What the user asked for, after the flags have been parsed and each value checked on its own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "formats/mnn/mnn_package.h"
#include "formats/onnx/onnx_package.h"
#include "quant/method.h"
#include "tensor/quant_scheme.h"

namespace llm2mnn {

/// `--export`.
enum class ExportFormat : std::uint8_t { kMnn, kOnnx };

struct ExportOptions {
  ExportFormat format = ExportFormat::kMnn;
  std::filesystem::path path;                ///< checkpoint directory
  std::filesystem::path dst_path = "model";  ///< package directory
  std::filesystem::path tokenizer_path;      ///< empty: the checkpoint
  std::filesystem::path family_path;         ///< `--family FILE`; empty: none
  std::string chat_template;  ///< `--chat_template`: a file or a family template; empty: the checkpoint's
  bool allow_tokenizer_mismatch = false;
  bool allow_approximate = false;  ///< leave out what the output cannot express, and say so
  std::string type;                ///< `--type`; empty: config.json's model_type
  bool text_only = false;          ///< `--text_only`: towers of a multimodal checkpoint are left out

  int quant_bit = 4;
  int quant_block = 64;               ///< weights per scale along a row; 0: the whole row
  std::optional<int> lm_quant_bit;    ///< default: quant_bit
  std::optional<int> lm_quant_block;  ///< default: quant_block
  bool symmetric = false;
  std::string method{kDefaultMethod};   ///< `--method`: one of quant_methods()
  std::optional<ScaleType> scale_type;  ///< default: F16; F32 with the compat form
  std::optional<int> embed_bit;         ///< 16, 8 or 4: the embedding is its own file
  bool seperate_embed = false;
  mnn::GraphForm form = mnn::GraphForm::kPacked;

  onnx::OnnxForm onnx;  ///< with `--export onnx`

  unsigned threads = 0;  ///< 0: one per processor
  bool overwrite = false;
  std::filesystem::path dump_ir_path;  ///< `--dump_ir FILE`; empty: none

  ScaleType effective_scale_type() const {
    return scale_type.value_or(form == mnn::GraphForm::kCompat ? ScaleType::kF32 : ScaleType::kF16);
  }
};

/// Threads an export runs with: `--threads`, or one per processor that this process may use.
unsigned effective_threads(const ExportOptions& options);

}  // namespace llm2mnn
