#include "tokenizer/hugging_face.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/mtok.h"

namespace llm2mnn {

namespace {

/// The member, or null when it is absent or JSON null.
const JsonValue* present(const JsonValue& value, std::string_view name) {
  const JsonValue* member = value.find(name);
  return member == nullptr || member->is_null() ? nullptr : member;
}

std::string_view type_of(const JsonValue& component, std::string_view what) {
  const JsonValue* type = component.find("type");
  if (type == nullptr || !type->is_string())
    fail(ErrorKind::kFormat, "{}: expected an object with a type", what);
  return type->as_string();
}

bool bool_member(const JsonValue& component, std::string_view name, bool fallback, std::string_view what) {
  const JsonValue* member = component.find(name);
  if (member == nullptr) return fallback;
  if (!member->is_bool()) fail(ErrorKind::kFormat, "{}: {}: expected true or false", what, name);
  return member->as_bool();
}

/// Refuses members beside "type" and `known`: they could change the ids.
void check_members(const JsonValue& component, std::initializer_list<std::string_view> known,
                   std::string_view what) {
  for (const auto& [key, value] : component.as_object()) {
    if (key == "type" || std::find(known.begin(), known.end(), key) != known.end()) continue;
    fail(ErrorKind::kUnsupported, "{}: member {} is not known to this version", what, shown(key));
  }
}

/// Calls `visit` for a component, or for each one of a (nested) Sequence, whose list is named `list`.
template <typename Visit>
void for_each_component(const JsonValue& component, std::string_view list, std::string_view what,
                        Visit visit) {
  if (type_of(component, what) != "Sequence") {
    visit(component);
    return;
  }
  check_members(component, {list}, what);
  const JsonValue* items = component.find(list);
  if (items == nullptr || !items->is_array()) fail(ErrorKind::kFormat, "{}: Sequence without {}", what, list);
  for (const JsonValue& item : items->as_array())
    for_each_component(item, list, what, visit);
}

void read_normalizer(const TokenizerJson& document, TokenizerModel& model) {
  const JsonValue* normalizer = document.component("normalizer");
  if (normalizer == nullptr || normalizer->is_null()) return;
  for_each_component(*normalizer, "normalizers", "normalizer", [&](const JsonValue& component) {
    const std::string_view type = type_of(component, "normalizer");
    if (type != "NFC") {
      fail(ErrorKind::kUnsupported, "normalizer {} is not supported yet for byte-level BPE: NFC or none only",
           shown(type));
    }
    check_members(component, {}, "normalizer NFC");
    if (model.normalizers.empty()) model.normalizers.push_back(NormalizerStep{});  // NFC twice is NFC
  });
}

SplitBehavior split_behavior(const JsonValue& component) {
  const JsonValue* behavior = component.find("behavior");
  if (behavior == nullptr || !behavior->is_string()) {
    fail(ErrorKind::kFormat, "pre_tokenizer Split: expected a behavior");
  }
  const std::string_view name = behavior->as_string();
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  fail(ErrorKind::kUnsupported,
       "pre_tokenizer Split: behavior {} is not supported: the runtime has Isolated, Removed and "
       "MergedWithPrevious",
       shown(name));
}

PreTokenizerStep read_split(const JsonValue& component) {
  check_members(component, {"pattern", "behavior", "invert"}, "pre_tokenizer Split");
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kSplit;
  step.behavior = split_behavior(component);
  step.invert = bool_member(component, "invert", false, "pre_tokenizer Split");
  const JsonValue* pattern = component.find("pattern");
  const JsonValue* regex = pattern == nullptr ? nullptr : pattern->find("Regex");
  const JsonValue* literal = pattern == nullptr ? nullptr : pattern->find("String");
  const JsonValue* text = regex != nullptr ? regex : literal;
  if (text == nullptr || !text->is_string() || text->as_string().empty()) {
    fail(ErrorKind::kFormat, "pre_tokenizer Split: expected a pattern with a Regex or a String");
  }
  step.pattern.is_regex = regex != nullptr;
  step.pattern.text = text->as_string();
  return step;
}

PreTokenizerStep read_pre_tokenizer_step(const JsonValue& component) {
  const std::string_view type = type_of(component, "pre_tokenizer");
  PreTokenizerStep step;
  if (type == "Split") return read_split(component);
  if (type == "Digits") {
    check_members(component, {"individual_digits"}, "pre_tokenizer Digits");
    step.kind = PreTokenizerStep::Kind::kDigits;
    step.individual_digits = bool_member(component, "individual_digits", false, "pre_tokenizer Digits");
  } else if (type == "ByteLevel") {
    check_members(component, {"add_prefix_space", "trim_offsets", "use_regex"}, "pre_tokenizer ByteLevel");
    step.add_prefix_space = bool_member(component, "add_prefix_space", true, "pre_tokenizer ByteLevel");
    step.use_regex = bool_member(component, "use_regex", true, "pre_tokenizer ByteLevel");
  } else {
    fail(ErrorKind::kUnsupported,
         "pre_tokenizer {} is not supported yet for byte-level BPE: ByteLevel, Split and Digits only",
         shown(type));
  }
  return step;
}

void read_pre_tokenizer(const TokenizerJson& document, TokenizerModel& model) {
  const JsonValue* pre = document.component("pre_tokenizer");
  if (pre != nullptr && !pre->is_null()) {
    for_each_component(*pre, "pretokenizers", "pre_tokenizer", [&](const JsonValue& component) {
      if (!model.pre_tokenizers.empty() &&
          model.pre_tokenizers.back().kind == PreTokenizerStep::Kind::kByteLevel) {
        fail(ErrorKind::kUnsupported, "pre_tokenizer: a step behind ByteLevel is not supported");
      }
      model.pre_tokenizers.push_back(read_pre_tokenizer_step(component));
    });
  }
  if (model.pre_tokenizers.empty() ||
      model.pre_tokenizers.back().kind != PreTokenizerStep::Kind::kByteLevel) {
    fail(ErrorKind::kUnsupported,
         "pre_tokenizer has no ByteLevel step: not a byte-level BPE, other kinds are not supported yet");
  }
}

void check_decoder(const TokenizerJson& document) {
  const JsonValue* decoder = document.component("decoder");
  if (decoder == nullptr || decoder->is_null()) {
    fail(ErrorKind::kUnsupported, "decoder: none is not supported yet: ByteLevel only");
  }
  for_each_component(*decoder, "decoders", "decoder", [&](const JsonValue& component) {
    const std::string_view type = type_of(component, "decoder");
    if (type != "ByteLevel") {
      fail(ErrorKind::kUnsupported, "decoder {} is not supported yet for byte-level BPE: ByteLevel only",
           shown(type));
    }
  });
}

/// Members of `model` apart from the vocabulary and the merges.
void check_bpe_members(const TokenizerJson& document, TokenizerModel& model) {
  const JsonValue members = JsonValue::make_object(document.model);
  check_members(members,
                {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                 "byte_fallback", "ignore_merges"},
                "model BPE");
  const JsonValue* dropout = present(members, "dropout");
  if (dropout != nullptr && (!dropout->is_number() || dropout->as_double() != 0)) {
    fail(ErrorKind::kUnsupported, "model BPE: dropout {} is not supported: it makes the ids random",
         shown(dropout->dump(), 40));
  }
  for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const JsonValue* text = present(members, affix);
    if (text == nullptr) continue;
    if (!text->is_string()) fail(ErrorKind::kFormat, "model BPE: {}: expected a string", affix);
    if (!text->as_string().empty()) {
      fail(ErrorKind::kUnsupported, "model BPE: {} {} is not supported yet: byte-level BPE has none", affix,
           shown(text->as_string()));
    }
  }
  const bool byte_fallback = bool_member(members, "byte_fallback", false, "model BPE");
  bool_member(members, "fuse_unk", false, "model BPE");
  // With a piece for every byte nothing is ever unknown, and neither member has an effect.
  if ((byte_fallback || present(members, "unk_token") != nullptr) && !has_whole_alphabet(document.vocab)) {
    fail(ErrorKind::kUnsupported,
         "model BPE: {} is not supported for a vocabulary that lacks pieces of the byte alphabet",
         byte_fallback ? "byte_fallback" : "unk_token");
  }
  std::get<BpeModel>(model.model).ignore_merges = bool_member(members, "ignore_merges", false, "model BPE");
}

void check_model_type(const TokenizerJson& document) {
  if (!document.has_model) fail(ErrorKind::kFormat, "expected a member 'model'");
  const JsonValue* type = document.model_member("type");
  // Files from before 2020 have no type; a map of pieces with merges is a BPE there.
  if (type == nullptr && document.has_vocab_map && document.merges.size() != 0) return;
  if (type == nullptr || !type->is_string()) fail(ErrorKind::kFormat, "model: expected a type");
  if (type->as_string() != "BPE") {
    fail(ErrorKind::kUnsupported, "model type {} is not supported yet: byte-level BPE only",
         shown(type->as_string()));
  }
  if (!document.has_vocab_map) fail(ErrorKind::kFormat, "model.vocab: expected an object of pieces and ids");
}

void read_merges(const MergeTexts& texts, const PieceTable& pieces, BpeModel& bpe) {
  bpe.merges.reserve(texts.size());
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    const auto id_of = [&](std::string_view part) {
      const auto id = pieces.find_id(part);
      if (!id) {
        fail(ErrorKind::kFormat, "model.merges[{}]: {} + {}: {} is not in the vocabulary", rank,
             shown(texts.left(rank), 40), shown(texts.right(rank), 40), shown(part, 40));
      }
      return *id;
    };
    bpe.merges.push_back({id_of(texts.left(rank)), id_of(texts.right(rank)), id_of(texts.merged(rank))});
  }
}

/// Ids must be unique; each piece must fit the runtime's strings.
void check_pieces(const PieceTable& pieces) {
  std::vector<std::uint32_t> ids(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    ids[i] = pieces.id(i);
    if (pieces.text(i).size() > kMaxRuntimeStringBytes) {
      fail(ErrorKind::kUnsupported, "model.vocab: piece {} has {} bytes, the runtime's limit is {}",
           shown(pieces.text(i)), pieces.text(i).size(), kMaxRuntimeStringBytes);
    }
  }
  std::sort(ids.begin(), ids.end());
  const auto twin = std::adjacent_find(ids.begin(), ids.end());
  if (twin != ids.end()) fail(ErrorKind::kFormat, "model.vocab: id {} appears twice", *twin);
}

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

  void add(const AddedToken& token) {
    if (token.content.size() > kMaxRuntimeStringBytes) {
      fail(ErrorKind::kUnsupported, "added token {} has {} bytes, the runtime's limit is {}",
           shown(token.content), token.content.size(), kMaxRuntimeStringBytes);
    }
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
  for (const AddedToken& token : config.added_tokens) {
    try {
      tokens.add_from_document(token);
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

/// Appends the ids of special token `name`; all are below `num_ids`.
void append_special_ids(const JsonValue& processor, std::string_view name, std::uint32_t num_ids,
                        std::vector<std::uint32_t>& ids) {
  const JsonValue* table = processor.find("special_tokens");
  const JsonValue* entry = table == nullptr ? nullptr : table->find(name);
  const JsonValue* list = entry == nullptr ? nullptr : entry->find("ids");
  if (list == nullptr || !list->is_array()) {
    fail(ErrorKind::kFormat, "post_processor: special token {} has no ids", shown(name));
  }
  for (const JsonValue& item : list->as_array()) {
    const std::int64_t id = item.is_number() ? item.as_int64() : -1;
    if (id < 0 || id >= num_ids) {
      fail(ErrorKind::kFormat, "post_processor: special token {}: id {} is not in the vocabulary",
           shown(name), shown(item.dump(), 40));
    }
    ids.push_back(static_cast<std::uint32_t>(id));
  }
}

void read_template(const JsonValue& processor, TokenizerModel& model) {
  check_members(processor, {"single", "pair", "special_tokens"}, "post_processor TemplateProcessing");
  const JsonValue* single = processor.find("single");
  if (single == nullptr || !single->is_array()) {
    fail(ErrorKind::kFormat, "post_processor TemplateProcessing: expected a list 'single'");
  }
  const std::uint32_t num_ids = model.num_ids();
  bool behind_text = false;
  std::vector<std::uint32_t> prefix, suffix;
  for (const JsonValue& item : single->as_array()) {
    if (item.find("Sequence") != nullptr) {
      if (behind_text) fail(ErrorKind::kUnsupported, "post_processor TemplateProcessing: text appears twice");
      behind_text = true;
      continue;
    }
    const JsonValue* token = item.find("SpecialToken");
    const JsonValue* id = token == nullptr ? nullptr : token->find("id");
    if (id == nullptr || !id->is_string()) {
      fail(ErrorKind::kFormat, "post_processor TemplateProcessing: expected a Sequence or a SpecialToken");
    }
    append_special_ids(processor, id->as_string(), num_ids, behind_text ? suffix : prefix);
  }
  if (!behind_text) fail(ErrorKind::kUnsupported, "post_processor TemplateProcessing: 'single' has no text");
  constexpr std::size_t kMaxTokens = 16;  // one or two in files that exist
  if (prefix.size() + suffix.size() > kMaxTokens) {
    fail(ErrorKind::kUnsupported, "post_processor TemplateProcessing: more than {} tokens around the text",
         kMaxTokens);
  }
  // A template in a Sequence wraps what the one before it made.
  model.prefix_ids.insert(model.prefix_ids.begin(), prefix.begin(), prefix.end());
  model.suffix_ids.insert(model.suffix_ids.end(), suffix.begin(), suffix.end());
}

void read_post_processor(const TokenizerJson& document, TokenizerModel& model) {
  const JsonValue* post = document.component("post_processor");
  if (post == nullptr || post->is_null()) return;
  for_each_component(*post, "processors", "post_processor", [&](const JsonValue& component) {
    const std::string_view type = type_of(component, "post_processor");
    if (type == "ByteLevel") return;  // moves offsets only
    if (type != "TemplateProcessing") {
      fail(ErrorKind::kUnsupported,
           "post_processor {} is not supported yet for byte-level BPE: ByteLevel and TemplateProcessing only",
           shown(type));
    }
    read_template(component, model);
  });
}

/// These tokenizer classes of transformers replace the post-processor by what `add_bos_token` (true by
/// default) and `add_eos_token` say.
void apply_class_rule(const TokenizerConfig& config, TokenizerModel& model) {
  constexpr std::array<std::string_view, 8> kClasses = {
      "LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
      "GemmaTokenizer", "GemmaTokenizerFast", "CohereTokenizer",    "CohereTokenizerFast"};
  if (std::find(kClasses.begin(), kClasses.end(), config.tokenizer_class) == kClasses.end()) return;
  model.prefix_ids.clear();
  model.suffix_ids.clear();
  const auto add = [&](const std::string& text, const char* key, std::vector<std::uint32_t>& ids) {
    const auto id = model.find_id(text);
    if (text.empty() || !id) {
      fail(ErrorKind::kFormat,
           "tokenizer_config.json: {} is true for {}, but its token {} is in no vocabulary", key,
           shown(config.tokenizer_class), shown(text));
    }
    ids.push_back(*id);
  };
  if (config.add_bos_token.value_or(!config.bos_token.empty()))
    add(config.bos_token, "add_bos_token", model.prefix_ids);
  if (config.add_eos_token.value_or(false)) add(config.eos_token, "add_eos_token", model.suffix_ids);
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

void note_limits(TokenizerModel& model) {
  if (!model.suffix_ids.empty()) {
    model.notes.push_back(fmt::format("tokenizer: Hugging Face puts {} behind a text; the runtime cannot",
                                      shown(model.text_of(model.suffix_ids.front()))));
  }
  if (model.normalizers.empty()) return;
  for (const AddedToken& token : model.added) {
    const bool ascii =
        std::all_of(token.content.begin(), token.content.end(), [](char c) { return (c & 0x80) == 0; });
    if (token.normalized && !ascii) {
      model.notes.push_back(
          fmt::format("tokenizer: added token {} is found in NFC text only", shown(token.content)));
    }
  }
}

}  // namespace

TokenizerModel build_tokenizer_model(TokenizerJson&& source, const TokenizerConfig& config) {
  TokenizerJson document = std::move(source);  // freed before anything is written
  TokenizerModel model;
  check_model_type(document);
  check_other_components(document, model);
  check_bpe_members(document, model);
  read_normalizer(document, model);
  read_pre_tokenizer(document, model);
  check_decoder(document);
  check_pieces(document.vocab);
  model.pieces = std::move(document.vocab);
  read_merges(document.merges, model.pieces, std::get<BpeModel>(model.model));
  read_added_tokens(document, config, model);
  if (model.num_ids() == 0) fail(ErrorKind::kFormat, "model.vocab: no pieces");
  check_largest_id(model);
  read_post_processor(document, model);
  apply_class_rule(config, model);
  note_limits(model);
  return model;
}

}  // namespace llm2mnn
