// Weights per second of quantize_rows, one core, beside memcpy of the same source bytes.
// Working sets: "hot" 2 MiB of source, "dram" 256 MiB. LLM2MNN_SIMD forces a level.

#include <benchmark/benchmark.h>
#include <cstring>
#include <fmt/format.h>
#include <random>
#include <vector>

#include "kernels/bench_main.h"
#include "kernels/convert.h"
#include "quant/rounding.h"
#include "quant/tiles.h"

namespace llm2mnn {
namespace {

constexpr std::int64_t kCols = 3072;
constexpr std::int64_t kHotBytes = std::int64_t{2} << 20;
constexpr std::int64_t kDramBytes = std::int64_t{256} << 20;

std::vector<std::byte> normal_source(DType dtype, std::int64_t bytes) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  // A block of fresh values, repeated: speed does not depend on the values.
  std::vector<float> block(1 << 16);
  for (float& value : block)
    value = normal(random);
  std::vector<std::byte> source(static_cast<std::size_t>(bytes));
  const std::size_t block_bytes = block.size() * static_cast<std::size_t>(dtype_bytes(dtype));
  for (std::size_t at = 0; at < source.size(); at += block_bytes) {
    if (!encode_from_f32(block.data(), block.size(), dtype, source.data() + at)) std::terminate();
  }
  return source;
}

/// Rounds the whole working set tile by tile into one tile's buffers, as the exporter does.
void round_tiles(benchmark::State& state, const QuantScheme& scheme, DType dtype, std::int64_t bytes,
                 const QuantMethod& method) {
  const std::vector<std::byte> source = normal_source(dtype, bytes);
  const std::int64_t row_bytes = kCols * dtype_bytes(dtype);
  const std::int64_t rows = bytes / row_bytes;
  const std::int64_t step = std::min(tile_rows(kCols, row_bytes), rows);
  std::vector<std::byte> codes(static_cast<std::size_t>(codes_bytes(scheme, step, kCols)));
  std::vector<std::byte> alpha(static_cast<std::size_t>(alpha_bytes(scheme, step, kCols)));
  for (auto _ : state) {
    for (std::int64_t row = 0; row + step <= rows; row += step) {
      quantize_rows({source.data() + row * row_bytes, dtype, step, kCols}, scheme, method, row, codes, alpha);
      benchmark::ClobberMemory();
    }
  }
  state.SetItemsProcessed(state.iterations() * rows * kCols);
  state.SetBytesProcessed(state.iterations() * bytes);
}

void copy(benchmark::State& state, std::int64_t bytes) {
  const std::vector<std::byte> source = normal_source(DType::kBF16, bytes);
  std::vector<std::byte> target(source.size());
  for (auto _ : state) {
    std::memcpy(target.data(), source.data(), source.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * bytes);
}

void add(const std::string& name, const QuantScheme& scheme, DType dtype, std::int64_t bytes,
         const QuantMethod& method = default_method()) {
  benchmark::RegisterBenchmark(name.c_str(), [=, &method](benchmark::State& state) {
    round_tiles(state, scheme, dtype, bytes, method);
  });
}

void register_methods() {
  for (const QuantMethod* method : quant_methods()) {
    if (method == &default_method()) continue;
    for (const int bits : {2, 3, 4, 8})
      for (const int group : {0, 32, 64, 128})
        add(fmt::format("{}/bf16/{}bit_b{}/hot", method->name(), bits, group), {bits, group}, DType::kBF16,
            kHotBytes, *method);
    if (method->is_symmetric_too())
      add(fmt::format("{}/bf16/4bit_b64_sym/hot", method->name()), {4, 64, true}, DType::kBF16, kHotBytes,
          *method);
  }
}

void register_all() {
  for (const auto& [place, bytes] : {std::pair("hot", kHotBytes), std::pair("dram", kDramBytes)}) {
    benchmark::RegisterBenchmark((std::string("memcpy/") + place).c_str(),
                                 [n = bytes](benchmark::State& state) { copy(state, n); });
    add(std::string("bf16/4bit_b64/") + place, {4, 64}, DType::kBF16, bytes);
  }
  for (const int bits : {2, 3, 5, 6, 7, 8}) {
    add("bf16/" + std::to_string(bits) + "bit_b64/hot", {bits, 64}, DType::kBF16, kHotBytes);
  }
  for (const int group : {0, 16, 32, 48, 128}) {
    add("bf16/4bit_b" + std::to_string(group) + "/hot", {4, group}, DType::kBF16, kHotBytes);
  }
  add("bf16/4bit_b64_sym/hot", {4, 64, true}, DType::kBF16, kHotBytes);
  add("bf16/4bit_b64_f32_scales/hot", {4, 64, false, ScaleType::kF32}, DType::kBF16, kHotBytes);
  add("f16/4bit_b64/hot", {4, 64}, DType::kF16, kHotBytes);
  add("f32/4bit_b64/hot", {4, 64}, DType::kF32, kHotBytes);
  add("bf16/16bit/hot", QuantScheme{16}, DType::kBF16, kHotBytes);
  register_methods();
}

}  // namespace
}  // namespace llm2mnn

int main(int argc, char** argv) { return llm2mnn::run_benchmarks(argc, argv, llm2mnn::register_all); }
