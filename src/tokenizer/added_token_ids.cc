#include "tokenizer/added_token_ids.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace llm2mnn {

namespace {

bool is_same(const AddedToken& a, const AddedToken& b) {
  return a.content == b.content && a.special == b.special && a.lstrip == b.lstrip && a.rstrip == b.rstrip &&
         a.normalized == b.normalized && a.single_word == b.single_word;
}

}  // namespace

std::uint32_t AddedTokenIds::next_id() const {
  return largest_ && *largest_ >= vocab_size_ ? *largest_ + 1 : vocab_size_;
}

std::uint32_t AddedTokenIds::put(const AddedToken& token) {
  put_all({token});
  return id_of(token.content).value_or(0);
}

void AddedTokenIds::put_all(const std::vector<AddedToken>& tokens) {
  // A mention that says nothing new is passed over; what the others of this call say does not count for that.
  std::vector<const AddedToken*> news;
  for (const AddedToken& token : tokens) {
    const auto index = index_.find(token.content);
    if (token.content.empty() || (index && is_same(tokens_[*index].latest, token))) continue;
    news.push_back(&token);
    if (!index) add_new(token);
  }
  for (const AddedToken* token : news) {
    Token& known = tokens_[*index_.find(token->content)];
    if (token->special && !known.is_special) {
      known.is_special = true;
      known.look_for(token->normalized);
    }
  }
  for (const AddedToken* token : news) {
    Token& known = tokens_[*index_.find(token->content)];
    known.latest = *token;
    if (!known.is_special) known.look_for(token->normalized);
  }
}

void AddedTokenIds::add_new(const AddedToken& token) {
  const std::uint32_t id = pieces_.find_id(token.content).value_or(next_id());
  largest_ = std::max(largest_.value_or(0), id);
  index_.insert(token.content, id);
  tokens_.emplace_back();
}

void AddedTokenIds::put_at(const AddedToken& token) {
  if (token.content.empty()) fail(ErrorKind::kFormat, "special token {} has no text", token.id);
  if (index_.find(token.content) || pieces_.find(token.content)) {
    fail(ErrorKind::kFormat, "special token {}: the text appears twice", shown(token.content));
  }
  largest_ = std::max(largest_.value_or(0), token.id);
  index_.insert(token.content, token.id);
  Token& added = tokens_.emplace_back();
  added.latest = token;
  added.is_special = token.special;
  added.look_for(token.normalized);
}

void AddedTokenIds::check_ids(const std::vector<AddedToken>& tokens) const {
  const auto twin = std::adjacent_find(tokens.begin(), tokens.end(),
                                       [](const AddedToken& a, const AddedToken& b) { return a.id == b.id; });
  if (twin != tokens.end()) {
    fail(ErrorKind::kFormat, "added tokens {} and {} have the same id {}", shown(twin->content),
         shown((twin + 1)->content), twin->id);
  }
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const auto it = std::lower_bound(tokens.begin(), tokens.end(), pieces_.id(i),
                                     [](const AddedToken& token, std::uint32_t id) { return token.id < id; });
    if (it == tokens.end() || it->id != pieces_.id(i) || it->content == pieces_.text(i)) continue;
    fail(ErrorKind::kFormat, "added token {}: `tokenizers` gives it id {}, which is that of the piece {}",
         shown(it->content), it->id, shown(pieces_.text(i)));
  }
}

std::vector<AddedToken> AddedTokenIds::take() const {
  std::vector<AddedToken> tokens;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens.emplace_back(tokens_[i].latest);
    token.id = index_.id(i);
    token.content = index_.text(i);
    token.special = tokens_[i].is_special;
    token.normalized = tokens_[i].in_normalized;
    token.raw_too = tokens_[i].in_normalized && tokens_[i].in_raw;
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  check_ids(tokens);
  return tokens;
}

}  // namespace llm2mnn
