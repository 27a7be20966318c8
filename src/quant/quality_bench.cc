// Signal to noise of every method on groups of known distributions (counter snr_db).

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "kernels/bench_main.h"
#include "quant/test_groups.h"

namespace llm2mnn {
namespace {

using testing::Distribution;

constexpr std::size_t kWeights = std::size_t{1} << 18;

void measure(benchmark::State& state, const QuantMethod& method, Distribution distribution,
             const GridRule& rule, std::size_t group_len) {
  const std::vector<float> w = testing::random_weights(distribution, kWeights);
  double snr = 0;
  for (auto _ : state)
    snr = testing::snr(w, testing::quantise(method, w, group_len, rule).values);
  state.counters["snr_db"] = snr;
}

void register_all() {
  for (const auto& [name, distribution] :
       {std::pair("gauss", Distribution::kGaussian), std::pair("laplace", Distribution::kLaplace),
        std::pair("student5", Distribution::kStudentT)}) {
    for (const int bits : {2, 3, 4, 8}) {
      for (const std::size_t group : {32u, 64u, 128u}) {
        for (const QuantMethod* method : quant_methods()) {
          for (const bool symmetric : {false, true}) {
            if (symmetric && !method->is_symmetric_too()) continue;
            const std::string title =
                fmt::format("{}/{}bit_b{}/{}{}", name, bits, group, method->name(), symmetric ? "_sym" : "");
            benchmark::RegisterBenchmark(title.c_str(), [=, d = distribution](benchmark::State& state) {
              measure(state, *method, d, {bits, symmetric}, group);
            })->Iterations(1);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace llm2mnn

int main(int argc, char** argv) { return llm2mnn::run_benchmarks(argc, argv, llm2mnn::register_all); }
