#include "tokenizer/normalize.h"

#include "tokenizer/unicode_forms.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {

namespace {

using Kind = NormalizerStep::Kind;

/// Rewrites each character: `rewrite(c, out)` appends what takes its place.
template <typename Rewrite>
void each_character(NormalizedText& state, Rewrite rewrite) {
  std::string out;
  out.reserve(state.text.size());
  for (std::size_t pos = 0; pos < state.text.size();) {
    const bool is_first = pos == 0;
    const char32_t c = next_code_point(state.text, pos);
    rewrite(c, out);
    if (is_first && out.empty()) state.keeps_start = false;
  }
  state.text = std::move(out);
}

bool is_nmt_removed(char32_t c) {
  return (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

bool is_nmt_blank(char32_t c) {
  return c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

/// The blocks of ideographs that Bert's normalizer sets apart; not all there are.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

void bert(const NormalizerStep& step, NormalizedText& state) {
  if (step.clean_text) {
    each_character(state, [](char32_t c, std::string& out) {
      const bool is_blank = is_whitespace(c);
      if (c == 0 || c == 0xFFFD || (c != '\t' && c != '\n' && c != '\r' && is_control(c))) return;
      append_utf8(out, is_blank ? U' ' : c);
    });
  }
  if (step.handle_chinese_chars) {
    each_character(state, [](char32_t c, std::string& out) {
      if (is_chinese(c)) out += ' ';
      append_utf8(out, c);
      if (is_chinese(c)) out += ' ';
    });
  }
  if (step.strip_accents.value_or(step.lowercase) && !is_ascii(state.text)) {
    state.text = to_unicode_form(state.text, UnicodeForm::kNfd);
    each_character(state, [](char32_t c, std::string& out) {
      if (!is_nonspacing(c)) append_utf8(out, c);
    });
  }
  if (step.lowercase) state.text = to_lowercase(state.text);
}

void strip(const NormalizerStep& step, NormalizedText& state) {
  std::size_t first_kept = std::string::npos, end_kept = 0;
  for (std::size_t pos = 0; pos < state.text.size();) {
    const std::size_t begin = pos;
    if (is_whitespace(next_code_point(state.text, pos))) continue;
    if (first_kept == std::string::npos) first_kept = begin;
    end_kept = pos;
  }
  if (first_kept == std::string::npos) {
    if (step.strip_left || step.strip_right) state.text.clear();
    return;
  }
  if (step.strip_right) state.text.resize(end_kept);
  if (step.strip_left && first_kept > 0) {
    state.text.erase(0, first_kept);
    state.keeps_start = false;
  }
}

void replace(const Pattern& pattern, const std::string& content, NormalizedText& state) {
  if (content.empty()) {
    Matcher matcher(pattern, state.text);
    if (matcher.next() && matcher.begin() == 0 && matcher.end() > 0) state.keeps_start = false;
  }
  replace_matches(pattern, content, state.text);
}

}  // namespace

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps) {
  for (const NormalizerStep& description : steps) {
    Step step;
    step.description = &description;
    if (description.kind == Kind::kReplace) step.pattern = std::make_unique<Pattern>(description.pattern);
    if (description.kind == Kind::kPrecompiled) {
      step.charsmap = std::make_unique<Charsmap>(description.charsmap);
    }
    steps_.push_back(std::move(step));
  }
}

void Normalizer::run(const Step& step, NormalizedText& state) {
  const NormalizerStep& description = *step.description;
  switch (description.kind) {
    case Kind::kNfc:
      state.text = to_unicode_form(state.text, UnicodeForm::kNfc);
      break;
    case Kind::kNfd:
      state.text = to_unicode_form(state.text, UnicodeForm::kNfd);
      break;
    case Kind::kNfkc:
      state.text = to_unicode_form(state.text, UnicodeForm::kNfkc);
      break;
    case Kind::kNfkd:
      state.text = to_unicode_form(state.text, UnicodeForm::kNfkd);
      break;
    case Kind::kLowercase:
      state.text = to_lowercase(state.text);
      break;
    case Kind::kStripAccents:
      each_character(state, [](char32_t c, std::string& out) {
        if (!is_combining(c)) append_utf8(out, c);
      });
      break;
    case Kind::kStrip:
      strip(description, state);
      break;
    case Kind::kReplace:
      replace(*step.pattern, description.content, state);
      break;
    case Kind::kPrepend:
      if (!state.text.empty()) state.text.insert(0, description.content);
      break;
    case Kind::kBert:
      bert(description, state);
      break;
    case Kind::kNmt:
      each_character(state, [](char32_t c, std::string& out) {
        if (!is_nmt_removed(c)) append_utf8(out, is_nmt_blank(c) ? U' ' : c);
      });
      break;
    case Kind::kPrecompiled:
      state.text = step.charsmap->apply(state.text);
      break;
    case Kind::kByteLevel:
      state.text = to_byte_alphabet(state.text);
      break;
  }
}

NormalizedText Normalizer::apply(std::string_view text) const {
  NormalizedText state;
  state.text = text;
  for (const Step& step : steps_)
    run(step, state);
  return state;
}

}  // namespace llm2mnn
