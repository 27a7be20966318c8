#pragma once
// Decisions that several parts of tokenizer.mtok follow from.

#include <cstddef>
#include <string>
#include <vector>

#include "tokenizer/tokenizer_model.h"
#include "tokenizer/whole_words.h"

namespace llm2mnn {

/// SentencePiece's visible blank, U+2581.

/// How blanks that become U+2581 are written. The runtime's BPE is quadratic in the length of one pre-token,
/// and Hugging Face's pipelines of this kind have one pre-token for the whole text; so the text keeps its
/// blanks until it has been split at them, which is exact as long as no piece crosses the borders.
struct MetaspacePlan {
  enum class Kind {
    kNone,   ///< no part of this form
    kWhole,  ///< pieces may hold inner U+2581: the split keeps together what a piece can cross
    kWords   ///< each U+2581 starts a new pre-token, as Metaspace with `split` has it
  };
  Kind kind = Kind::kNone;
  std::size_t num_normalizers = 0;  ///< of the model's, written as they are; the others are this plan's
  bool prefix_always = false;       ///< a blank in front of every fragment, of those that start with one too
  bool prefix_if_missing = false;   ///< a blank in front of a fragment that starts with none
};

struct MtokPlan {
  MetaspacePlan metaspace;
  bool byte_level_model = false;  ///< the model itself spells bytes: a ByteLevel normalizer
  WholeWordPlan whole_words;
};

/// @param num_ids  ids from here on are free.
/// @param has_template  decides Metaspace's `first`: with a chat template the text starts behind an added
/// token, and gets no prefix.
MtokPlan plan_mtok(const TokenizerModel& model, std::uint32_t num_ids, bool has_template,
                   std::vector<std::string>& notes);

/// Whether a Metaspace step puts its prefix in front of every fragment in the runtime, which has no `first`.
bool metaspace_prefix(PrependScheme scheme, bool has_template);

}  // namespace llm2mnn
