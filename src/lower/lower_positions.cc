// What depends on positions alone: the numbers of chunks as codes in q and k, and temperatures of q.
#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>

#include "base/checked.h"
#include "base/error.h"
#include "lower/lower_attention.h"

namespace llm2mnn {
namespace {

// What a key of an earlier chunk has less, before scores are divided by the root of a head's width: 174
// behind that for 128 + 11 channels. Where the scores of a query spread less than 70, such a key has less
// than exp(-104) of the weight of the best one: nothing in float32. Sums over 24 bits stay below 65504, the
// most that fp16 holds.
constexpr float kBitWeight = 2048;
// Rows of a table; beyond it a table is no longer small beside the weights.
constexpr std::int64_t kMostRows = std::int64_t{1} << 22;

}  // namespace

// A channel for each bit of a chunk's number: -kBitWeight in q where the bit is 1, and 1 in k where it is 0.
// Their products are 0 in every channel for a key of the same chunk, so that scores keep the precision they
// have in whatever order they are summed. An earlier chunk has a lesser number: some bit is 1 in the query's
// and 0 in its own. Later ones are the causal mask's business.
void AttentionLowering::add_chunk_codes() {
  for (const LayerSpec& layer : spec_.layers)
    chunks_.chunk_size = std::max(chunks_.chunk_size, layer.attention.chunk_size);
  if (chunks_.chunk_size == 0) return;
  const std::int64_t positions = rope_table_positions(spec_.max_position_embeddings);
  const std::int64_t chunks = ceil_div(positions, chunks_.chunk_size);
  if (chunks == 1) return;  // no position of the tables sees another chunk
  if (chunks > kMostRows)
    fail(ErrorKind::kUnsupported, "attention in {} chunks of {} positions; at most {} are supported", chunks,
         chunks_.chunk_size, kMostRows);
  const auto bits = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(chunks - 1)));
  chunks_.channels = bits;
  std::vector<float> q, k;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (std::int64_t bit = 0; bit < bits; ++bit) {
      const bool is_one = (chunk >> bit & 1) != 0;
      q.push_back(is_one ? -kBitWeight : 0);
      k.push_back(is_one ? 0 : 1);
    }
  }
  chunks_.q = parts_.positions_of("chunk_queries", Binding::values(chunks_.channels, std::move(q)),
                                  chunks_.chunk_size);
  chunks_.k =
      parts_.positions_of("chunk_keys", Binding::values(chunks_.channels, std::move(k)), chunks_.chunk_size);
}

//  q -- * (op_dim / Dh)^0.5 -- join -- q'     k -- join -- k'     v -- zeros behind each head -- v'
//             codes of chunks --'      codes of chunks --'
void AttentionLowering::widen_for_chunks(const std::string& prefix, const AttentionSpec& spec, ir::ValueId& q,
                                         ir::ValueId& k, ir::ValueId& v) {
  const std::int64_t dim = spec.head_dim, wide = dim + chunks_.channels;
  q = parts_.scale(prefix + "/query_scale", q,
                   std::sqrt(static_cast<double>(wide) / static_cast<double>(dim)));
  const auto join = [&](std::string_view name, ir::ValueId codes, ir::ValueId own, std::int64_t heads) {
    const std::string node = fmt::format("{}/{}", prefix, name);
    const ir::ValueId y = parts_.value_of(node);
    parts_.graph().add_node(node, ir::JoinHeads{codes, own, y, heads, chunks_.channels, dim});
    return y;
  };
  q = join("query", chunks_.q, q, spec.num_attention_heads);
  k = join("key", chunks_.k, k, spec.num_key_value_heads);
  v = parts_.resize_heads(prefix + "/value", v, spec.num_key_value_heads, dim, wide);
}

std::int64_t AttentionLowering::extra_channels(const AttentionSpec& spec) const {
  if (spec.has_alibi) return kAlibiChannels;
  if (!spec.rounded_slopes.empty()) return 1;
  return spec.chunk_size > 0 ? chunks_.channels : 0;
}

// Row (position + 1) / interval holds what q is multiplied by.
void AttentionLowering::add_temperatures() {
  const auto heated = std::find_if(spec_.layers.begin(), spec_.layers.end(), [](const LayerSpec& layer) {
    return layer.attention.temperature.has_value();
  });
  if (heated == spec_.layers.end()) return;
  const TemperatureSpec& temperature = *heated->attention.temperature;
  const std::int64_t positions = rope_table_positions(spec_.max_position_embeddings);
  const std::int64_t rows = positions / temperature.interval + 1;
  if (rows > kMostRows)
    fail(ErrorKind::kUnsupported, "{} temperatures of attention; at most {} are supported", rows, kMostRows);
  std::vector<float> factors;
  for (std::int64_t row = 0; row < rows; ++row)
    factors.push_back(static_cast<float>(1 + temperature.scale * std::log1p(static_cast<double>(row))));
  temperature_ =
      parts_.positions_of("temperatures", Binding::values(1, std::move(factors)), temperature.interval, 1);
}

}  // namespace llm2mnn
