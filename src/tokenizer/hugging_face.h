#pragma once
// What the components of tokenizer.json mean: from the document to the neutral description.

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Every model and component of `tokenizers` 0.22. `document` gives up its vocabulary.
/// Added tokens are those of tokenizer.json plus those that transformers adds from tokenizer_config.json; the
/// ids in front of and behind a text follow the post-processor, or `add_bos_token` for the tokenizer classes
/// that rebuild it.
/// @throws Error kUnsupported names a component that is not known; kFormat names the broken
/// entry. Messages do not name the file.
TokenizerModel build_tokenizer_model(TokenizerJson&& document, const TokenizerConfig& config);

}  // namespace llm2mnn
