#pragma once
// What each node of a decoder's graph is, from its place in it. Private to this folder.

#include "formats/onnx/llmexport_walk.h"

namespace llm2mnn::onnx {

/// Gives nodes, values and weights the names that an export of the checkpoint would have given them.
/// @throws Error(kUnsupported) naming the ONNX node that has no place in a decoder, or the one of another.
void name_decoder(WalkedGraph& walked);

}  // namespace llm2mnn::onnx
