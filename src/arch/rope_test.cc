// Tables against those of transformers 4.57.6 (ROPE_INIT_FUNCTIONS in modeling_rope_utils.py, torch 2.13 on a
// CPU).

#include "arch/rope.h"

#include <cmath>
#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

RopeParameters parameters(const std::string& json) {
  return parse_rope_parameters(parse_json(json), "rope_scaling", true);
}

struct Reference {
  std::string json;
  double theta;
  std::int64_t rotary_dim, max_position_embeddings;
  std::vector<float> inv_freq;  // at `index`
  std::vector<std::size_t> index;
  double attention_factor;
};

const std::vector<Reference>& references() {
  static const std::vector<Reference> table = {
      {R"({"rope_type": "default"})",
       10000.0,
       64,
       2048,
       {1.0f, 0.749894202f, 0.100000001f, 0.0562341288f, 0.00999999978f, 0.00237137382f, 0.00100000005f,
        0.00013335215f},
       {0, 1, 8, 10, 16, 21, 24, 31},
       1.0},
      {R"({"rope_type": "linear", "factor": 4.0})",
       100000.0,
       128,
       16384,
       {0.25f, 0.208840638f, 0.0140585322f, 0.00571893295f, 0.000790569466f, 0.000130824774f, 4.44569851e-05f,
        2.99271255e-06f},
       {0, 1, 16, 21, 32, 42, 48, 63},
       1.0},
      {R"({"rope_type": "dynamic", "factor": 2.0})",
       10000.0,
       32,
       64,
       {1.0f, 0.562341332f, 0.100000001f, 0.0562341288f, 0.00999999978f, 0.00316227786f, 0.00100000005f,
        0.00017782794f},
       {0, 1, 4, 5, 8, 10, 12, 15},
       1.0},
      {R"({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})",
       500000.0,
       128,
       131072,
       {1.0f, 0.814617217f, 0.0376060307f, 0.0134904198f, 0.000524846022f, 2.2748929e-05f, 6.64786967e-06f,
        3.06892588e-07f},
       {0, 1, 16, 21, 32, 42, 48, 63},
       1.0},
      {R"({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})",
       500000.0,
       64,
       131072,
       {1.0f, 0.663601279f, 0.0376060307f, 0.0165604409f, 0.000429556705f, 5.68723226e-06f, 1.66196742e-06f,
        9.41830649e-08f},
       {0, 1, 8, 10, 16, 21, 24, 31},
       1.0},
      {R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768})",
       1000000.0,
       128,
       32768,
       {1.0f, 0.805842221f, 0.0316227786f, 0.0107460786f, 0.000602941145f, 2.88695483e-05f, 7.90569356e-06f,
        3.10234441e-07f},
       {0, 1, 16, 21, 32, 42, 48, 63},
       1.138629436111989},
      {R"({"rope_type": "yarn", "factor": 16.0})",
       10000.0,
       64,
       256,
       {1.0f, 0.695815265f, 0.0423076898f, 0.0156806689f, 0.000624999986f, 0.000148210864f, 6.2500003e-05f,
        8.3345094e-06f},
       {0, 1, 8, 10, 16, 21, 24, 31},
       1.2772588722239782},
      {R"({"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 0.8, "beta_fast": 16.0, "beta_slow": 2.0})",
       10000.0,
       64,
       163840,
       {1.0f, 0.749894202f, 0.100000001f, 0.0562341288f, 0.00566666666f, 5.92843462e-05f, 2.49999994e-05f,
        3.33380353e-06f},
       {0, 1, 8, 10, 16, 21, 24, 31},
       1.0569662567531275},
      {R"({"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096, "mscale": 0.707})",
       10000.0,
       64,
       163840,
       {1.0f, 0.749894202f, 0.100000001f, 0.0562341288f, 0.00550000044f, 0.000414990413f, 2.49999994e-05f,
        3.33380353e-06f},
       {0, 1, 8, 10, 16, 21, 24, 31},
       1.3688879454113936},
      {R"({"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096, "truncate": false, "attention_factor": 1.25})",
       150000.0,
       64,
       131072,
       {1.0f, 0.689044297f, 0.0508132726f, 0.0193349998f, 0.000456483918f, 1.25325696e-05f, 4.09997847e-06f,
        3.0235114e-07f},
       {0, 1, 8, 10, 16, 21, 24, 31},
       1.25},
  };
  return table;
}

TEST(Rope, EqualsTransformersToOneUlp) {
  for (const Reference& reference : references()) {
    const RopeSpec rope = make_rope(parameters(reference.json), reference.theta, reference.rotary_dim,
                                    reference.max_position_embeddings);
    ASSERT_EQ(static_cast<std::int64_t>(rope.inv_freq.size()), reference.rotary_dim / 2);
    for (std::size_t i = 0; i < reference.index.size(); ++i) {
      const float expected = reference.inv_freq[i];
      const float ulp = std::nextafter(expected, 2.0f) - expected;
      EXPECT_NEAR(rope.inv_freq[reference.index[i]], expected, ulp)
          << reference.json << " " << reference.index[i];
    }
    EXPECT_DOUBLE_EQ(rope.attention_factor, reference.attention_factor) << reference.json;
  }
}

TEST(Rope, LongropeTakesTheShortFactorsInsideTheOriginalContext) {
  const std::string factors =
      R"("short_factor": [1.0, 1.25, 1.5, 2.0], "long_factor": [1.0, 4.0, 9.0, 16.0])";
  RopeParameters longrope = parameters(R"({"type": "longrope", )" + factors + "}");
  longrope.original_max_position_embeddings = 4096;
  const RopeSpec rope = make_rope(longrope, 1e4, 8, 131072);
  // transformers: 1 / (short_factor * theta^(2j/8)), sqrt(1 + ln 32 / ln 4096), the long factors beyond 4096.
  const std::vector<float> expected = {1.0f, 0.0799999982f, 0.00666666683f, 0.000500000024f};
  ASSERT_EQ(rope.inv_freq.size(), expected.size());
  for (std::size_t j = 0; j < expected.size(); ++j)
    EXPECT_FLOAT_EQ(rope.inv_freq[j], expected[j]);
  EXPECT_NEAR(rope.attention_factor, 1.1902380714238083, 1e-15);
  EXPECT_EQ(rope.exact_below, 4096);
  EXPECT_EQ(make_rope(longrope, 1e4, 8, 4096).exact_below, 0);
  EXPECT_EQ(make_rope(longrope, 1e4, 8, 4096).attention_factor, 1);
  EXPECT_EQ(parameters(R"({"type": "su", )" + factors + "}").kind, "longrope");
  EXPECT_THROW(make_rope(longrope, 1e4, 6, 131072), Error);
  EXPECT_THROW(parameters(R"({"type": "longrope", "short_factor": [1.0]})"), Error);
  EXPECT_THROW(parameters(R"({"type": "longrope", "short_factor": [0.0], "long_factor": [1.0]})"), Error);
  EXPECT_THROW(parameters(R"({"type": "longrope", "short_factor": 1, "long_factor": [1.0]})"), Error);
}

TEST(Rope, OldAndNewSpellingMeanTheSame) {
  EXPECT_EQ(parameters(R"({"type": "linear", "factor": 2})"),
            parameters(R"({"rope_type": "linear", "factor": 2.0})"));
  EXPECT_EQ(parameters(R"({"type": "linear", "rope_type": "linear", "factor": 2})").kind, "linear");
}

TEST(Rope, NullKeysAreAbsent) {
  EXPECT_EQ(parameters(R"({"rope_type": "yarn", "factor": 4.0, "mscale": null})"),
            parameters(R"({"rope_type": "yarn", "factor": 4.0})"));
}

TEST(Rope, YarnFactorMayComeFromTheContexts) {
  const RopeSpec derived = make_rope(
      parameters(R"({"rope_type": "yarn", "factor": null, "original_max_position_embeddings": 32})"), 1e4, 8,
      128);
  const RopeSpec given =
      make_rope(parameters(R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32})"),
                1e4, 8, 128);
  EXPECT_EQ(derived.inv_freq, given.inv_freq);
  EXPECT_THROW(parameters(R"({"rope_type": "yarn"})"), Error);
}

TEST(Rope, FrequencyThatIsNotFiniteIsAnError) {
  // theta 1 has no logarithm to divide by.
  EXPECT_THROW(make_rope(parameters(R"({"rope_type": "yarn", "factor": 4.0, "truncate": false})"), 1, 8, 64),
               Error);
  EXPECT_THROW(make_rope(parameters(R"({"rope_type": "linear", "factor": 1e300})"), 1e4, 8, 64), Error);
}

TEST(Rope, KeysThatTransformersIgnoresAreKeptForTheNotes) {
  const RopeParameters yarn = parameters(R"({"rope_type": "yarn", "factor": 4.0, "attn_factor": 0.9})");
  EXPECT_EQ(yarn.unread, std::vector<std::string>{"attn_factor"});
}

TEST(RopeParameters, KeysThatOthersReadToo) {
  const auto parse = [](const std::string& json, const std::vector<std::string>& also_read,
                        const std::vector<std::string>& left_out) {
    return parse_rope_parameters(parse_json(json), "rope_scaling", true, also_read, left_out);
  };
  const std::string linear = R"({"rope_type": "linear", "factor": 4.0, "alpha": 2.0})";
  EXPECT_EQ(parse(linear, {"alpha", "factor"}, {}).factor, 4.0);
  EXPECT_EQ(parse(linear, {}, {"alpha"}).factor, 4.0);
  EXPECT_NE(testing::message_of([&] { parse(linear, {"factor"}, {}); }).find("'alpha'"), std::string::npos);
  EXPECT_NE(testing::message_of([&] {
              parse(linear, {}, {"alpha", "factor"});
            }).find("'factor'"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
