#include "checkpoint/safetensors.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>

#include "checkpoint/test_support.h"

namespace llm2mnn {
namespace {

std::vector<TensorInfo> read(const std::string& bytes) {
  return read_safetensors_header(MemorySource(std::as_bytes(std::span(bytes))));
}

struct Header {
  const char* name;  // fail_* or pass_*: the expectation
  std::string header;
  std::size_t data_bytes = 0;
  const char* message = "";  // a part of it
  ErrorKind kind = ErrorKind::kFormat;
};

class SafetensorsHeader : public testing::TestWithParam<Header> {};

TEST_P(SafetensorsHeader, IsTakenOrRefusedAsItsNameSays) {
  const Header& test = GetParam();
  const Outcome outcome = outcome_of([&] { read(safetensors_bytes(test.header, test.data_bytes)); });
  const bool expect_pass = std::string_view(test.name).starts_with("pass_");
  EXPECT_EQ(outcome.refused, !expect_pass) << outcome.message;
  if (expect_pass) return;
  EXPECT_EQ(outcome.kind, test.kind);
  EXPECT_NE(outcome.message.find(test.message), std::string::npos) << outcome.message;
  expect_one_line(outcome.message);
}

std::string entry(const char* name, const char* dtype, const char* shape, const char* offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", name, dtype, shape,
                     offsets);
}
std::string object(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ","));
}

const Header kHeaders[] = {
    {"pass_one", object({entry("a", "F32", "2", "0,8")}), 8},
    {"pass_matrix", object({entry("a", "BF16", "2,3", "0,12"), entry("b", "F16", "2", "12,16")}), 16},
    {"pass_any_order", object({entry("a", "F32", "2", "8,16"), entry("b", "F32", "2", "0,8")}), 16},
    {"pass_scalar", object({entry("a", "F32", "", "0,4")}), 4},
    {"pass_no_tensors", "{}", 0},
    {"pass_every_dtype",
     object({entry("a", "F64", "1", "0,8"), entry("b", "I64", "1", "8,16"), entry("c", "I32", "1", "16,20"),
             entry("d", "I16", "1", "20,22"), entry("e", "I8", "1", "22,23"), entry("f", "U8", "1", "23,24"),
             entry("g", "BOOL", "1", "24,25"), entry("h", "F8_E4M3", "1", "25,26"),
             entry("i", "F8_E5M2", "1", "26,27")}),
     27},
    {"pass_zero_size_first", object({entry("a", "F32", "0", "0,0"), entry("b", "F32", "2", "0,8")}), 8},
    {"pass_zero_size_last", object({entry("a", "F32", "3,0", "8,8"), entry("b", "F32", "2", "0,8")}), 8},
    {"pass_metadata", R"({"__metadata__":{"format":"pt","x":""},)" + entry("a", "U8", "1", "0,1") + "}", 1},
    {"pass_metadata_null", R"({"__metadata__":null,)" + entry("a", "U8", "1", "0,1") + "}", 1},
    {"pass_leading_space", "  " + object({entry("a", "U8", "1", "0,1")}), 1},
    {"pass_padding", object({entry("a", "U8", "1", "0,1")}) + "   \n\t", 1},
    {"pass_keys_in_any_order", R"({"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}})", 1},
    {"pass_rank_32",
     object({entry("a", "U8", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "0,1")}), 1},
    {"fail_rank_33",
     object({entry("a", "U8", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "0,1")}),
     1, "tensor 'a': more than 32 dimensions"},
    {"fail_empty_header", "", 0, "empty"},
    {"fail_array", "[]", 0, "must be a JSON object, found an array"},
    {"fail_number", "12", 0, "must be a JSON object, found a number"},
    {"fail_string", "\"a\"", 0, "must be a JSON object, found a string"},
    {"fail_word", "true", 0, "must be a JSON object, found true"},
    {"fail_null", "null", 0, "must be a JSON object, found null"},
    {"fail_cut_json", R"({"a":{"dtype":"U8")", 1, "not valid JSON at byte"},
    {"fail_nul_padding", object({entry("a", "U8", "1", "0,1")}) + std::string(3, '\0'), 1, "not valid JSON"},
    {"fail_second_object", object({entry("a", "U8", "1", "0,1")}) + "{}", 1, "not valid JSON"},
    {"fail_utf8", "{\"\xFF\":1}", 0, "invalid UTF-8"},
    {"fail_tensor_is_null", R"({"a":null})", 0, "tensor 'a': expected an object, found null"},
    {"fail_tensor_is_string", R"({"a":"b"})", 0, "tensor 'a': expected an object, found a string"},
    {"fail_tensor_is_array", R"({"a":[]})", 0, "tensor 'a': expected an object, found an array"},
    {"fail_no_dtype", R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "tensor 'a': 'dtype' is missing"},
    {"fail_no_shape", R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "'shape' is missing"},
    {"fail_no_offsets", R"({"a":{"dtype":"U8","shape":[1]}})", 1, "'data_offsets' is missing"},
    {"fail_empty_entry", R"({"a":{}})", 0, "'dtype' is missing"},
    {"fail_unknown_key", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}})", 1,
     "tensor 'a': unknown key 'strides'"},
    {"fail_dtype_twice", R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
     "'dtype' appears twice"},
    {"fail_dtype_number", R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}})", 1,
     "'dtype' must be a string"},
    {"fail_dtype_null", R"({"a":{"dtype":null,"shape":[1],"data_offsets":[0,1]}})", 1,
     "'dtype' must be a string"},
    {"fail_dtype_object", R"({"a":{"dtype":{},"shape":[1],"data_offsets":[0,1]}})", 1,
     "'dtype' must be a string"},
    {"fail_dtype_array", R"({"a":{"dtype":["U8"],"shape":[1],"data_offsets":[0,1]}})", 1,
     "'dtype' must be a string"},
    {"fail_dtype_unknown", object({entry("a", "Q4_0", "1", "0,1")}), 1,
     "tensor 'a': dtype 'Q4_0' is not known", ErrorKind::kUnsupported},
    {"fail_dtype_lower_case", object({entry("a", "f32", "1", "0,4")}), 4, "dtype 'f32'",
     ErrorKind::kUnsupported},
    {"fail_shape_number", R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1,
     "'shape' must be an array"},
    {"fail_shape_of_strings", R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1,
     "'shape' must hold whole numbers"},
    {"fail_shape_nested", R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1,
     "'shape' must hold whole numbers"},
    {"fail_shape_of_objects", R"({"a":{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}})", 1,
     "'shape' must hold whole numbers"},
    {"fail_shape_bool", R"({"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}})", 1,
     "'shape' must hold whole numbers"},
    {"fail_shape_negative", object({entry("a", "U8", "-1", "0,1")}), 1, "found '-1'"},
    {"fail_shape_decimal", object({entry("a", "U8", "1.0", "0,1")}), 1, "found '1.0'"},
    {"fail_shape_exponent", object({entry("a", "U8", "1e0", "0,1")}), 1, "found '1e0'"},
    {"fail_shape_2_to_63", object({entry("a", "U8", "9223372036854775808", "0,1")}), 1,
     "found '9223372036854775808'"},
    {"fail_shape_overflow", object({entry("a", "U8", "4294967296,4294967296", "0,1")}), 1, "64 bits"},
    {"fail_bytes_overflow", object({entry("a", "F64", "4611686018427387904", "0,1")}), 1, "64 bits"},
    {"fail_overflow_times_zero", object({entry("a", "U8", "4294967296,4294967296,0", "0,0")}), 0, "64 bits"},
    {"fail_offsets_string", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":"0,1"}})", 1,
     "'data_offsets' must be an array"},
    {"fail_offsets_object", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":{}}})", 1,
     "'data_offsets' must be an array"},
    {"fail_offsets_one", object({entry("a", "U8", "1", "0")}), 1, "must be two numbers, found 1"},
    {"fail_offsets_three", object({entry("a", "U8", "1", "0,1,2")}), 1, "must be two numbers, found 3"},
    {"fail_offsets_none", object({entry("a", "U8", "1", "")}), 1, "must be two numbers, found 0"},
    {"fail_offsets_null", object({entry("a", "U8", "1", "0,null")}), 1,
     "'data_offsets' must hold whole numbers"},
    {"fail_offsets_negative", object({entry("a", "U8", "1", "-1,0")}), 1, "found '-1'"},
    {"fail_offsets_huge", object({entry("a", "U8", "1", "0,18446744073709551616")}), 1,
     "must hold whole numbers"},
    {"fail_offsets_reversed", object({entry("a", "U8", "1", "1,0")}), 1, "begin at 1, after their end 0"},
    {"fail_span_short", object({entry("a", "F16", "64,48", "0,4096")}), 4096,
     "tensor 'a': span is 4096 bytes, F16 [64, 48] needs 6144"},
    {"fail_span_long", object({entry("a", "U8", "1", "0,2")}), 2, "span is 2 bytes, U8 [1] needs 1"},
    {"fail_outside", object({entry("a", "U8", "8", "0,8")}), 7,
     "ends at byte 8 of the data, the file has only 7"},
    {"fail_hole_first", object({entry("a", "U8", "1", "1,2")}), 2,
     "tensor 'a': begins at byte 1 of the data, the header"},
    {"fail_hole", object({entry("a", "U8", "1", "0,1"), entry("b", "U8", "1", "2,3")}), 3,
     "tensor 'b': begins at byte 2 of the data, the tensor before it ends at 1: a hole"},
    {"fail_overlap", object({entry("a", "U8", "2", "0,2"), entry("b", "U8", "2", "1,3")}), 3, "they overlap"},
    {"fail_same_span", object({entry("a", "U8", "2", "0,2"), entry("b", "U8", "2", "0,2")}), 2,
     "they overlap"},
    {"fail_zero_size_inside", object({entry("a", "U8", "2", "0,2"), entry("b", "U8", "0", "1,1")}), 2,
     "they overlap"},
    {"fail_trailing_data", object({entry("a", "U8", "1", "0,1")}), 2, "1 bytes behind the last tensor"},
    {"fail_data_without_tensors", "{}", 2, "2 bytes behind the last tensor"},
    {"fail_name_twice", object({entry("a", "U8", "1", "0,1"), entry("a", "U8", "1", "1,2")}), 2,
     "tensor 'a' appears twice"},
    {"fail_name_twice_same_entry", object({entry("a", "U8", "0", "0,0"), entry("a", "U8", "0", "0,0")}), 0,
     "tensor 'a' appears twice"},
    {"fail_name_empty", object({entry("", "U8", "1", "0,1")}), 1, "empty name"},
    {"fail_metadata_number", R"({"__metadata__":{"a":1}})", 0,
     "'__metadata__': every value must be a string"},
    {"fail_metadata_nested", R"({"__metadata__":{"a":{}}})", 0,
     "every value must be a string, found an object"},
    {"fail_metadata_list", R"({"__metadata__":{"a":[]}})", 0, "every value must be a string, found an array"},
    {"fail_metadata_string", R"({"__metadata__":"a"})", 0, "'__metadata__': expected an object"},
    {"fail_metadata_twice", R"({"__metadata__":{},"__metadata__":{}})", 0, "appears twice"},
    {"fail_deep", R"({"a":{"dtype":[[[[)", 0, "not valid JSON"},
};

INSTANTIATE_TEST_SUITE_P(Table, SafetensorsHeader, testing::ValuesIn(kHeaders),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Safetensors, SpansAreAbsoluteAndNamesSorted) {
  const std::string header = object({entry("b", "F32", "2", "0,8"), entry("a", "BF16", "2,3", "8,20")});
  const std::vector<TensorInfo> tensors = read(safetensors_bytes(header, 20));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].dtype, DType::kBF16);
  EXPECT_EQ(tensors[0].shape, (Shape{2, 3}));
  EXPECT_EQ(tensors[0].offset, 8 + header.size() + 8);
  EXPECT_EQ(tensors[0].bytes, 12u);
  EXPECT_EQ(tensors[1].offset, 8 + header.size());
}

TEST(Safetensors, TheLengthIsCheckedBeforeTheHeaderIsRead) {
  const auto message = [](std::uint64_t length, const std::string& rest) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return outcome_of([&] { read(bytes + rest); }).message;
  };
  EXPECT_NE(message(3, "{}").find("the file has only 2 behind it"), std::string::npos);
  EXPECT_NE(message(100'000'001, "{}").find("more than the limit of 100000000"), std::string::npos);
  EXPECT_NE(message(UINT64_MAX, "{}").find("more than the limit"), std::string::npos);
  EXPECT_NE(outcome_of([] { read(""); }).message.find("0 bytes, too short"), std::string::npos);
  EXPECT_NE(outcome_of([] { read("1234567"); }).message.find("7 bytes, too short"), std::string::npos);
  EXPECT_NE(
      outcome_of([] { read("version https://git-lfs.github.com/spec/v1\n"); }).message.find("git lfs pull"),
      std::string::npos);
}

TEST(Safetensors, HostileNamesStayShortAndOnOneLine) {
  const std::string name = "\\n\\u001b[31m" + std::string(3000, 'x');
  const Outcome outcome =
      outcome_of([&] { read(safetensors_bytes(object({entry(name.c_str(), "U8", "1", "0,2")}), 2)); });
  EXPECT_TRUE(outcome.refused);
  EXPECT_NE(outcome.message.find("\\x0a\\x1b[31mxx"), std::string::npos) << outcome.message;
  expect_one_line(outcome.message);
}

// A header made at random, then judged by the reference's rules written the slow way.
TEST(Safetensors, RandomLayoutsAreJudgedAsTheReferenceDoes) {
  const unsigned seed = 20240607;
  std::mt19937 random(seed);
  const auto below = [&](unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(random);
  };
  int num_passed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::pair<unsigned, unsigned>> spans;
    unsigned at = 0;
    for (unsigned i = below(5) + 1; i > 0; --i) {
      const unsigned size = below(3);
      spans.emplace_back(at, at + size);
      at += size;
    }
    if (below(2) == 0) {  // spoil one span, the sizes stay right
      auto& [begin, end] = spans[below(static_cast<unsigned>(spans.size()))];
      const unsigned shift = below(3);
      begin += shift;
      end += shift;
    }
    const unsigned data_bytes = at + (below(4) == 0 ? below(3) : 0);
    std::shuffle(spans.begin(), spans.end(), random);
    std::vector<std::string> entries;
    for (const auto& [begin, end] : spans) {
      entries.push_back(entry(fmt::format("t{}", entries.size()).c_str(), "U8",
                              fmt::format("{}", end - begin).c_str(),
                              fmt::format("{},{}", begin, end).c_str()));
    }
    std::sort(spans.begin(), spans.end());
    unsigned expected = 0;
    bool is_good = true;
    for (const auto& [begin, end] : spans) {
      is_good = is_good && begin == expected;
      expected = end;
    }
    is_good = is_good && expected == data_bytes;
    const Outcome outcome = outcome_of([&] { read(safetensors_bytes(object(entries), data_bytes)); });
    ASSERT_EQ(!outcome.refused, is_good) << "seed " << seed << " round " << round << " " << object(entries)
                                         << " " << data_bytes << " " << outcome.message;
    num_passed += is_good ? 1 : 0;
  }
  EXPECT_GT(num_passed, 300);
}

}  // namespace
}  // namespace llm2mnn
