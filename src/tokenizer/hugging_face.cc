#include "tokenizer/hugging_face.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/class_rules.h"
#include "tokenizer/hf_components.h"

namespace llm2mnn {

namespace {

/// Collects added tokens and keeps contents and ids unique.
class AddedTokens {
 public:
  explicit AddedTokens(const PieceTable& pieces) : pieces_(pieces) {
    ids_.reserve(pieces.size());
    for (std::size_t i = 0; i < pieces.size(); ++i)
      ids_.push_back(pieces.id(i));
    std::sort(ids_.begin(), ids_.end());
  }

  /// Text that is a piece keeps the piece's id, as in `tokenizers`; a different one in the file is broken.
  void add_from_document(const AddedToken& token) {
    if (token.content.empty() || contains(token)) return;
    if (const auto id = pieces_.find_id(token.content); id && *id != token.id) {
      fail(ErrorKind::kFormat, "added token {}: id {} in added_tokens, {} in model.vocab",
           shown(token.content), token.id, *id);
    }
    add(token);
  }

  /// A token of the configuration; one that is there already gets its flags.
  void add_from_config(const AddedToken& token) {
    if (!contains(token)) {
      add_from_document(token);
      return;
    }
    tokens_[*seen_.find(token.content)] = token;
  }

  void add(const AddedToken& token) {
    if (!pieces_.find(token.content) && std::binary_search(ids_.begin(), ids_.end(), token.id)) {
      fail(ErrorKind::kFormat, "added token {}: id {} belongs to another piece", shown(token.content),
           token.id);
    }
    seen_.insert(token.content, token.id);
    tokens_.push_back(token);
  }

  bool contains(const AddedToken& token) const {
    const auto id = seen_.find_id(token.content);
    if (id && *id != token.id) {
      fail(ErrorKind::kFormat, "added token {} has two ids, {} and {}", shown(token.content), *id, token.id);
    }
    return id.has_value();
  }
  bool contains_text(std::string_view text) const { return seen_.find(text).has_value(); }

  /// Ascending by id.
  std::vector<AddedToken> take() {
    std::stable_sort(tokens_.begin(), tokens_.end(),
                     [](const auto& a, const auto& b) { return a.id < b.id; });
    const auto twin = std::adjacent_find(tokens_.begin(), tokens_.end(),
                                         [](const auto& a, const auto& b) { return a.id == b.id; });
    if (twin != tokens_.end()) {
      fail(ErrorKind::kFormat, "added tokens {} and {} have the same id {}", shown(twin->content),
           shown((twin + 1)->content), twin->id);
    }
    return std::move(tokens_);
  }

 private:
  const PieceTable& pieces_;
  std::vector<std::uint32_t> ids_;  // of the pieces, ascending
  PieceTable seen_;
  std::vector<AddedToken> tokens_;
};

/// Those of tokenizer.json; then, as transformers does, those of `added_tokens_decoder` and the named special
/// tokens of tokenizer_config.json.
void read_added_tokens(const TokenizerJson& document, const TokenizerConfig& config, TokenizerModel& model) {
  AddedTokens tokens(model.pieces);
  for (const AddedToken& token : document.added)
    tokens.add_from_document(token);
  const auto& named = config.special_tokens;
  for (AddedToken token : config.added_tokens) {
    token.special = token.special || std::find(named.begin(), named.end(), token.content) != named.end();
    try {
      tokens.add_from_config(token);
    } catch (Error& error) {
      error.add_context("tokenizer_config.json added_tokens_decoder");
      throw;
    }
  }
  for (const std::string& text : config.special_tokens) {
    if (tokens.contains_text(text)) continue;
    AddedToken token;
    token.content = text;
    token.special = true;
    if (const auto id = model.pieces.find_id(text)) {
      token.id = *id;
      tokens.add(token);
    } else {
      model.notes.push_back(
          fmt::format("tokenizer: special token {} is in no vocabulary and is left out", shown(text)));
    }
  }
  model.set_added(tokens.take());
}

/// Holes in the ids are filled when the tables are written; a far-off id would make these as large as it
/// says.
void check_largest_id(const TokenizerModel& model) {
  constexpr std::size_t kMaxHoles = 65'536;  // padding to a round size stays far below
  const std::size_t entries = model.pieces.size() + model.added.size();
  if (model.num_ids() > entries + kMaxHoles) {
    fail(ErrorKind::kFormat, "id {} is too large for {} entries: more than {} ids would be unused",
         model.num_ids() - 1, entries, kMaxHoles);
  }
}

void check_other_components(const TokenizerJson& document, TokenizerModel& model) {
  constexpr std::array<std::string_view, 7> kKnown = {
      "version", "truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"};
  for (const auto& [key, value] : document.components) {
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      fail(ErrorKind::kUnsupported, "member {} is not known to this version", shown(key));
    }
    if ((key == "truncation" || key == "padding") && !value.is_null()) {
      model.notes.push_back(
          fmt::format("tokenizer.json: {} is ignored: the runtime neither cuts nor pads", key));
    }
  }
}

}  // namespace

TokenizerModel build_tokenizer_model(TokenizerJson&& source, const TokenizerConfig& config) {
  TokenizerJson document = std::move(source);  // freed before anything is written
  TokenizerModel model;
  check_other_components(document, model);
  hf::read_model(document, model);
  model.normalizers = hf::read_normalizer(document.component("normalizer"));
  model.pre_tokenizers = hf::read_pre_tokenizer(document.component("pre_tokenizer"));
  model.decoders = hf::read_decoder(document.component("decoder"));
  read_added_tokens(document, config, model);
  if (model.num_ids() == 0) fail(ErrorKind::kFormat, "model.vocab: no pieces");
  check_largest_id(model);
  hf::read_post_processor(document.component("post_processor"), model);
  apply_class_rule(document, config, model);
  return model;
}

}  // namespace llm2mnn
