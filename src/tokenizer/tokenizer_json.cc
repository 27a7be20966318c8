#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "tokenizer/score_text.h"

namespace llm2mnn {

void MergeTexts::add(std::string_view left, std::string_view right) {
  entries_.push_back({checked_cast<std::uint32_t>(text_.size()), checked_cast<std::uint32_t>(left.size()),
                      checked_cast<std::uint32_t>(right.size())});
  text_ += left;
  text_ += right;
}

std::string_view MergeTexts::left(std::size_t rank) const {
  return std::string_view(text_).substr(entries_[rank].begin, entries_[rank].left_size);
}

std::string_view MergeTexts::right(std::size_t rank) const {
  return std::string_view(text_).substr(entries_[rank].begin + entries_[rank].left_size,
                                        entries_[rank].right_size);
}

std::string_view MergeTexts::merged(std::size_t rank) const {
  return std::string_view(text_).substr(entries_[rank].begin,
                                        entries_[rank].left_size + entries_[rank].right_size);
}

namespace {

const JsonValue* find_member(const JsonValue::Object& members, std::string_view name) {
  const auto it =
      std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.first == name; });
  return it == members.end() ? nullptr : &it->second;
}

/// A token id. Ids are 32-bit in `tokenizers`; ours stay below 2^31, as the runtime's do.
std::uint32_t parse_id(std::string_view number, std::string_view where, std::string_view name) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), id);
  if (error != std::errc{} || end != number.data() + number.size() || id > 0x7FFFFFFFu) {
    fail(ErrorKind::kFormat, "{} {}: id {} is no integer from 0 to 2147483647", where, shown(name),
         shown(number, 40));
  }
  return id;
}

// Of one component: tens of values in files that exist, some hundreds for a long template's special tokens.
// The bound keeps a hostile document from growing a tree many times its own size.
constexpr std::size_t kMaxTreeValues = 20'000;

class Reader : public JsonHandler {
 public:
  explicit Reader(TokenizerJson& out) : out_(out) {}

  void on_null() override { scalar(JsonValue()); }
  void on_bool(bool value) override { scalar(JsonValue::make_bool(value)); }
  void on_number(std::string_view text) override {
    if (place_ == Place::kVocab) {
      add_piece(text);
    } else if (place_ == Place::kScoredPiece) {
      add_score(text);
    } else {
      scalar(JsonValue::make_number(std::string(text)));
    }
  }
  void on_string(std::string_view text) override {
    if (place_ == Place::kMerges) {
      add_merge(text);
    } else if (place_ == Place::kMergePair) {
      add_merge_part(text);
    } else if (place_ == Place::kScoredPiece) {
      add_scored_text(text);
    } else {
      scalar(JsonValue::make_string(std::string(text)));
    }
  }
  void on_key(std::string_view name) override;
  void on_begin_object() override { begin(true); }
  void on_end_object() override { end(); }
  void on_begin_array() override { begin(false); }
  void on_end_array() override { end(); }

 private:
  enum class Place : std::uint8_t {
    kDocument,     // before and after the one object
    kTop,          // its members
    kModel,        // members of "model"
    kVocab,        // members of "model"."vocab"
    kMerges,       // items of "model"."merges"
    kMergePair,    // items of one merge
    kAddedTokens,  // items of "added_tokens"
    kTree,         // anywhere in a component that is kept as a tree
    kScoredVocab,  // items of a "model"."vocab" that is a list
    kScoredPiece,  // items of one of these
  };

  void begin(bool is_object);
  void begin_in_model(bool is_object);
  void begin_tree(bool is_object);
  void end();
  void end_tree();
  void scalar(JsonValue value);
  void add_piece(std::string_view number);
  void add_merge(std::string_view text);
  void add_merge_part(std::string_view text);
  void add_scored_text(std::string_view text);
  void add_score(std::string_view number);
  [[noreturn]] void fail_kind(std::string_view expected) const;

  TokenizerJson& out_;
  JsonTreeBuilder tree_{kMaxTreeValues};
  Place place_ = Place::kDocument;
  Place tree_parent_ = Place::kTop;
  int scored_parts_ = 0;
  std::string key_;  // the latest key of the top object, the model or the vocabulary
  std::vector<std::string> top_keys_, model_keys_;
  std::string merge_left_, merge_right_;
  int merge_parts_ = 0;
};

void Reader::fail_kind(std::string_view expected) const {
  switch (place_) {
    case Place::kVocab:
      fail(ErrorKind::kFormat, "model.vocab {}: expected {}", shown(key_), expected);
    case Place::kScoredVocab:
    case Place::kScoredPiece:
      fail(ErrorKind::kFormat, "model.vocab[{}]: expected {}", out_.scores.size(), expected);
    case Place::kMerges:
    case Place::kMergePair:
      fail(ErrorKind::kFormat, "model.merges[{}]: expected {}", out_.merges.size(), expected);
    case Place::kAddedTokens:
      fail(ErrorKind::kFormat, "added_tokens[{}]: expected {}", out_.added.size(), expected);
    case Place::kModel:
      fail(ErrorKind::kFormat, "model.{}: expected {}", key_, expected);
    default:
      fail(ErrorKind::kFormat, "{}: expected {}", key_.empty() ? std::string("document") : key_, expected);
  }
}

void Reader::on_key(std::string_view name) {
  if (place_ == Place::kTree) {
    tree_.key(name);
    return;
  }
  key_ = name;
  if (place_ == Place::kVocab) return;
  constexpr std::size_t kMaxKeys = 100;  // ten each in files that exist; keeps the search for twins short
  std::vector<std::string>& seen = place_ == Place::kModel ? model_keys_ : top_keys_;
  if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
    fail(ErrorKind::kFormat, "key {} appears twice", shown(name));
  }
  if (seen.size() == kMaxKeys) fail(ErrorKind::kFormat, "more than {} keys in one object", kMaxKeys);
  seen.emplace_back(name);
}

void Reader::begin_tree(bool is_object) {
  tree_parent_ = place_;
  place_ = Place::kTree;
  tree_.begin(is_object);
}

void Reader::begin_in_model(bool is_object) {
  if (key_ == "vocab" && is_object) {
    out_.has_vocab_map = true;
    place_ = Place::kVocab;
  } else if (key_ == "vocab") {
    out_.has_vocab_list = true;
    place_ = Place::kScoredVocab;
  } else if (key_ == "merges") {
    if (is_object) fail_kind("a list of merges, found an object");
    place_ = Place::kMerges;
  } else {
    begin_tree(is_object);
  }
}

void Reader::begin(bool is_object) {
  switch (place_) {
    case Place::kDocument:
      if (!is_object) fail_kind("an object, found a list");
      place_ = Place::kTop;
      break;
    case Place::kTop:
      if (key_ == "model") {
        if (!is_object) fail_kind("an object, found a list");
        out_.has_model = true;
        place_ = Place::kModel;
      } else if (key_ == "added_tokens") {
        if (is_object) fail_kind("a list of added tokens, found an object");
        place_ = Place::kAddedTokens;
      } else {
        begin_tree(is_object);
      }
      break;
    case Place::kModel:
      begin_in_model(is_object);
      break;
    case Place::kVocab:
      fail_kind(is_object ? "an id, found an object" : "an id, found a list");
    case Place::kMerges:
      if (is_object) fail_kind("a merge, found an object");
      place_ = Place::kMergePair;
      merge_parts_ = 0;
      break;
    case Place::kMergePair:
      fail_kind("two strings");
    case Place::kAddedTokens:
      if (!is_object) fail_kind("an object, found a list");
      begin_tree(is_object);
      break;
    case Place::kTree:
      tree_.begin(is_object);
      break;
    case Place::kScoredVocab:
      if (is_object) fail_kind("a list of a piece and its score, found an object");
      place_ = Place::kScoredPiece;
      scored_parts_ = 0;
      break;
    case Place::kScoredPiece:
      fail_kind("a piece and its score");
  }
}

void Reader::end_tree() {
  tree_.end();
  if (tree_.is_open()) return;
  JsonValue value = tree_.take();
  place_ = tree_parent_;
  if (place_ == Place::kAddedTokens) {
    try {
      out_.added.push_back(parse_added_token(value));
    } catch (Error& error) {
      error.add_context(fmt::format("added_tokens[{}]", out_.added.size()));
      throw;
    }
    if (value.find("id") == nullptr) fail_kind("an object with an id");
  } else {
    (place_ == Place::kModel ? out_.model : out_.components).emplace_back(key_, std::move(value));
  }
}

void Reader::end() {
  switch (place_) {
    case Place::kTree:
      end_tree();
      break;
    case Place::kScoredPiece:
      if (scored_parts_ != 2) fail_kind("a piece and its score");
      place_ = Place::kScoredVocab;
      break;
    case Place::kMergePair:
      if (merge_parts_ != 2) fail_kind("two strings");
      out_.merges.add(merge_left_, merge_right_);
      place_ = Place::kMerges;
      break;
    case Place::kVocab:
    case Place::kScoredVocab:
    case Place::kMerges:
      place_ = Place::kModel;
      break;
    case Place::kModel:
    case Place::kAddedTokens:
      place_ = Place::kTop;
      break;
    default:
      place_ = Place::kDocument;
  }
}

void Reader::scalar(JsonValue value) {
  switch (place_) {
    case Place::kTree:
      tree_.add(std::move(value));
      break;
    case Place::kScoredVocab:
    case Place::kScoredPiece:
      fail_kind("a list of a piece and its score");
    case Place::kTop:
      if (key_ == "model") fail_kind("an object");
      if (key_ == "added_tokens") fail_kind("a list of added tokens");
      out_.components.emplace_back(key_, std::move(value));
      break;
    case Place::kModel:
      if (key_ == "vocab") fail_kind("an object of pieces and ids");
      if (key_ == "merges") fail_kind("a list of merges");
      out_.model.emplace_back(key_, std::move(value));
      break;
    case Place::kVocab:
      fail_kind("an id, found something else");
    case Place::kMerges:
      fail_kind("a merge such as \"a b\" or [\"a\", \"b\"]");
    case Place::kMergePair:
      fail_kind("two strings");
    default:
      fail_kind("an object");
  }
}

void Reader::add_piece(std::string_view number) {
  const std::uint32_t id = parse_id(number, "model.vocab", key_);
  if (!out_.vocab.insert(key_, id))
    fail(ErrorKind::kFormat, "model.vocab: piece {} appears twice", shown(key_));
}

void Reader::add_merge(std::string_view text) {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos || text.find(' ', blank + 1) != std::string_view::npos) {
    fail_kind(fmt::format("two pieces with one blank between them, found {}", shown(text)));
  }
  out_.merges.add(text.substr(0, blank), text.substr(blank + 1));
}

void Reader::add_merge_part(std::string_view text) {
  if (++merge_parts_ > 2) fail_kind("two strings, found more");
  (merge_parts_ == 1 ? merge_left_ : merge_right_) = text;
}

void Reader::add_scored_text(std::string_view text) {
  if (++scored_parts_ != 1) fail_kind("a piece and its score");
  const auto id = static_cast<std::uint32_t>(out_.scores.size());
  if (!out_.vocab.insert(text, id)) {
    fail(ErrorKind::kFormat, "model.vocab[{}]: piece {} appears twice", id, shown(text));
  }
}

void Reader::add_score(std::string_view number) {
  if (++scored_parts_ != 2) fail_kind("a piece and its score");
  const std::optional<double> score = parse_score(number);
  if (!score) fail_kind("a score that fits a double");
  out_.scores.push_back(*score);
}

bool bool_member(const JsonValue& value, std::string_view name) {
  const JsonValue* member = value.find(name);
  if (member == nullptr) return false;
  if (!member->is_bool()) fail(ErrorKind::kFormat, "{}: expected true or false", name);
  return member->as_bool();
}

}  // namespace

AddedToken parse_added_token(const JsonValue& value) {
  const JsonValue* content = value.find("content");
  if (content == nullptr || !content->is_string()) fail(ErrorKind::kFormat, "content: expected a string");
  AddedToken token;
  token.content = content->as_string();
  if (const JsonValue* id = value.find("id")) {
    if (!id->is_number()) fail(ErrorKind::kFormat, "id of {}: expected a number", shown(token.content));
    token.id = parse_id(id->dump(), "added token", token.content);
  }
  token.special = bool_member(value, "special");
  token.lstrip = bool_member(value, "lstrip");
  token.rstrip = bool_member(value, "rstrip");
  token.normalized = bool_member(value, "normalized");
  token.single_word = bool_member(value, "single_word");
  return token;
}

const JsonValue* TokenizerJson::component(std::string_view name) const {
  return find_member(components, name);
}

const JsonValue* TokenizerJson::model_member(std::string_view name) const { return find_member(model, name); }

namespace {

JsonLimits document_limits() {
  JsonLimits limits;
  limits.max_bytes = kMaxTokenizerJsonBytes;
  return limits;
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text) {
  TokenizerJson document;
  Reader reader(document);
  parse_json_events(text, reader, document_limits());
  return document;
}

TokenizerJson load_tokenizer_json(const std::filesystem::path& path) {
  TokenizerJson document;
  Reader reader(document);
  load_json_events(path, reader, document_limits());
  return document;
}

}  // namespace llm2mnn
