#pragma once
// The model section of tokenizer.mtok, merges included.

#include "verify/mtok_reader.h"

namespace llm2mnn::verify {

/// @throws Error kFormat with section and byte offset: entries out of order, an id twice or beyond the table,
/// a merge of unknown ids or without a piece for its result, a score that is no number, ...
MtokModel read_mtok_model(SectionReader& reader);

}  // namespace llm2mnn::verify
