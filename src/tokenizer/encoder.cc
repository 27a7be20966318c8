#include "tokenizer/encoder.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/json.h"
#include "base/overloaded.h"
#include "tokenizer/added_matcher.h"
#include "tokenizer/bpe_encoder.h"
#include "tokenizer/decode.h"
#include "tokenizer/id_table.h"
#include "tokenizer/normalize.h"
#include "tokenizer/pre_tokenize.h"
#include "tokenizer/unigram.h"
#include "tokenizer/word_cache.h"
#include "tokenizer/word_piece.h"

namespace llm2mnn {

namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;  // spans are 32-bit, also of text that grows

/// Working memory of one call; the cache of words lives on from call to call.
struct Scratch {
  BpeEncoder::Scratch bpe;
  UnigramEncoder::Scratch unigram;
  WordCache cache;
  Words words;
};

bool keeps_bytes(const TokenizerModel& model) {
  return model.bpe() != nullptr && !model.pre_tokenizers.empty() &&
         model.pre_tokenizers.back().kind == PreTokenizerStep::Kind::kByteLevel &&
         BpeEncoder::takes_bytes(model, *model.bpe());
}

}  // namespace

struct Encoder::State {
  explicit State(TokenizerModel description)
      : model(std::move(description)),
        spells_bytes(keeps_bytes(model)),
        normalizer(model.normalizers),
        pre_tokenizer(model.pre_tokenizers, spells_bytes),
        decoder(model.decoders),
        ids(model) {
    if (model.bpe() != nullptr) bpe = std::make_unique<BpeEncoder>(model, *model.bpe(), spells_bytes);
    if (const auto* unigram_model = std::get_if<UnigramModel>(&model.model)) {
      unigram = std::make_unique<UnigramEncoder>(model, *unigram_model);
    }
    for (std::size_t i = 0; i < model.pieces.size(); ++i)
      longest_piece = std::max(longest_piece, model.pieces.text(i).size());
    add_tokens(true);  // of two that look alike when normalized the special one counts
    add_tokens(false);
    raw_tokens.finish();
    normalized_tokens.finish();
  }

  void add_tokens(bool special);
  void add_normalized(const AddedToken& token);
  std::unique_ptr<Scratch> take_scratch();
  void give_back(std::unique_ptr<Scratch> scratch);
  void encode_raw(std::string_view text, bool is_first, Scratch& scratch,
                  std::vector<std::uint32_t>& out) const;
  void encode_words(std::string_view text, bool keeps_start, Scratch& scratch,
                    std::vector<std::uint32_t>& out) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<std::uint32_t>& out) const;
  void encode_cached(std::string_view word, Scratch& scratch, std::vector<std::uint32_t>& out) const;

  TokenizerModel model;
  bool spells_bytes;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;
  IdTable ids;
  std::unique_ptr<BpeEncoder> bpe;
  std::unique_ptr<UnigramEncoder> unigram;
  AddedMatcher raw_tokens, normalized_tokens;
  PieceTable special_texts;
  std::size_t longest_piece = 0;  // bytes

  std::mutex mutex;
  std::vector<std::unique_ptr<Scratch>> idle;  // guarded by mutex
};

void Encoder::State::add_tokens(bool special) {
  for (const AddedToken& token : model.added) {
    if (token.special != special) continue;
    if (!token.normalized || token.raw_too) raw_tokens.add(token.content, token);
    if (token.normalized) add_normalized(token);
    if (token.special) special_texts.insert(token.content, token.id);
  }
}

void Encoder::State::add_normalized(const AddedToken& token) {
  const std::string text = normalizer.apply(token.content).text;
  // `tokenizers` finds the empty text between any two bytes, and ends at a character of more than one.
  if (text.empty() && !token.content.empty()) {
    fail(ErrorKind::kUnsupported,
         "the normalizer leaves nothing of the added token {}: set its normalized to false",
         shown(token.content, 40));
  }
  normalized_tokens.add(text, token);
}

std::unique_ptr<Scratch> Encoder::State::take_scratch() {
  const std::lock_guard lock(mutex);
  if (idle.empty()) return std::make_unique<Scratch>();
  std::unique_ptr<Scratch> scratch = std::move(idle.back());
  idle.pop_back();
  return scratch;
}

void Encoder::State::give_back(std::unique_ptr<Scratch> scratch) {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(scratch));
}

void Encoder::State::encode_word(std::string_view word, Scratch& scratch,
                                 std::vector<std::uint32_t>& out) const {
  std::visit(Overloaded{[&](const BpeModel&) { bpe->encode(word, scratch.bpe, out); },
                        [&](const UnigramModel&) { unigram->encode(word, scratch.unigram, out); },
                        [&](const WordPieceModel& m) {
                          encode_word_piece(model.pieces, m, longest_piece, word, out);
                        },
                        [&](const WordLevelModel& m) { encode_word_level(model.pieces, m, word, out); }},
             model.model);
}

void Encoder::State::encode_cached(std::string_view word, Scratch& scratch,
                                   std::vector<std::uint32_t>& out) const {
  if (scratch.cache.find(word, out)) return;
  const std::size_t first = out.size();
  encode_word(word, scratch, out);
  scratch.cache.insert(word, std::span(out).subspan(first));
}

void Encoder::State::encode_words(std::string_view text, bool keeps_start, Scratch& scratch,
                                  std::vector<std::uint32_t>& out) const {
  if (text.size() > kMaxTextBytes) {
    fail(ErrorKind::kUnsupported, "a text of {} bytes between two added tokens; at most {} are taken",
         text.size(), kMaxTextBytes);
  }
  Words& words = scratch.words;
  words.text = text;
  words.spans.assign(1, {0, checked_cast<std::uint32_t>(text.size())});
  words.first_keeps_start = keeps_start;
  pre_tokenizer.run(words);
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    std::string_view rest = words.word(i);
    while (!rest.empty()) {
      const std::size_t stretch = bpe != nullptr ? bpe->first_stretch(rest) : rest.size();
      encode_cached(rest.substr(0, stretch), scratch, out);
      rest.remove_prefix(stretch);
    }
  }
}

/// Encodes what lies between two tokens of the first pass.
void Encoder::State::encode_raw(std::string_view text, bool is_first, Scratch& scratch,
                                std::vector<std::uint32_t>& out) const {
  NormalizedText normalized;
  if (!normalizer.is_identity()) {
    normalized = normalizer.apply(text);
    text = normalized.text;
  }
  if (normalized_tokens.empty()) {
    if (!text.empty()) encode_words(text, is_first && normalized.keeps_start, scratch, out);
    return;
  }
  std::vector<TextPart> parts;
  normalized_tokens.split(text, parts);
  for (const TextPart& part : parts) {
    if (part.token != nullptr) {
      out.push_back(part.token->id);
    } else {
      const bool at_start = is_first && normalized.keeps_start && part.text.data() == text.data();
      encode_words(part.text, at_start, scratch, out);
    }
  }
}

Encoder::Encoder(TokenizerModel model) : state_(std::make_unique<State>(std::move(model))) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

const TokenizerModel& Encoder::model() const { return state_->model; }

std::vector<std::uint32_t> Encoder::encode(std::string_view text, bool add_special_tokens) const {
  if (!is_utf8(text)) fail(ErrorKind::kFormat, "the text is no valid UTF-8");
  State& state = *state_;
  std::vector<std::uint32_t> out;
  if (add_special_tokens) out = state.model.prefix_ids;
  std::vector<TextPart> parts;
  state.raw_tokens.split(text, parts);
  std::unique_ptr<Scratch> scratch = state.take_scratch();
  for (const TextPart& part : parts) {
    if (part.token != nullptr) {
      out.push_back(part.token->id);
    } else {
      state.encode_raw(part.text, part.text.data() == text.data(), *scratch, out);
    }
  }
  state.give_back(std::move(scratch));
  if (add_special_tokens) {
    out.insert(out.end(), state.model.suffix_ids.begin(), state.model.suffix_ids.end());
  }
  return out;
}

std::string Encoder::decode(std::span<const std::uint32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::uint32_t id : ids) {
    if (!state_->ids.is_used(id)) continue;
    const std::string_view text = state_->ids.text(id);
    if (skip_special_tokens && state_->special_texts.find(text)) continue;
    tokens.emplace_back(text);
  }
  return state_->decoder.decode(std::move(tokens));
}

}  // namespace llm2mnn
