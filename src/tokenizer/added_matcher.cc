#include "tokenizer/added_matcher.h"

#include <algorithm>

#include "base/checked.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {

namespace {

std::uint64_t edge_key(std::uint32_t node, char byte) {
  return (std::uint64_t{node} << 8) | static_cast<unsigned char>(byte);
}

/// Where the character in front of `end` begins.
std::size_t previous(std::string_view text, std::size_t end) {
  do {
    --end;
  } while (end > 0 && continues_character(text[end]));
  return end;
}

bool is_single_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0) {
    std::size_t pos = previous(text, begin);
    if (is_word(next_code_point(text, pos))) return false;
  }
  return end == text.size() || !is_word(next_code_point(text, end));
}

std::size_t without_blanks_before(std::string_view text, std::size_t begin) {
  while (begin > 0) {
    const std::size_t start = previous(text, begin);
    std::size_t pos = start;
    if (!is_whitespace(next_code_point(text, pos))) break;
    begin = start;
  }
  return begin;
}

std::size_t with_blanks_behind(std::string_view text, std::size_t end) {
  while (end < text.size()) {
    std::size_t pos = end;
    if (!is_whitespace(next_code_point(text, pos))) break;
    end = pos;
  }
  return end;
}

}  // namespace

void AddedMatcher::add(std::string_view content, const AddedToken& token) {
  if (content.empty()) return;
  if (token_at_.empty()) token_at_.push_back(0);
  starts_[static_cast<unsigned char>(content[0])] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto [it, is_new] =
        edges_.try_emplace(edge_key(node, c), checked_cast<std::uint32_t>(token_at_.size()));
    if (is_new) token_at_.push_back(0);
    node = it->second;
  }
  if (token_at_[node] != 0) return;
  tokens_.push_back(&token);
  token_at_[node] = checked_cast<std::uint32_t>(tokens_.size());
}

AddedMatcher::Match AddedMatcher::longest_at(std::string_view text, std::size_t pos) const {
  Match best;
  std::uint32_t node = 0;
  while (pos < text.size()) {
    const auto it = edges_.find(edge_key(node, text[pos]));
    if (it == edges_.end()) break;
    node = it->second;
    ++pos;
    if (token_at_[node] != 0) best = {pos, tokens_[token_at_[node] - 1]};
  }
  return best;
}

void AddedMatcher::split(std::string_view text, std::vector<TextPart>& parts) const {
  std::size_t covered = 0;
  for (std::size_t pos = 0; !tokens_.empty() && pos < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[pos])]) {
      ++pos;
      continue;
    }
    const Match match = longest_at(text, pos);
    if (match.token == nullptr) {
      ++pos;
      continue;
    }
    std::size_t begin = pos;
    std::size_t end = match.end;
    pos = match.end;
    if (match.token->single_word && !is_single_word(text, begin, end)) continue;
    if (match.token->lstrip) begin = std::max(without_blanks_before(text, begin), covered);
    if (match.token->rstrip) end = with_blanks_behind(text, end);
    if (covered < begin) parts.push_back({text.substr(covered, begin - covered), nullptr});
    // A token of blanks may lie in those that the token before has taken: nothing is left of it then.
    if (begin < end) parts.push_back({text.substr(begin, end - begin), match.token});
    covered = end;
  }
  if (covered < text.size()) parts.push_back({text.substr(covered), nullptr});
}

}  // namespace llm2mnn
