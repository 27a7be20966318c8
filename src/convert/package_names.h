#pragma once
// Names of the files of a package. The runtime finds the first one by name and the others through it.

namespace llm2mnn {

inline constexpr const char* kConfigName = "config.json";
inline constexpr const char* kLlmConfigName = "llm_config.json";  ///< the runtime's own default
inline constexpr const char* kGraphName = "llm.mnn";
inline constexpr const char* kWeightsName = "llm.mnn.weight";
inline constexpr const char* kMtokName = "tokenizer.mtok";
inline constexpr const char* kTxtName = "tokenizer.txt";
inline constexpr const char* kOnnxName = "llm.onnx";
inline constexpr const char* kGenaiConfigName = "genai_config.json";
/// Makes a directory a package of ours.
inline constexpr const char* kManifestName = "llm2mnn.json";

}  // namespace llm2mnn
