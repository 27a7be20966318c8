// Each kernel alone on a working set that fits L1/L2, beside memcpy. LLM2MNN_SIMD forces a level.

#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/bench_main.h"
#include "kernels/convert.h"
#include "kernels/groups.h"
#include "kernels/pack.h"

namespace llm2mnn {
namespace {

constexpr std::size_t kValues = 1 << 14;  // 32 KiB of bf16
constexpr std::size_t kGroup = 64;
constexpr std::size_t kGroups = kValues / kGroup;

struct Data {
  std::vector<float> values = std::vector<float>(kValues);
  std::vector<std::byte> source = std::vector<std::byte>(4 * kValues);
  std::vector<std::byte> out = std::vector<std::byte>(4 * kValues);
  std::vector<std::uint8_t> codes = std::vector<std::uint8_t>(kValues);
  std::vector<float> min = std::vector<float>(kGroups);
  std::vector<float> max = std::vector<float>(kGroups);
  std::vector<float> scale = std::vector<float>(kGroups);
  std::vector<float> offset = std::vector<float>(kGroups);

  explicit Data(DType dtype) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    for (float& value : values)
      value = normal(random);
    bool fits = encode_from_f32(values.data(), kValues, dtype, source.data());
    fits = group_min_max(source.data(), dtype, kGroup, kGroups, min.data(), max.data()) && fits;
    fits = group_grids({}, min.data(), max.data(), kGroups, scale.data(), offset.data(), out.data()) && fits;
    if (!fits) std::terminate();
    group_codes(source.data(), dtype, kGroup, kGroups, scale.data(), offset.data(), 2,
                codes.data());  // 2 bits: valid for every width
  }
};

template <typename Body>
void add(const std::string& name, DType dtype, Body body) {
  benchmark::RegisterBenchmark(
      (name + "/" + std::string(dtype_name(dtype))).c_str(), [=](benchmark::State& state) {
        // Packing reads codes of a BF16 source.
        Data data(dtype == DType::kU8 ? DType::kBF16 : dtype);
        for (auto _ : state) {
          body(data);
          benchmark::ClobberMemory();
        }
        state.SetItemsProcessed(state.iterations() * std::int64_t{kValues});
        state.SetBytesProcessed(state.iterations() * std::int64_t{kValues} * dtype_bytes(dtype));
      });
}

void register_all() {
  for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
    const auto bytes = kValues * static_cast<std::size_t>(dtype_bytes(dtype));
    add("memcpy", dtype, [=](Data& d) { std::memcpy(d.out.data(), d.source.data(), bytes); });
    add("group_min_max_b64", dtype, [=](Data& d) {
      benchmark::DoNotOptimize(
          group_min_max(d.source.data(), dtype, kGroup, kGroups, d.min.data(), d.max.data()));
    });
    add("group_codes_b64", dtype, [=](Data& d) {
      group_codes(d.source.data(), dtype, kGroup, kGroups, d.scale.data(), d.offset.data(), 4,
                  d.codes.data());
    });
    add("decode_to_f32", dtype, [=](Data& d) {
      benchmark::DoNotOptimize(decode_to_f32(d.source.data(), dtype, kValues, d.values.data()));
    });
    add("encode_from_f32", dtype, [=](Data& d) {
      benchmark::DoNotOptimize(encode_from_f32(d.values.data(), kValues, dtype, d.out.data()));
    });
  }
  add("group_grids_b64", DType::kBF16, [](Data& d) {
    benchmark::DoNotOptimize(
        group_grids({}, d.min.data(), d.max.data(), kGroups, d.scale.data(), d.offset.data(), d.out.data()));
  });
  for (int bits = 2; bits <= 8; ++bits) {
    add("pack_codes_" + std::to_string(bits) + "bit", DType::kU8,
        [=](Data& d) { pack_codes(d.codes.data(), kValues, bits, d.out.data()); });
  }
}

}  // namespace
}  // namespace llm2mnn

int main(int argc, char** argv) { return llm2mnn::run_benchmarks(argc, argv, llm2mnn::register_all); }
