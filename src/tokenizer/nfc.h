#pragma once
// Unicode normalisation form C as literal replacements: the runtime has no NFC, but it has a Replace step.

#include <string>
#include <vector>

namespace llm2mnn {

struct Replacement {
  std::string from, to;  ///< UTF-8
};

/// Replacements that, applied one after the other over the whole text, turn it into NFC: single code points
/// first, marks of one script into canonical order, then base and mark into their composite, shorter chains
/// first, then Hangul. Not covered: more than three marks in reversed order on one letter, marks of different
/// scripts, and (outside Arabic) composition across a mark that stays (a + U+0331 + U+0301). Made once per
/// run from the data of `to_unicode_form`.
const std::vector<Replacement>& nfc_replacements();

/// The part of them that puts marks of one script into canonical order.
std::vector<Replacement> mark_swaps();

}  // namespace llm2mnn
