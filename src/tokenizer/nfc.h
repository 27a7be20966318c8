#pragma once
// Unicode normalisation form C as literal replacements: the runtime has no NFC, but it has a Replace step.

#include <string>
#include <vector>

namespace llm2mnn {

struct Replacement {
  std::string from, to;  ///< UTF-8
};

/// Replacements that, applied one after the other over the whole text, turn it into NFC: single code points
/// first, then pairs of marks in the wrong order, then base and mark pairs, shorter chains first, then
/// Hangul. Exact for text whose marks compose with the character in front of them; the rest of what NFC does
/// (reordering of marks that do not compose, composition across a mark in between) is covered for the marks
/// of Latin, Greek, Cyrillic, Hebrew and Arabic only. Made once per run from utf8proc's Unicode data.
const std::vector<Replacement>& nfc_replacements();

}  // namespace llm2mnn
