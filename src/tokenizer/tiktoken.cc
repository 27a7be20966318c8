#include "tokenizer/tiktoken.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tokenizer/base64.h"
#include "tokenizer/merge_search.h"
#include "tokenizer/vocab_files.h"

namespace llm2mnn {

namespace {

struct RankLine {
  std::string bytes;
  std::uint32_t rank = 0;
};

/// False when the line is not base64, blanks and a number.
bool parse_line(std::string_view line, RankLine& out) {
  const std::size_t blank = line.find_first_of(" \t");
  if (blank == 0 || blank == std::string_view::npos) return false;
  if (!decode_base64(line.substr(0, blank), out.bytes) || out.bytes.empty()) return false;
  const std::size_t digits = line.find_first_not_of(" \t", blank);
  if (digits == std::string_view::npos) return false;
  const std::string_view number = line.substr(digits, line.find_last_not_of(" \t") + 1 - digits);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out.rank);
  return error == std::errc{} && end == number.data() + number.size();
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t") == std::string_view::npos; }

/// `pieces` with the index of each its rank. Ranks are dense: the special tokens follow their number.
PieceTable sorted_by_rank(const PieceTable& pieces) {
  constexpr std::size_t kNone = ~std::size_t{0};
  std::vector<std::size_t> index_of(pieces.size(), kNone);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::uint32_t rank = pieces.id(i);
    if (rank >= pieces.size()) {
      fail(ErrorKind::kFormat, "rank {} is too large: {} ranks from 0 have no gaps", rank, pieces.size());
    }
    if (index_of[rank] != kNone) fail(ErrorKind::kFormat, "rank {} appears twice", rank);
    index_of[rank] = i;
  }
  PieceTable sorted;
  for (std::size_t rank = 0; rank < index_of.size(); ++rank)
    sorted.insert(pieces.text(index_of[rank]), static_cast<std::uint32_t>(rank));
  return sorted;
}

/// What a class's Python code knows about its file.
struct TiktokenClass {
  std::string_view name;
  std::string_view digits;  ///< alternative of the pattern for numbers
  bool nfc;
  bool by_position;                  ///< see parse_tiktoken
  std::vector<std::string> special;  ///< behind the ranks, in this order
  std::vector<std::string> prefix;   ///< in front of a text
  ClassTokens tokens;
};

void append_numbered(std::vector<std::string>& texts, std::string_view name, int first, int end) {
  for (int i = first; i < end; ++i)
    texts.push_back(fmt::format("<|{}_{}|>", name, i));
}

std::vector<std::string> with_extras(std::vector<std::string> texts) {
  append_numbered(texts, "extra", 0, 205);
  return texts;
}

/// The 256 tokens of the original release.
std::vector<std::string> header_tokens() {
  std::vector<std::string> texts = {"<|begin_of_text|>", "<|end_of_text|>"};
  append_numbered(texts, "reserved_special_token", 0, 4);
  for (const char* text :
       {"<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>"})
    texts.emplace_back(text);
  append_numbered(texts, "reserved_special_token", 5, 251);
  return texts;
}

const std::vector<TiktokenClass>& classes() {
  constexpr std::string_view kOne = "\\p{N}", kThree = "\\p{N}{1,3}";
  static const std::vector<TiktokenClass> all = {
      {"QWenTokenizer",
       kOne,
       true,
       false,
       with_extras({"<|endoftext|>", "<|im_start|>", "<|im_end|>"}),
       {},
       {}},
      {"HYTokenizer",
       kOne,
       true,
       true,
       with_extras({"<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>"}),
       {},
       {}},
      {"ChatGLM4Tokenizer",
       kThree,
       false,
       false,
       {"<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>",
        "<|assistant|>", "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>",
        "<|end_of_video|>"},
       {"[gMASK]", "<sop>"},
       {{nullptr, "<|endoftext|>"}, false, false}},
      {"PreTrainedTokenizer", kThree, false, false, {}, {}, {}},
      // The directory of the original release has no tokenizer_config.json.
      {"",
       kThree,
       false,
       false,
       header_tokens(),
       {"<|begin_of_text|>"},
       {{"<|begin_of_text|>", "<|end_of_text|>"}, false, false}},
  };
  return all;
}

const TiktokenClass& find_class(const SourceOptions& options) {
  std::vector<std::string_view> names;
  for (const TiktokenClass& kind : classes()) {
    if (!kind.name.empty()) names.push_back(kind.name);
  }
  if (!options.tokenizer_class.empty()) require_class(options, names, "a tiktoken file");
  return *std::find_if(classes().begin(), classes().end(),
                       [&](const TiktokenClass& kind) { return kind.name == options.tokenizer_class; });
}

TokenizerModel build(const PieceTable& ranked, const TiktokenClass& kind, const SourceOptions& options) {
  TokenizerModel model;
  set_ranked_vocabulary(ranked, model);
  add_ranked_pipeline(contraction_pattern(kind.digits), kind.nfc, model);
  AddedTokenIds added(model.pieces, static_cast<std::uint32_t>(model.pieces.size()));
  for (const std::string& text : kind.special) {
    AddedToken token;
    token.content = text;
    token.special = true;
    added.put(std::move(token));
  }
  if (kind.special.empty()) {
    for (const AddedToken& token : options.additional())
      added.put(token);
  }
  put_configured(options, kind.tokens, added);
  model.set_added(added.take());
  for (const std::string& text : kind.prefix)
    model.prefix_ids.push_back(model.find_id(text).value());
  return model;
}

}  // namespace

bool looks_like_tiktoken(std::string_view text) {
  LineReader lines(text);
  RankLine line;
  while (lines.next()) {
    if (!is_blank(lines.line())) return parse_line(lines.line(), line);
  }
  return false;
}

PieceTable parse_tiktoken(std::string_view text, bool by_position) {
  PieceTable pieces;
  RankLine line;
  for (LineReader lines(text); lines.next();) {
    if (is_blank(lines.line())) continue;
    if (!parse_line(lines.line(), line)) {
      fail(ErrorKind::kFormat, "line {}: expected base64, a blank and a rank, found {}", lines.number(),
           shown(lines.line()));
    }
    if (by_position) line.rank = static_cast<std::uint32_t>(pieces.size());
    if (!pieces.insert(line.bytes, line.rank) && !by_position) {
      fail(ErrorKind::kFormat, "line {}: {} appears twice", lines.number(), shown(line.bytes, 40));
    }
  }
  if (pieces.empty()) fail(ErrorKind::kFormat, "no pieces");
  return sorted_by_rank(pieces);
}

void set_ranked_vocabulary(const PieceTable& ranked, TokenizerModel& model) {
  BpeModel bpe;
  bpe.merges = merges_by_rank(ranked);
  bpe.ignore_merges = true;
  for (std::size_t rank = 0; rank < ranked.size(); ++rank)
    model.pieces.insert(to_byte_alphabet(ranked.text(rank)), ranked.id(rank));
  model.model = std::move(bpe);
}

void add_ranked_pipeline(std::string pattern, bool nfc, TokenizerModel& model) {
  if (nfc) model.normalizers.emplace_back();
  PreTokenizerStep split;
  split.kind = PreTokenizerStep::Kind::kSplit;
  split.pattern = {std::move(pattern), true};
  model.pre_tokenizers.push_back(std::move(split));
  PreTokenizerStep bytes;
  bytes.use_regex = false;
  model.pre_tokenizers.push_back(std::move(bytes));
  model.decoders.emplace_back();
}

TokenizerModel load_tiktoken(const std::filesystem::path& path, const SourceOptions& options,
                             TokenizerConfig& config) {
  const TiktokenClass& kind = find_class(options);
  const std::string text = read_vocabulary(path);
  try {
    TokenizerModel model = build(parse_tiktoken(text, kind.by_position), kind, options);
    apply_class_tokens(kind.tokens, config);
    return model;
  } catch (Error& error) {
    error.add_context(shown(path.filename().string()));
    throw;
  }
}

}  // namespace llm2mnn
