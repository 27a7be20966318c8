#pragma once
// The decoder of tokenizer.mtok.

#include <string>
#include <vector>

#include "tokenizer/mtok_bytes.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Generated text goes through a simpler path than the list of steps: of these only a ByteLevel and a
/// WordPiece step count there. What is lost goes to `notes`.
void write_decoder(const TokenizerModel& model, std::vector<std::string>& notes, Bytes& out);

}  // namespace llm2mnn
