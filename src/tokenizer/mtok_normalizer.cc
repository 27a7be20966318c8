#include "tokenizer/mtok_normalizer.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "tokenizer/charsmap_entries.h"
#include "tokenizer/nfc.h"
#include "tokenizer/unicode.h"
#include "tokenizer/unicode_forms.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {

namespace {

constexpr std::uint8_t kNone = 0, kPrepend = 2, kReplace = 3, kSequence = 4, kBert = 5, kTable = 6,
                       kBertTable = 7, kStrip = 8;

// Stand-ins for characters that a step of the runtime would change: private characters of plane 16, which
// text does not hold.
constexpr char32_t kFirstStandIn = 0x10F000;

std::string utf8(char32_t c) {
  std::string out;
  append_utf8(out, c);
  return out;
}

struct TableEntry {
  char32_t from;
  std::string to;
};

/// Whether the runtime's table step turns `c` into a blank, whatever the table says.
bool is_blanked_by_table(char32_t c) {
  return (c >= 1 && c <= 0x1F && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7F && c <= 0x9F) ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) ||
         c == 0xFEFF || (c >= 0xFFF0 && c <= 0xFFF8);
}

class Writer {
 public:
  Writer(std::vector<std::string>& notes) : notes_(notes) {}

  void add(const NormalizerStep& step) {
    using Kind = NormalizerStep::Kind;
    switch (step.kind) {
      case Kind::kNfc:
        add_nfc();
        break;
      case Kind::kNfd:
        add_form(UnicodeForm::kNfd);
        break;
      case Kind::kNfkd:
        add_form(UnicodeForm::kNfkd);
        break;
      case Kind::kNfkc:
        add_form(UnicodeForm::kNfkc);
        add_nfc();  // across characters
        break;
      case Kind::kLowercase:
        add_lowercase();
        break;
      case Kind::kStripAccents:
        add_bert_table(false, false, false, {{U'A', "A"}});  // an empty table would switch the step off
        break;
      case Kind::kStrip:
        steps_.next().u8(kStrip);
        steps_.same().flag(step.strip_left);
        steps_.same().flag(step.strip_right);
        break;
      case Kind::kReplace:
        add_replace_step(step);
        break;
      case Kind::kPrepend:
        prepend(step.content);
        break;
      case Kind::kBert:
        add_bert(step);
        break;
      case Kind::kNmt:
        add_nmt();
        break;
      case Kind::kPrecompiled:
        add_precompiled(step.charsmap);
        break;
      case Kind::kByteLevel:
        break;  // the model spells the bytes
    }
  }

  void replace(std::string_view from, std::string_view to) {
    Bytes& out = steps_.next();
    out.u8(kReplace);
    out.str(from, "normalizer Replace");
    out.str(to, "normalizer Replace");
  }
  void prepend(std::string_view text) {
    steps_.next().u8(kPrepend);
    steps_.same().str(text, "normalizer Prepend");
  }
  void write(Bytes& out) { steps_.write(kNone, kSequence, out); }

 private:
  void add_nfc() {
    for (const Replacement& step : nfc_replacements())
      replace(step.from, step.to);
  }

  void write_table(const std::vector<TableEntry>& table) {
    Bytes& out = steps_.same();
    out.count(table.size());
    for (const TableEntry& entry : table) {
      out.u32(entry.from);
      out.str(entry.to, "normalizer table");
    }
  }

  /// A table of single characters that leaves the others alone.
  /// @param replaced  ascending by character; those that the step would blank become Replace steps.
  void add_table(std::vector<TableEntry> replaced) {
    std::vector<char32_t> kept;
    for (char32_t c = 1; c < 0xFFFF; ++c) {
      if (is_blanked_by_table(c)) kept.push_back(c);
    }
    const auto is_blanked = [](const TableEntry& entry) { return is_blanked_by_table(entry.from); };
    for (const TableEntry& entry : replaced) {
      if (!is_blanked(entry)) continue;
      replace(utf8(entry.from), entry.to);
      std::erase(kept, entry.from);
    }
    std::erase_if(replaced, is_blanked);
    for (std::size_t i = 0; i < kept.size(); ++i)
      replace(utf8(kept[i]), utf8(kFirstStandIn + static_cast<char32_t>(i)));
    steps_.next().u8(kTable);
    write_table(replaced);
    for (std::size_t i = 0; i < kept.size(); ++i)
      replace(utf8(kFirstStandIn + static_cast<char32_t>(i)), utf8(kept[i]));
  }

  static std::vector<TableEntry> form_table(UnicodeForm form) {
    std::vector<TableEntry> table;
    for (char32_t c = 0x80; c < kEndOfUnicode; ++c) {
      if (!has_decomposition(c)) continue;
      const std::string text = utf8(c);
      std::string normal = to_unicode_form(text, form);
      if (normal != text) table.push_back({c, std::move(normal)});
    }
    return table;
  }

  void add_form(UnicodeForm form) {
    add_table(form_table(form));
    if (form != UnicodeForm::kNfkc) {
      for (const Replacement& step : mark_swaps())
        replace(step.from, step.to);
    }
  }

  void add_lowercase() {
    replace("\u0130", "i\u0307");  // the only letter whose lower case is two characters
    steps_.next().u8(kBert);
    for (const bool flag : {false, false, false, true})
      steps_.same().flag(flag);
  }

  void add_bert_table(bool clean, bool chinese, bool lower, const std::vector<TableEntry>& table) {
    steps_.next().u8(kBertTable);
    for (const bool flag : {clean, chinese, true, lower})
      steps_.same().flag(flag);
    write_table(table);
  }

  /// The runtime's cleaning leaves format and private characters and the line separators.
  void add_bert_cleaning() {
    constexpr char32_t kPrivatePlanes = 0xF0000;  // 131,068 characters that no text holds
    for (char32_t c = 0x80; c < kEndOfUnicode; ++c) {
      const std::string_view category = general_category(c);
      if (category == "Zl" || category == "Zp") {
        replace(utf8(c), " ");
      } else if (is_control(c) && category != "Cc" && c < kPrivatePlanes) {
        replace(utf8(c), "");
      }
    }
  }

  /// The runtime drops every mark, the reference only those without an extent that it knows: the others go
  /// through stand-ins.
  void add_bert_accents(const NormalizerStep& step) {
    std::vector<std::pair<char32_t, char32_t>> spacing;  // mark and stand-in
    const auto stand_in = [&](char32_t mark) {
      for (const auto& [known, other] : spacing) {
        if (known == mark) return other;
      }
      return spacing.emplace_back(mark, kFirstStandIn + static_cast<char32_t>(spacing.size())).second;
    };
    const auto is_kept_mark = [](char32_t c) { return general_category(c)[0] == 'M' && !is_nonspacing(c); };
    std::vector<TableEntry> table;
    for (char32_t c = 0x80; c < kEndOfUnicode; ++c) {
      if (!has_decomposition(c) && !is_kept_mark(c)) continue;
      const std::string text = utf8(c);
      const std::string parts = to_unicode_form(text, UnicodeForm::kNfd);
      std::string to;
      for (std::size_t pos = 0; pos < parts.size();) {
        const char32_t part = next_code_point(parts, pos);
        append_utf8(to, is_kept_mark(part) ? stand_in(part) : part);
      }
      if (to == text) continue;
      // The runtime does not decompose what it puts blanks around.
      const bool compatibility_ideograph = (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
      if (step.handle_chinese_chars && compatibility_ideograph) {
        replace(text, to);
      } else {
        table.push_back({c, std::move(to)});
      }
    }
    add_bert_table(step.clean_text, step.handle_chinese_chars, step.lowercase, table);
    for (const auto& [mark, other] : spacing)
      replace(utf8(other), utf8(mark));
  }

  void add_bert(const NormalizerStep& step) {
    if (step.clean_text) add_bert_cleaning();
    if (step.strip_accents.value_or(step.lowercase)) {
      add_bert_accents(step);
      return;
    }
    if (step.lowercase) replace("\u0130", "i\u0307");
    steps_.next().u8(kBert);
    for (const bool flag : {step.clean_text, step.handle_chinese_chars, false, step.lowercase})
      steps_.same().flag(flag);
  }

  /// The runtime replaces literal text only; runs of blanks are halved until none is left.
  void add_replace_step(const NormalizerStep& step) {
    if (!step.pattern.is_regex) {
      if (!step.pattern.text.empty()) replace(step.pattern.text, step.content);
      return;
    }
    const std::string& regex = step.pattern.text;
    const bool is_literal = !regex.empty() && regex.find_first_of("\\^$.|?*+()[]{}") == std::string::npos;
    if (is_literal) {
      replace(regex, step.content);
    } else if ((regex == " {2,}" || regex == " +" || regex == "[ ]{2,}" || regex == "  +") &&
               (step.content == " " || step.content == kMetaspace)) {
      constexpr int kHalvings = 12;  // runs of up to 4096 blanks
      for (int i = 0; i < kHalvings; ++i)
        replace("  ", " ");
      if (regex == " +" && step.content != " ") replace(" ", step.content);
    } else if (regex == "[\\n\\r\\t]" || regex == "[\\r\\n\\t]") {
      for (const char* text : {"\n", "\r", "\t"})
        replace(text, step.content);
    } else {
      notes_.push_back(
          fmt::format("tokenizer: the normalizer's Replace of the pattern {} is left out: the runtime has "
                      "literal ones only",
                      shown(regex, 60)));
    }
  }

  void add_nmt() {
    const auto remove = [this](char32_t first, char32_t last) {
      for (char32_t c = first; c <= last; ++c)
        replace(utf8(c), "");
    };
    remove(0x01, 0x08);
    remove(0x0B, 0x0B);
    remove(0x0E, 0x1F);
    remove(0x7F, 0x7F);
    remove(0x8F, 0x8F);
    remove(0x9F, 0x9F);
    for (const char32_t c : {0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028,
                             0x2029, 0x2581, 0xFEFF, 0xFFFD})
      replace(utf8(c), " ");
  }

  /// Clusters first, as the reference looks up whole clusters of less than six bytes before characters. It
  /// takes the shortest entry that the cluster starts with, and drops the rest.
  void add_precompiled(std::string_view charsmap) {
    constexpr std::size_t kClusterBytes = 6;
    std::vector<TableEntry> table;
    const std::vector<CharsmapEntry> entries = read_charsmap(charsmap);
    const CharsmapEntry* shortest = nullptr;  // a beginning comes before what it begins
    for (const CharsmapEntry& entry : entries) {
      if (entry.from.empty()) continue;
      std::size_t pos = 0;
      const char32_t first = next_code_point(entry.from, pos);
      if (shortest == nullptr || !entry.from.starts_with(shortest->from)) shortest = &entry;
      if (pos != entry.from.size()) {
        if (entry.from.size() < kClusterBytes) replace(entry.from, shortest->to);
      } else if (entry.from != entry.to) {
        table.push_back({first, entry.to});
      }
    }
    std::sort(table.begin(), table.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
    add_table(std::move(table));
  }

  std::vector<std::string>& notes_;
  Steps steps_;
};

/// Whether white space is nothing but a border between words.
bool removes_whitespace(const TokenizerModel& model) {
  if (model.pre_tokenizers.empty()) return false;
  using Kind = PreTokenizerStep::Kind;
  const Kind first = model.pre_tokenizers.front().kind;
  return first == Kind::kWhitespace || first == Kind::kWhitespaceSplit || first == Kind::kBert;
}

}  // namespace

void write_normalizer(const TokenizerModel& model, const MtokPlan& plan, std::vector<std::string>& notes,
                      Bytes& out) {
  Writer writer(notes);
  if (removes_whitespace(model)) {
    // White space that the runtime does not know as such.
    for (const char* separator : {"\u0085", "\u2028", "\u2029"})
      writer.replace(separator, " ");
  }
  for (std::size_t i = 0; i < plan.metaspace.num_normalizers; ++i)
    writer.add(model.normalizers[i]);
  if (plan.metaspace.kind != MetaspacePlan::Kind::kNone) {
    // A U+2581 of the text itself is a blank from here on, as it is for the reference.
    writer.replace(kMetaspace, " ");
    if (plan.metaspace.prefix_always) writer.prepend(" ");
  }
  writer.write(out);
}

}  // namespace llm2mnn
