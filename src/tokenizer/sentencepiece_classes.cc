// From the pieces of a SentencePiece file to the pipeline of a tokenizer class.

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "tokenizer/merge_search.h"
#include "tokenizer/sentencepiece.h"

namespace llm2mnn {

namespace {

using PieceType = SentencePieceFile::PieceType;
constexpr const char* kBlank = "▁";

/// How a class treats text, in front of the model.
enum class Pipeline : std::uint8_t {
  kReplace,    ///< blanks are replaced in the normalizer, with a prefix; without one when not `legacy`
  kSplit,      ///< blanks are replaced in the normalizer, without a prefix
  kMetaspace,  ///< charsmap, no double blanks, words
  kPlain,      ///< what the file's normalizer_spec says: classes of remote code that call the library itself
};

struct SentencePieceClass {
  std::string_view name;
  ClassTokens tokens;
  Pipeline pipeline;
};

const std::vector<SentencePieceClass>& classes() {
  static const std::vector<SentencePieceClass> all = [] {
    const ClassTokens plain{{"<s>", "</s>", "<unk>"}, false, false};
    const ClassTokens padded{{"<s>", "</s>", "<unk>", nullptr, "</s>"}, false, false};
    const ClassTokens named{{"<bos>", "<eos>", "<unk>", nullptr, "<pad>"}, false, false};
    const ClassTokens wrapped{{"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}, false, true};
    return std::vector<SentencePieceClass>{
        {"LlamaTokenizer", plain, Pipeline::kReplace},
        {"GemmaTokenizer", named, Pipeline::kSplit},
        {"XLMRobertaTokenizer", wrapped, Pipeline::kMetaspace},
        {"BaichuanTokenizer", plain, Pipeline::kPlain},
        {"InternLMTokenizer", padded, Pipeline::kPlain},
        {"InternLM2Tokenizer", padded, Pipeline::kPlain},
    };
  }();
  return all;
}

const SentencePieceClass& find_class(const SourceOptions& options) {
  std::vector<std::string_view> names;
  for (const SentencePieceClass& kind : classes())
    names.push_back(kind.name);
  require_class(options, names, "a SentencePiece model");
  return *std::find_if(classes().begin(), classes().end(),
                       [&](const SentencePieceClass& kind) { return kind.name == options.tokenizer_class; });
}

NormalizerStep replace_step(std::string pattern, bool is_regex, std::string content) {
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::kReplace;
  step.pattern = {std::move(pattern), is_regex};
  step.content = std::move(content);
  return step;
}

NormalizerStep prepend_step() {
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::kPrepend;
  step.content = kBlank;
  return step;
}

NormalizerStep charsmap_step(const std::string& charsmap) {
  NormalizerStep step;
  step.kind = NormalizerStep::Kind::kPrecompiled;
  step.charsmap = charsmap;
  return step;
}

PreTokenizerStep metaspace_step(PrependScheme scheme, bool split) {
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kMetaspace;
  step.content = kBlank;
  step.prepend_scheme = scheme;
  step.split = split;
  return step;
}

/// Pieces are joined, bytes become characters, and the blank of the prefix goes.
void add_byte_fallback_decoder(bool strips_prefix, TokenizerModel& model) {
  DecoderStep replace;
  replace.kind = DecoderStep::Kind::kReplace;
  replace.pattern = {kBlank, false};
  replace.content = " ";
  model.decoders.push_back(std::move(replace));
  for (const auto kind : {DecoderStep::Kind::kByteFallback, DecoderStep::Kind::kFuse}) {
    DecoderStep step;
    step.kind = kind;
    model.decoders.push_back(std::move(step));
  }
  if (!strips_prefix) return;
  DecoderStep strip;
  strip.kind = DecoderStep::Kind::kStrip;
  strip.content = " ";
  strip.start = 1;
  model.decoders.push_back(std::move(strip));
}

void add_replace_pipeline(const SourceOptions& options, TokenizerModel& model) {
  const TokenizerConfig& config = options.config;
  const bool has_prefix = config.add_prefix_space.value_or(!config.has_prefix_space_key);
  if (config.legacy.value_or(true)) {
    if (has_prefix) model.normalizers.push_back(prepend_step());
    model.normalizers.push_back(replace_step(" ", false, kBlank));
  } else {
    model.pre_tokenizers.push_back(
        metaspace_step(has_prefix ? PrependScheme::kFirst : PrependScheme::kNever, false));
  }
  add_byte_fallback_decoder(has_prefix, model);
}

void add_split_pipeline(TokenizerModel& model) {
  model.normalizers.push_back(replace_step(" ", false, kBlank));
  PreTokenizerStep split;
  split.kind = PreTokenizerStep::Kind::kSplit;
  split.pattern = {" ", false};
  split.behavior = SplitBehavior::kMergedWithPrevious;
  model.pre_tokenizers.push_back(std::move(split));
  add_byte_fallback_decoder(false, model);
}

void add_metaspace_pipeline(const SentencePieceFile& file, TokenizerModel& model) {
  if (!file.charsmap.empty()) model.normalizers.push_back(charsmap_step(file.charsmap));
  NormalizerStep strip;
  strip.kind = NormalizerStep::Kind::kStrip;
  strip.strip_right = true;
  model.normalizers.push_back(std::move(strip));
  model.normalizers.push_back(replace_step(" {2,}", true, kBlank));
  model.pre_tokenizers.push_back(metaspace_step(PrependScheme::kAlways, true));
  DecoderStep decoder;
  decoder.kind = DecoderStep::Kind::kMetaspace;
  decoder.content = kBlank;
  model.decoders.push_back(std::move(decoder));
}

void add_plain_pipeline(const SentencePieceFile& file, TokenizerModel& model) {
  if (!file.escape_whitespaces) {
    fail(ErrorKind::kUnsupported, "normalizer_spec: escape_whitespaces false is not supported");
  }
  if (file.treat_whitespace_as_suffix) {
    fail(ErrorKind::kUnsupported, "trainer_spec: treat_whitespace_as_suffix is not supported");
  }
  if (!file.charsmap.empty()) model.normalizers.push_back(charsmap_step(file.charsmap));
  if (file.remove_extra_whitespaces) {
    model.normalizers.push_back(replace_step(" {2,}", true, " "));
    model.normalizers.push_back(replace_step("\\A | \\z", true, ""));
  }
  if (file.add_dummy_prefix) model.normalizers.push_back(prepend_step());
  model.normalizers.push_back(replace_step(" ", false, kBlank));
  add_byte_fallback_decoder(file.add_dummy_prefix, model);
}

/// The vocabulary that a class makes of the file's pieces, with scores by index.
struct Vocabulary {
  PieceTable pieces;
  std::vector<double> scores;
  std::uint32_t unk_id = 0;

  void add(std::string_view text, double score) {
    if (!pieces.insert(text, static_cast<std::uint32_t>(pieces.size()))) {
      fail(ErrorKind::kFormat, "piece {}: {} appears twice for this tokenizer class", pieces.size(),
           shown(text, 40));
    }
    scores.push_back(score);
  }
  void add_from(const SentencePieceFile& file, std::size_t first) {
    for (std::size_t i = first; i < file.pieces.size(); ++i)
      add(file.pieces.text(i), file.scores[i]);
  }
};

/// The texts that take the places of the first pieces, with the score 0.
std::vector<std::string> first_texts(const SentencePieceFile& file, const SentencePieceClass& kind,
                                     const SourceOptions& options) {
  std::vector<std::string> texts;
  const auto add_named = [&](TokenRole role) {
    const auto token = options.named(role, kind.tokens);
    if (!token)
      fail(ErrorKind::kFormat, "'tokenizer_config.json': {} needs a bos, eos and pad token", kind.name);
    texts.push_back(token->content);
  };
  switch (kind.pipeline) {
    case Pipeline::kReplace:
      for (std::uint32_t id = 0; id < 3 && id < file.pieces.size(); ++id) {
        texts.emplace_back(file.pieces.text(id));
        for (const AddedToken& token : options.config.added_tokens) {
          if (token.id == id) texts.back() = token.content;
        }
      }
      break;
    case Pipeline::kSplit:
      add_named(TokenRole::kPad);
      add_named(TokenRole::kEos);
      add_named(TokenRole::kBos);
      break;
    case Pipeline::kMetaspace:
      texts = {"<s>", "<pad>", "</s>", "<unk>"};
      break;
    case Pipeline::kPlain:
      break;
  }
  return texts;
}

Vocabulary make_vocabulary(const SentencePieceFile& file, const SentencePieceClass& kind,
                           const SourceOptions& options) {
  constexpr std::size_t kReplaced = 3;  // pieces that the first texts stand for
  constexpr std::uint32_t kUnk = 3;     // by these classes' own layout
  Vocabulary vocabulary;
  for (const std::string& text : first_texts(file, kind, options))
    vocabulary.add(text, 0);
  vocabulary.add_from(file, kind.pipeline == Pipeline::kPlain ? 0 : kReplaced);
  if (kind.pipeline == Pipeline::kMetaspace) vocabulary.add("<mask>", 0);
  if (kind.pipeline == Pipeline::kPlain) vocabulary.unk_id = file.unk_id;
  if (kind.pipeline == Pipeline::kSplit || kind.pipeline == Pipeline::kMetaspace) vocabulary.unk_id = kUnk;
  if (vocabulary.unk_id >= vocabulary.pieces.size()) {
    fail(ErrorKind::kFormat, "{} pieces: {} needs more", file.pieces.size(), kind.name);
  }
  return vocabulary;
}

/// Files of the split classes without a tab: the tab takes the place of its byte.
void replace_tab_byte(Vocabulary& vocabulary, PieceTable& halves) {
  if (!halves.find("\t")) {
    if (const auto byte = halves.find_id("<0x09>")) halves.insert("\t", *byte);
  }
  const auto index = vocabulary.pieces.find("<0x09>");
  if (vocabulary.pieces.find("\t") || !index) return;
  Vocabulary with_tab;
  with_tab.unk_id = vocabulary.unk_id;
  for (std::size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const bool is_byte = i == *index;
    with_tab.add(is_byte ? "\t" : vocabulary.pieces.text(i), is_byte ? 0 : vocabulary.scores[i]);
  }
  vocabulary = std::move(with_tab);
}

void build_model(const SentencePieceFile& file, const SentencePieceClass& kind, Vocabulary vocabulary,
                 TokenizerModel& model) {
  const bool byte_fallback =
      kind.pipeline == Pipeline::kPlain ? file.byte_fallback : kind.pipeline != Pipeline::kMetaspace;
  if (file.is_unigram) {
    model.model = UnigramModel{std::move(vocabulary.scores), vocabulary.unk_id, byte_fallback};
  } else {
    PieceTable halves = file.pieces;
    if (kind.pipeline == Pipeline::kSplit) replace_tab_byte(vocabulary, halves);
    if (!vocabulary.pieces.find(file.unk_piece)) {
      fail(ErrorKind::kFormat, "unk_piece {} is not in the vocabulary", shown(file.unk_piece));
    }
    BpeModel bpe;
    bpe.merges = merges_by_score(vocabulary.pieces, vocabulary.scores, halves);
    bpe.unk_token = file.unk_piece;
    bpe.fuse_unk = true;
    bpe.byte_fallback = byte_fallback;
    model.model = std::move(bpe);
  }
  model.pieces = std::move(vocabulary.pieces);
}

void add_tokens(const SentencePieceFile& file, const SentencePieceClass& kind, const SourceOptions& options,
                TokenizerModel& model) {
  constexpr std::array<std::string_view, 2> kTurns = {"<start_of_turn>", "<end_of_turn>"};
  AddedTokenIds added(model.pieces, static_cast<std::uint32_t>(model.pieces.size()));
  for (std::size_t i = 0; i < file.pieces.size(); ++i) {
    const PieceType type = file.types[i];
    if (type != PieceType::kControl && type != PieceType::kUserDefined) continue;
    AddedToken token;
    token.content = file.pieces.text(i);
    token.special = type == PieceType::kControl ||
                    (kind.pipeline == Pipeline::kSplit &&
                     std::find(kTurns.begin(), kTurns.end(), token.content) != kTurns.end());
    added.put(std::move(token));
  }
  put_configured(options, kind.tokens, added);
  model.set_added(added.take());
}

void add_text_ends(const SentencePieceClass& kind, const SourceOptions& options, TokenizerModel& model) {
  const auto id_of = [&](TokenRole role, std::string_view key) {
    return required_id(model, options, role, kind.tokens, key);
  };
  if (kind.pipeline == Pipeline::kMetaspace) {
    model.prefix_ids = {id_of(TokenRole::kCls, kind.name)};
    model.suffix_ids = {id_of(TokenRole::kSep, kind.name)};
    return;
  }
  if (options.config.add_bos_token.value_or(true))
    model.prefix_ids = {id_of(TokenRole::kBos, "add_bos_token")};
  if (options.config.add_eos_token.value_or(false))
    model.suffix_ids = {id_of(TokenRole::kEos, "add_eos_token")};
}

}  // namespace

TokenizerModel build_sentencepiece(const SentencePieceFile& file, const SourceOptions& options,
                                   TokenizerConfig& config) {
  const SentencePieceClass& kind = find_class(options);
  TokenizerModel model;
  switch (kind.pipeline) {
    case Pipeline::kReplace:
      add_replace_pipeline(options, model);
      break;
    case Pipeline::kSplit:
      add_split_pipeline(model);
      break;
    case Pipeline::kMetaspace:
      add_metaspace_pipeline(file, model);
      break;
    case Pipeline::kPlain:
      add_plain_pipeline(file, model);
      break;
  }
  build_model(file, kind, make_vocabulary(file, kind, options), model);
  add_tokens(file, kind, options, model);
  add_text_ends(kind, options, model);
  apply_class_tokens(kind.tokens, config);
  return model;
}

}  // namespace llm2mnn
