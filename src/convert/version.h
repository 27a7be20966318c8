#pragma once
// The tool's version, from CMake's project().

namespace llm2mnn {

inline constexpr const char* kVersion = LLM2MNN_VERSION;

}  // namespace llm2mnn
