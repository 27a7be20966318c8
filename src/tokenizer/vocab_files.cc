#include "tokenizer/vocab_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace llm2mnn {

namespace {

constexpr std::uint32_t kMaxId = 0x7FFFFFFFu;
constexpr const char* kEndOfText = "<|endoftext|>";

/// How a class of transformers reads vocab.json and merges.txt.
struct BpeClass {
  std::string_view name;
  ClassTokens tokens;
  bool is_newer = false;      ///< NFC and the pattern with contractions; otherwise GPT-2's pattern
  bool wraps_in_cls = false;  ///< cls in front of a text, sep behind it
};

const std::vector<BpeClass>& bpe_classes() {
  static const std::vector<BpeClass> classes = [] {
    const ClassTokens end_of_text{{kEndOfText, kEndOfText, kEndOfText}, true, false};
    const ClassTokens padded{{nullptr, kEndOfText, kEndOfText, nullptr, kEndOfText}, false, false};
    const ClassTokens wrapped{{"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}, true, true};
    return std::vector<BpeClass>{
        {"GPT2Tokenizer", end_of_text, false, false},  {"CodeGenTokenizer", end_of_text, false, false},
        {"Qwen2Tokenizer", padded, true, false},       {"RobertaTokenizer", wrapped, false, true},
        {"LongformerTokenizer", wrapped, false, true}, {"BartTokenizer", wrapped, false, true},
    };
  }();
  return classes;
}

/// An object of pieces and ids.
class VocabHandler : public JsonHandler {
 public:
  explicit VocabHandler(PieceTable& pieces) : pieces_(pieces) {}
  void on_null() override { fail_kind(); }
  void on_bool(bool) override { fail_kind(); }
  void on_string(std::string_view) override { fail_kind(); }
  void on_begin_array() override { fail_kind(); }
  void on_end_array() override {}
  void on_begin_object() override {
    if (depth_++ != 0) fail_kind();
  }
  void on_end_object() override {}
  void on_key(std::string_view name) override { key_ = name; }
  void on_number(std::string_view text) override {
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (depth_ == 0 || error != std::errc{} || end != text.data() + text.size() || id > kMaxId) fail_kind();
    if (!pieces_.insert(key_, id)) fail(ErrorKind::kFormat, "piece {} appears twice", shown(key_));
  }

 private:
  [[noreturn]] void fail_kind() const {
    if (depth_ == 0) fail(ErrorKind::kFormat, "expected an object of pieces and ids");
    fail(ErrorKind::kFormat, "{}: expected an id from 0 to {}", shown(key_), kMaxId);
  }

  PieceTable& pieces_;
  std::string key_;
  int depth_ = 0;
};

void check_ids(const PieceTable& pieces) {
  constexpr std::size_t kMaxHoles = 65'536;  // as for tokenizer.json
  if (pieces.empty()) fail(ErrorKind::kFormat, "'vocab.json': no pieces");
  check_unique_ids(pieces, "'vocab.json'");
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    largest = std::max(largest, pieces.id(i));
  if (largest > pieces.size() + kMaxHoles) {
    fail(ErrorKind::kFormat, "'vocab.json': id {} is too large for {} pieces", largest, pieces.size());
  }
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\f\v");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\f\v") - begin + 1);
}

BpeMerge resolve_merge(std::string_view line, const PieceTable& pieces, std::size_t number) {
  const std::size_t blank = line.find_first_of(" \t");
  const std::string_view left = line.substr(0, std::min(blank, line.size()));
  const std::string_view right =
      blank == std::string_view::npos ? std::string_view() : trimmed(line.substr(blank));
  if (left.empty() || right.empty() || right.find_first_of(" \t") != std::string_view::npos) {
    fail(ErrorKind::kFormat, "'merges.txt' line {}: expected two pieces with a blank between them, found {}",
         number, shown(line));
  }
  const auto id_of = [&](std::string_view part) {
    const auto id = pieces.find_id(part);
    if (!id) {
      fail(ErrorKind::kFormat, "'merges.txt' line {}: {} is not in vocab.json", number, shown(part, 40));
    }
    return *id;
  };
  return {id_of(left), id_of(right), id_of(std::string(left).append(right))};
}

/// Whether a line of merges.txt is no merge. Most classes drop the first line whatever it is, and what stands
/// behind the last line end; the newer ones drop a version line and empty ones.
bool is_no_merge(const LineReader& lines, bool by_content) {
  if (!by_content) return lines.number() == 1 || !lines.is_ended();
  return trimmed(lines.line()).empty() || (lines.number() == 1 && lines.line().starts_with("#version:"));
}

BpeModel read_merges(const std::filesystem::path& dir, const PieceTable& pieces, bool by_content) {
  const std::string text = read_vocabulary(dir / "merges.txt");
  BpeModel bpe;
  std::unordered_set<std::uint64_t> seen;  // a merge that comes again has no effect
  for (LineReader lines(text); lines.next();) {
    if (is_no_merge(lines, by_content)) continue;
    const BpeMerge merge = resolve_merge(trimmed(lines.line()), pieces, lines.number());
    if (seen.insert((std::uint64_t{merge.left} << 32) | merge.right).second) bpe.merges.push_back(merge);
  }
  return bpe;
}

void add_byte_level(TokenizerModel& model, bool add_prefix_space, bool use_regex) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kByteLevel;
  step.add_prefix_space = add_prefix_space;
  step.use_regex = use_regex;
  model.pre_tokenizers.push_back(std::move(step));
  DecoderStep decoder;
  decoder.kind = DecoderStep::Kind::kByteLevel;
  model.decoders.push_back(std::move(decoder));
}

void add_components(const BpeClass& kind, const SourceOptions& options, TokenizerModel& model) {
  if (!kind.is_newer) {
    add_byte_level(model, options.config.add_prefix_space.value_or(false), true);
    return;
  }
  model.normalizers.emplace_back();  // NFC
  PreTokenizerStep split;
  split.kind = PreTokenizerStep::Kind::kSplit;
  split.pattern = {contraction_pattern("\\p{N}"), true};
  model.pre_tokenizers.push_back(std::move(split));
  add_byte_level(model, false, false);
}

const BpeClass& find_bpe_class(const SourceOptions& options) {
  std::vector<std::string_view> names;
  for (const BpeClass& kind : bpe_classes())
    names.push_back(kind.name);
  require_class(options, names, "vocab.json and merges.txt");
  return *std::find_if(bpe_classes().begin(), bpe_classes().end(),
                       [&](const BpeClass& kind) { return kind.name == options.tokenizer_class; });
}

/// The lines of vocab.txt; their number counts as the size of the vocabulary.
std::uint32_t read_word_pieces(std::string_view text, PieceTable& pieces) {
  std::uint32_t num_lines = 0;
  for (LineReader lines(text); lines.next();) {
    if (!lines.is_ended() && lines.line().empty()) break;
    const std::uint32_t id = num_lines++;
    // An empty piece takes an id, but no text ever gives it.
    if (lines.line().empty()) continue;
    if (!pieces.insert(lines.line(), id)) {
      fail(ErrorKind::kFormat, "'vocab.txt' line {}: piece {} appears twice", lines.number(),
           shown(lines.line()));
    }
  }
  if (pieces.empty()) fail(ErrorKind::kFormat, "'vocab.txt': no pieces");
  return num_lines;
}

void add_bert_components(const SourceOptions& options, TokenizerModel& model) {
  NormalizerStep normalizer;
  normalizer.kind = NormalizerStep::Kind::kBert;
  normalizer.handle_chinese_chars = options.config.tokenize_chinese_chars.value_or(true);
  normalizer.lowercase = options.config.do_lower_case.value_or(true);
  normalizer.strip_accents = options.config.strip_accents;
  model.normalizers.push_back(std::move(normalizer));
  PreTokenizerStep split;
  split.kind = PreTokenizerStep::Kind::kBert;
  model.pre_tokenizers.push_back(std::move(split));
  DecoderStep decoder;
  decoder.kind = DecoderStep::Kind::kWordPiece;
  decoder.content = "##";
  model.decoders.push_back(std::move(decoder));
}

}  // namespace

std::string contraction_pattern(std::string_view digits) {
  std::string pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
  pattern += digits;
  return pattern + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
}

TokenizerModel load_vocab_and_merges(const std::filesystem::path& dir, const SourceOptions& options,
                                     TokenizerConfig& config) {
  const BpeClass& kind = find_bpe_class(options);
  TokenizerModel model;
  VocabHandler handler(model.pieces);
  JsonLimits limits;
  limits.max_bytes = 2 * kMaxVocabularyBytes;  // JSON takes more room
  load_json_events(dir / "vocab.json", handler, limits);
  check_ids(model.pieces);
  model.model = read_merges(dir, model.pieces, kind.is_newer);
  add_components(kind, options, model);

  AddedTokenIds added(model.pieces, static_cast<std::uint32_t>(model.pieces.size()));
  put_configured(options, kind.tokens, added);
  model.set_added(added.take());
  const auto id_of = [&](TokenRole role, std::string_view key) {
    return required_id(model, options, role, kind.tokens, key);
  };
  if (kind.wraps_in_cls) {
    model.prefix_ids = {id_of(TokenRole::kCls, kind.name)};
    model.suffix_ids = {id_of(TokenRole::kSep, kind.name)};
  } else if (!kind.is_newer && config.add_bos_token.value_or(false)) {
    model.prefix_ids = {id_of(TokenRole::kBos, "add_bos_token")};
  }
  apply_class_tokens(kind.tokens, config);
  return model;
}

TokenizerModel load_vocab_txt(const std::filesystem::path& path, const SourceOptions& options,
                              TokenizerConfig& config) {
  constexpr std::array<std::string_view, 5> kClasses = {"BertTokenizer", "DistilBertTokenizer",
                                                        "ElectraTokenizer", "MobileBertTokenizer",
                                                        "SqueezeBertTokenizer"};
  require_class(options, kClasses, "vocab.txt");
  const ClassTokens tokens{{nullptr, nullptr, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}, false, false};
  TokenizerModel model;
  const std::uint32_t vocab_size = read_word_pieces(read_vocabulary(path), model.pieces);
  WordPieceModel words;
  const auto unk = options.named(TokenRole::kUnk, tokens);
  if (unk) words.unk_token = unk->content;
  model.model = words;
  add_bert_components(options, model);
  AddedTokenIds added(model.pieces, vocab_size);
  put_configured(options, tokens, added);
  model.set_added(added.take());
  model.prefix_ids = {required_id(model, options, TokenRole::kCls, tokens, options.tokenizer_class)};
  model.suffix_ids = {required_id(model, options, TokenRole::kSep, tokens, options.tokenizer_class)};
  apply_class_tokens(tokens, config);
  return model;
}

}  // namespace llm2mnn
