#pragma once
// The components of a tokenizer.json as steps of the neutral description. Source: `tokenizers` 0.22.

#include <vector>

#include "base/json.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn::hf {

/// Each takes the component, which may be null or absent (no steps).
/// @throws Error kUnsupported names a component or a member that `tokenizers` does not have; kFormat names a
/// broken one.
std::vector<NormalizerStep> read_normalizer(const JsonValue* normalizer);
std::vector<PreTokenizerStep> read_pre_tokenizer(const JsonValue* pre_tokenizer);
std::vector<DecoderStep> read_decoder(const JsonValue* decoder);
/// Sets prefix_ids and suffix_ids of `model`, whose vocabulary is complete.
void read_post_processor(const JsonValue* post_processor, TokenizerModel& model);
/// Takes the vocabulary and what else `model` of the document holds.
void read_model(TokenizerJson& document, TokenizerModel& model);

}  // namespace llm2mnn::hf
