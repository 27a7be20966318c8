#include "tokenizer/decode.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json.h"

namespace llm2mnn {

namespace {

using Kind = DecoderStep::Kind;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned char byte_at(std::string_view bytes, std::size_t i) { return static_cast<unsigned char>(bytes[i]); }

/// Length of the character at `pos`; when it is no character, false and the length of the longest part of
/// one (at least 1), as The Unicode Standard, section 3.9, table 3-7 has them.
std::pair<std::size_t, bool> character_at(std::string_view bytes, std::size_t pos) {
  const unsigned char first = byte_at(bytes, pos);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < length; ++i) {
    if (pos + i >= bytes.size()) return {i, false};
    const unsigned char c = byte_at(bytes, pos + i);
    if (c < low || c > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) {
    // An empty text stands in front of each character and at the end.
    std::string out(to);
    for (std::size_t pos = 0; pos < text.size();) {
      const std::size_t begin = pos;
      next_code_point(text, pos);
      out.append(text, begin, pos - begin);
      out += to;
    }
    text = std::move(out);
    return;
  }
  for (std::size_t pos = text.find(from); pos != std::string::npos; pos = text.find(from, pos + to.size()))
    text.replace(pos, from.size(), to);
}

void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules)
    replace_all(text, from, to);
}

void byte_level(std::vector<std::string>& tokens) {
  std::string all, bytes;
  for (const std::string& token : tokens)
    all += from_byte_alphabet(token, bytes) ? bytes : token;
  tokens.assign(1, to_valid_utf8(all));
}

/// Runs of byte tokens become text, or one U+FFFD for each byte when the run is no valid UTF-8.
void byte_fallback(std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_utf8(bytes)) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), std::string(kReplacement));
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byte_of_piece(token)) {
      bytes += static_cast<char>(*byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens = std::move(out);
}

void word_piece(const DecoderStep& step, std::vector<std::string>& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i != 0) {
      if (tokens[i].starts_with(step.content)) {
        tokens[i].erase(0, step.content.size());
      } else {
        tokens[i].insert(0, " ");
      }
    }
    if (step.cleanup) clean_up(tokens[i]);
  }
}

/// The mark becomes a blank; in the first token it vanishes, unless the scheme is never.
void metaspace(const DecoderStep& step, std::vector<std::string>& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool vanishes = i == 0 && step.prepend_scheme != PrependScheme::kNever;
    replace_all(tokens[i], step.content, vanishes ? "" : " ");
  }
}

void ctc(const DecoderStep& step, std::vector<std::string>& tokens) {
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  for (std::string& token : tokens) {
    replace_all(token, step.content, "");
    if (!step.cleanup) continue;
    clean_up(token);
    replace_all(token, step.word_delimiter, " ");
  }
  std::erase_if(tokens, [](const std::string& token) { return token.empty(); });
}

/// Takes up to `start` characters `content` from the front of each token and up to `stop` from its end.
void strip(const DecoderStep& step, std::vector<std::string>& tokens) {
  if (step.content.empty()) return;
  for (std::string& token : tokens) {
    std::string_view rest = token;
    for (std::uint32_t i = 0; i < step.start && rest.starts_with(step.content); ++i)
      rest.remove_prefix(step.content.size());
    for (std::uint32_t i = 0; i < step.stop && rest.ends_with(step.content); ++i)
      rest.remove_suffix(step.content.size());
    token = std::string(rest);
  }
}

std::string join(const std::vector<std::string>& tokens, std::string_view between) {
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i != 0) out += between;
    out += tokens[i];
  }
  return out;
}

}  // namespace

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t pos = 0; pos < bytes.size();) {
    const auto [length, valid] = character_at(bytes, pos);
    out += valid ? bytes.substr(pos, length) : kReplacement;
    pos += length;
  }
  return out;
}

Decoder::Decoder(const std::vector<DecoderStep>& steps) {
  for (const DecoderStep& description : steps) {
    Step step;
    step.description = &description;
    if (description.kind == Kind::kReplace) step.pattern = std::make_unique<Pattern>(description.pattern);
    steps_.push_back(std::move(step));
  }
}

void Decoder::run(const Step& step, std::vector<std::string>& tokens) {
  const DecoderStep& description = *step.description;
  switch (description.kind) {
    case Kind::kByteLevel:
      byte_level(tokens);
      break;
    case Kind::kBpe:
      for (std::size_t i = 0; i < tokens.size(); ++i)
        replace_all(tokens[i], description.content, i + 1 == tokens.size() ? "" : " ");
      break;
    case Kind::kWordPiece:
      word_piece(description, tokens);
      break;
    case Kind::kMetaspace:
      metaspace(description, tokens);
      break;
    case Kind::kCtc:
      ctc(description, tokens);
      break;
    case Kind::kReplace:
      for (std::string& token : tokens)
        replace_matches(*step.pattern, description.content, token);
      break;
    case Kind::kFuse:
      tokens.assign(1, join(tokens, ""));
      break;
    case Kind::kStrip:
      strip(description, tokens);
      break;
    case Kind::kByteFallback:
      byte_fallback(tokens);
      break;
  }
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  if (steps_.empty()) return join(tokens, " ");
  for (const Step& step : steps_)
    run(step, tokens);
  return join(tokens, "");
}

}  // namespace llm2mnn
