#include "tokenizer/hugging_face.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/added_token_ids.h"
#include "tokenizer/class_rules.h"
#include "tokenizer/hf_components.h"

namespace llm2mnn {

namespace {

/// Named tokens that are new, plain text of none, or that have flags of their own. Of two roles of one text
/// the first counts.
template <typename IsKnown>
void add_named_tokens(const TokenizerJson& document, const TokenizerConfig& config, IsKnown is_known,
                      std::vector<AddedToken>& out) {
  // A role that a file names stands for the token of its text that another file lists.
  PieceTable meant;
  for (const AddedToken& token : config.has_added_tokens_decoder ? config.added_tokens : document.added)
    meant.insert(token.content, 0);
  const auto add = [&](const NamedToken& name) {
    if (name.text.empty() || (!name.object && is_known(name.text))) return;
    AddedToken token = name.object.value_or(AddedToken{});
    token.content = name.text;
    token.special = true;
    out.push_back(token);
  };
  PieceTable roles;
  for (const auto& token : config.role_tokens) {
    if (!token || token->text.empty() || !roles.insert(token->text, 0)) continue;
    if (token->is_default || !meant.find(token->text)) add(*token);
  }
  for (const NamedToken& token : config.additional_tokens) {
    if (!roles.find(token.text)) add(token);
  }
}

/// What transformers adds to the tokens of tokenizer.json: those of `added_tokens_decoder` or, without it, of
/// added_tokens.json and once more of tokenizer.json, by the ids that the files state; then the named ones.
std::vector<AddedToken> tokens_to_add(const TokenizerJson& document, const TokenizerConfig& config,
                                      const AddedTokenIds& tokens) {
  std::vector<AddedToken> listed = config.added_tokens;
  if (!config.has_added_tokens_decoder) {
    listed.insert(listed.end(), document.added.begin(), document.added.end());
    std::stable_sort(listed.begin(), listed.end(),
                     [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    // Of two with one id the later mention counts.
    const auto kept = std::unique(listed.rbegin(), listed.rend(),
                                  [](const AddedToken& a, const AddedToken& b) { return a.id == b.id; });
    listed.erase(listed.begin(), kept.base());
  }
  const auto& named = config.special_tokens;
  PieceTable known;
  for (AddedToken& token : listed) {
    token.special = token.special || std::find(named.begin(), named.end(), token.content) != named.end();
    known.insert(token.content, 0);
  }
  add_named_tokens(
      document, config, [&](std::string_view text) { return known.find(text) || tokens.contains(text); },
      listed);
  return listed;
}

void note_moved_tokens(const TokenizerJson& document, const TokenizerConfig& config,
                       const AddedTokenIds& tokens, std::vector<std::string>& notes) {
  std::size_t num_moved = 0;
  std::string note;
  for (const auto* list : {&document.added, &config.added_tokens}) {
    for (const AddedToken& token : *list) {
      const auto id = tokens.id_of(token.content);
      if (!id || *id == token.id || num_moved++ > 0) continue;
      note = fmt::format("tokenizer: added token {} has id {} as in transformers, not {} as its file says",
                         shown(token.content), *id, token.id);
    }
  }
  if (num_moved > 1) note += fmt::format(" (so have {} others)", num_moved - 1);
  if (num_moved > 0) notes.push_back(std::move(note));
}

/// Ids are given anew, as `tokenizers` does, whatever the files say.
void read_added_tokens(const TokenizerJson& document, const TokenizerConfig& config, TokenizerModel& model) {
  AddedTokenIds tokens(model.pieces, static_cast<std::uint32_t>(model.pieces.size()));
  tokens.put_all(document.added);
  const std::vector<AddedToken> more = tokens_to_add(document, config, tokens);
  PieceTable listed;
  for (const AddedToken& token : config.added_tokens)
    listed.insert(token.content, 0);
  std::vector<std::string> nowhere;
  for (const AddedToken& token : more) {
    const std::string_view text = token.content;
    if (!tokens.contains(text) && !model.pieces.find(text) && !listed.find(text)) nowhere.emplace_back(text);
  }
  tokens.put_all(more);
  note_moved_tokens(document, config, tokens, model.notes);
  for (const std::string& text : nowhere) {
    model.notes.push_back(
        fmt::format("tokenizer: special token {} is in no vocabulary: it gets id {}, as in transformers",
                    shown(text), tokens.id_of(text).value()));
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
