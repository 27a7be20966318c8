#include "tokenizer/added_matcher.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {

namespace {

std::uint64_t edge_key(std::uint32_t node, char byte) {
  return (std::uint64_t{node} << 8) | static_cast<unsigned char>(byte);
}

bool is_single_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0) {
    std::size_t pos = character_before(text, begin);
    if (is_word(next_code_point(text, pos))) return false;
  }
  return end == text.size() || !is_word(next_code_point(text, end));
}

std::size_t without_blanks_before(std::string_view text, std::size_t begin) {
  while (begin > 0) {
    const std::size_t start = character_before(text, begin);
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
  if (nodes_.empty()) nodes_.emplace_back();
  std::uint32_t node = 0;
  for (std::size_t i = content.size(); i-- > 0;) {
    const auto next = checked_cast<std::uint32_t>(nodes_.size());
    const auto [it, is_new] = edges_.try_emplace(edge_key(node, content[i]), next);
    if (is_new) nodes_.push_back({node, content.size() - i, content[i], 0, 0});
    node = it->second;
  }
  if (nodes_[node].longest != 0) return;
  tokens_.push_back({&token, content.size()});
  nodes_[node].longest = checked_cast<std::uint32_t>(tokens_.size());
}

std::uint32_t AddedMatcher::step(std::uint32_t node, char byte) const {
  for (;; node = nodes_[node].fallback) {
    if (node == 0) return root_edges_[static_cast<unsigned char>(byte)];
    const auto it = edges_.find(edge_key(node, byte));
    if (it != edges_.end()) return it->second;
  }
}

void AddedMatcher::finish() {
  std::vector<std::uint32_t> order(nodes_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return nodes_[a].depth < nodes_[b].depth; });
  for (const std::uint32_t index : order) {
    Node& node = nodes_[index];
    if (node.depth == 0) continue;
    if (node.depth == 1) {
      root_edges_[static_cast<unsigned char>(node.byte)] = index;
      continue;
    }
    node.fallback = step(nodes_[node.parent].fallback, node.byte);
    if (node.longest == 0) node.longest = nodes_[node.fallback].longest;
  }
}

std::vector<AddedMatcher::Match> AddedMatcher::longest_matches(std::string_view text) const {
  std::vector<Match> matches;
  std::uint32_t node = 0;
  for (std::size_t pos = text.size(); pos-- > 0;) {
    node = step(node, text[pos]);
    if (nodes_[node].longest == 0) continue;
    const Token& token = tokens_[nodes_[node].longest - 1];
    matches.push_back({pos, pos + token.size, token.token});
  }
  std::reverse(matches.begin(), matches.end());
  return matches;
}

void AddedMatcher::split(std::string_view text, std::vector<TextPart>& parts) const {
  std::size_t covered = 0, pos = 0;
  std::vector<Match> matches;
  if (!tokens_.empty()) matches = longest_matches(text);
  for (const Match& match : matches) {
    if (match.begin < pos) continue;
    std::size_t begin = match.begin;
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
