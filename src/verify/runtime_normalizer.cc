#include "verify/runtime_normalizer.h"

#include <algorithm>
#include <bitset>

#include "verify/runtime_unicode.h"

namespace llm2mnn::verify {
namespace {

std::string replace_all(const MtokNormalizer& step, std::string text, WorkBudget& budget) {
  if (step.pattern.empty()) return text;
  budget.spend(1 + text.size() / 16);
  std::size_t found = text.find(step.pattern);
  if (found == std::string::npos) return text;
  std::string out;
  std::size_t at = 0;
  for (; found != std::string::npos; found = text.find(step.pattern, at)) {
    budget.spend(1 + step.content.size());
    out.append(text, at, found - at);
    out += step.content;
    at = found + step.pattern.size();
  }
  return out.append(text, at);
}

const MtokReplacement* find_entry(const std::vector<MtokReplacement>& table, char32_t code) {
  const auto it =
      std::lower_bound(table.begin(), table.end(), code,
                       [](const MtokReplacement& entry, char32_t wanted) { return entry.code < wanted; });
  return it != table.end() && it->code == code ? &*it : nullptr;
}

/// Control and format characters that the table's class turns into a blank whatever the table says.
bool becomes_blank(char32_t code) {
  if (code == 0 || code == '\n' || code == '\r' || code == '\t') return false;
  const auto in = [code](char32_t first, char32_t last) { return code >= first && code <= last; };
  return code < 0x20 || in(0x7F, 0x9F) || in(0x200B, 0x200F) || in(0x202A, 0x202E) || in(0x2060, 0x2069) ||
         code == 0xFEFF || in(0xFFF0, 0xFFF8);
}

std::string apply_table(const MtokNormalizer& step, std::string text, WorkBudget& budget) {
  if (step.table.empty()) return text;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    if (becomes_blank(c.code)) {
      out.push_back(' ');
    } else if (const MtokReplacement* entry = find_entry(step.table, c.code)) {
      budget.spend(1 + entry->text.size());
      out += entry->text;
    } else {
      out.append(text, at, c.length);
    }
    at += c.length;
  }
  budget.spend(text.size());
  return out;
}

bool is_chinese(char32_t code) {
  const auto in = [code](char32_t first, char32_t last) { return code >= first && code <= last; };
  return in(0x3400, 0x4DBF) || in(0x4E00, 0x9FFF) || in(0xF900, 0xFAFF) || in(0x20000, 0x2A6DF) ||
         in(0x2A700, 0x2CEAF) || in(0x2F800, 0x2FA1F);
}

void append_without_marks(std::string& out, std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    if (!is_runtime_mark(c.code)) out.append(text, at, c.length);
    at += c.length;
  }
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    append_utf8(out, runtime_lower(c.code));
    at += c.length;
  }
  return out;
}

std::string normalize_bert(const MtokNormalizer& step, std::string_view text, WorkBudget& budget) {
  std::string out;
  budget.spend(text.size() * 2);
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    const std::string_view raw = text.substr(at, c.length);
    at += c.length;
    if (step.clean) {
      if (c.code == '\t' || c.code == '\n' || c.code == '\r' || is_space_separator(c.code)) {
        out.push_back(' ');
        continue;
      }
      if (c.code == 0xFFFD || is_control(c.code)) continue;
    }
    if (step.chinese && is_chinese(c.code)) {
      out.append(" ").append(raw).append(" ");
    } else if (step.strip_accents && !step.table.empty()) {
      const MtokReplacement* entry = find_entry(step.table, c.code);
      budget.spend(entry ? entry->text.size() : 0);
      append_without_marks(out, entry ? entry->text : raw);
    } else {
      out += raw;
    }
  }
  return step.lower ? lower(out) : out;
}

/// The runtime looks for the last character behind its lead byte, finds none and strips nothing on the right.
std::string strip(const MtokNormalizer& step, std::string_view text) {
  while (step.left && !text.empty()) {
    const Utf8Char c = utf8_char(text, 0);
    if (!is_runtime_space(c.code)) break;
    text.remove_prefix(c.length);
  }
  return std::string(text);
}

std::bitset<256> bytes_of(std::string_view text) {
  std::bitset<256> bytes;
  for (const char c : text)
    bytes.set(static_cast<unsigned char>(c));
  return bytes;
}

/// NFC is thousands of replacements: most begin or end with a byte that the text does not have.
bool cannot_match(const MtokNormalizer& step, const std::bitset<256>& bytes) {
  return step.kind == MtokNormalizer::Kind::kReplace &&
         (step.pattern.empty() || !bytes[static_cast<unsigned char>(step.pattern.front())] ||
          !bytes[static_cast<unsigned char>(step.pattern.back())]);
}

std::string normalize_sequence(const MtokNormalizer& step, std::string text, WorkBudget& budget) {
  budget.spend(step.steps.size());
  std::bitset<256> bytes = bytes_of(text);
  for (const MtokNormalizer& child : step.steps) {
    if (cannot_match(child, bytes)) continue;
    std::string next = normalize(child, text, budget);
    if (next != text) bytes = bytes_of(next);
    text = std::move(next);
  }
  return text;
}

}  // namespace

std::string normalize(const MtokNormalizer& step, std::string text, WorkBudget& budget) {
  switch (step.kind) {
    case MtokNormalizer::Kind::kNone:
    case MtokNormalizer::Kind::kOldNfkc:
      return text;
    case MtokNormalizer::Kind::kPrepend:
      budget.spend(1 + text.size() / 16);
      return text.insert(0, step.content);
    case MtokNormalizer::Kind::kReplace:
      return replace_all(step, std::move(text), budget);
    case MtokNormalizer::Kind::kBert:
      return normalize_bert(step, text, budget);
    case MtokNormalizer::Kind::kTable:
      return apply_table(step, std::move(text), budget);
    case MtokNormalizer::Kind::kStrip:
      return strip(step, text);
    case MtokNormalizer::Kind::kSequence:
      return normalize_sequence(step, std::move(text), budget);
  }
  return text;
}

}  // namespace llm2mnn::verify
