#include "base/json.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace llm2mnn {
namespace {

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFormat);
    EXPECT_LE(error.message().size(), 500u);
    EXPECT_EQ(error.message().find('\n'), std::string::npos);
    return error.message();
  }
  return "";
}

struct BadDocument {
  const char* what;
  std::string text;
  const char* message;  // a part of it
};

class JsonRefuses : public testing::TestWithParam<BadDocument> {};

TEST_P(JsonRefuses, WithAReason) {
  const std::string message = refusal(GetParam().text);
  EXPECT_NE(message, "") << "accepted: " << GetParam().text;
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
}

const BadDocument kBadDocuments[] = {
    {"empty", "", "empty"},
    {"blank", " \n\t\r ", "empty"},
    {"bom", "\xEF\xBB\xBF{}", "byte 0: a byte-order mark"},
    {"nul_after", std::string("{}\0", 3), "byte 2: the document must end with the '}'"},
    {"nul_before", std::string("\0{}", 3), "byte 0"},
    {"nul_in_string", std::string("[\"a\0b\"]", 7), "byte 3: a control character"},
    {"nul_between", std::string("[1,\0002]", 6), "byte 3"},
    {"trailing_word", "{} x", "byte 3: the document must end"},
    {"trailing_bracket", "{\"a\":1}}", "text after"},
    {"trailing_bracket_array", "[1]]", "byte 3: text after"},
    {"second_document", "[1][2]", "byte 3: text after"},
    {"second_string", "\"a\" \"b\"", "text after"},
    {"second_number", "1 2", "expected a value"},
    {"second_word", "true false", "expected a value"},
    {"open_object", "{\"a\":1", "it is cut off"},
    {"open_array", "[1,2", "it is cut off"},
    {"open_inner", "[[1]", "not closed"},
    {"open_inner_object", "[{\"a\":{}]", "byte"},
    {"wrong_bracket", "[1}", "byte"},
    {"wrong_brace", "{\"a\":1]", "byte"},
    {"lone_bracket", "]", "byte 0"},
    {"lone_comma", ",", "byte 0"},
    {"comma_end_array", "[1,]", "byte"},
    {"comma_end_object", "{\"a\":1,}", "byte"},
    {"comma_start_array", "[,1]", "byte"},
    {"comma_start_object", "{,\"a\":1}", "byte"},
    {"comma_twice", "[1,,2]", "byte"},
    {"no_comma", "[1 2]", "byte"},
    {"no_comma_strings", "[\"a\" \"b\"]", "byte"},
    {"no_comma_object", "{\"a\":1 \"b\":2}", "byte"},
    {"no_colon", "{\"a\" 1}", "byte"},
    {"no_value", "{\"a\":}", "byte"},
    {"no_value_colon", "{\"a\"}", "byte"},
    {"two_colons", "{\"a\"::1}", "byte"},
    {"colon_in_array", "[\"a\":1]", "byte"},
    {"number_colon_in_array", "[1:2]", "byte"},
    {"number_key", "{1:2}", "byte"},
    {"word_key", "{a:2}", "byte"},
    {"single_quotes", "['a']", "byte 1"},
    {"comment", "[1] // no", "text follows"},
    {"comment_inside", "[/* no */1]", "byte"},
    {"word_after_string", "[\"a\"b]", "byte"},
    {"string_after_string", "[\"a\"\"b\"]", "byte"},
    {"open_string", "[\"abc", "byte 1: a string without a closing quote"},
    {"open_string_escape", "[\"abc\\\"]", "without a closing quote"},
    {"control", "[\"a\nb\"]", "byte 3: a control character"},
    {"bad_escape", "[\"a\\x\"]", "invalid escape"},
    {"bad_key_escape", "{\"a\\x\":1}", "invalid escape"},
    {"short_unicode", "[\"\\u12\"]", "invalid escape"},
    {"lone_high_surrogate", "[\"\\ud800\"]", "invalid escape"},
    {"lone_low_surrogate", "[\"\\udc00\"]", "invalid escape"},
    {"utf8_overlong", "[\"\xC0\x80\"]", "byte 2: invalid UTF-8"},
    {"utf8_surrogate", "[\"\xED\xA0\x80\"]", "byte 2: invalid UTF-8"},
    {"utf8_short", "[\"\xE2\x82\"]", "byte 2: invalid UTF-8"},
    {"utf8_too_large", "[\"\xF4\x90\x80\x80\"]", "byte 2: invalid UTF-8"},
    {"utf8_outside", "[1,\xFF]", "byte 3: invalid UTF-8"},
    {"plus", "[+1]", "byte 1: expected a value, found '+1'"},
    {"leading_zero", "[01]", "found '01'"},
    {"minus_zero_one", "[-01]", "found '-01'"},
    {"lone_minus", "[-]", "found '-'"},
    {"dot_end", "[1.]", "found '1.'"},
    {"dot_start", "[.5]", "found '.5'"},
    {"exponent_end", "[1e]", "found '1e'"},
    {"exponent_sign_end", "[1e+]", "found '1e+'"},
    {"hex", "[0x10]", "found '0x10'"},
    {"underscore", "[1_000]", "found '1_000'"},
    {"number_word", "[12abc]", "found '12abc'"},
    {"nan", "[NaN]", "found 'NaN'"},
    {"infinity", "[-Infinity]", "found '-Infinity'"},
    {"long_true", "[truex]", "found 'truex'"},
    {"short_null", "[nul]", "found 'nul'"},
    {"upper_true", "[True]", "found 'True'"},
    {"root_number", "01", "found '01'"},
    {"root_word", "nope", "found 'nope'"},
    {"form_feed", "[1\f]", "byte"},
    {"no_break_space", "[1\xC2\xA0]", "byte"},
    {"duplicate", "{\"a\":1,\"b\":2,\"a\":3}", "'a' appears twice"},
    {"duplicate_escaped", "{\"a\":1,\"\\u0061\":3}", "'a' appears twice"},
    {"duplicate_inner", "[{\"x\":{\"k\":1,\"k\":1}}]", "'k' appears twice"},
};

INSTANTIATE_TEST_SUITE_P(Documents, JsonRefuses, testing::ValuesIn(kBadDocuments),
                         [](const auto& test) { return std::string(test.param.what); });

TEST(Json, KeepsWhatADocumentSays) {
  const JsonValue value = parse_json(
      " {\"n\":null,\"t\":true,\"f\":false,\"i\":-12,\"big\":1e30,\"s\":\"a\\n\\u00e9\\ud83d\\ude00\\u0000\","
      "\"a\":[1,[],{}],\"\\u006b\":\"\"}\n");
  EXPECT_TRUE(value.find("n")->is_null());
  EXPECT_TRUE(value.find("t")->as_bool());
  EXPECT_FALSE(value.find("f")->as_bool());
  EXPECT_EQ(value.find("i")->as_int64(), -12);
  EXPECT_EQ(value.find("big")->number_text(), "1e30");
  EXPECT_EQ(value.find("s")->as_string(), std::string_view("a\n\u00e9\U0001F600\0", 9));
  EXPECT_EQ(value.find("a")->as_array().size(), 3u);
  EXPECT_EQ(value.find("k")->as_string(), "");
  EXPECT_EQ(value.find("absent"), nullptr);
  EXPECT_EQ(value.as_object().front().first, "n");
  EXPECT_EQ(value.as_object().back().first, "k");
}

TEST(Json, TakesScalarsAsDocuments) {
  EXPECT_TRUE(parse_json(" null ").is_null());
  EXPECT_TRUE(parse_json("true").as_bool());
  EXPECT_EQ(parse_json("\"a\"").as_string(), "a");
  EXPECT_EQ(parse_json("\n-7\n").as_int64(), -7);
}

TEST(Json, IntegersAreExactAndMayBeWrittenAsDecimals) {
  const auto read = [](const char* text) { return parse_json(text).as_int64(); };
  EXPECT_EQ(read("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(read("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(read("9.007199254740993e15"), 9007199254740993);
  EXPECT_EQ(read("5.0"), 5);
  EXPECT_EQ(read("1e3"), 1000);
  EXPECT_EQ(read("1200E-2"), 12);
  EXPECT_EQ(read("-0"), 0);
  EXPECT_EQ(read("0e999999999999999999999"), 0);
  for (const char* bad : {"5.5", "9223372036854775808", "-9223372036854775809", "1e19",
                          "1e999999999999999999999", "1e-1", "1e-999999999999999999999"}) {
    EXPECT_THROW(read(bad), Error) << bad;
  }
}

TEST(Json, DoublesAreFinite) {
  const auto read = [](const char* text) { return parse_json(text).as_double(); };
  EXPECT_EQ(read("0.1"), 0.1);
  EXPECT_EQ(read("1e-5"), 1e-5);
  EXPECT_EQ(read("5e-324"), 5e-324);
  EXPECT_EQ(read("1e-400"), 0.0);
  EXPECT_EQ(read("1e308"), 1e308);
  EXPECT_THROW(read("1e309"), Error);
  EXPECT_THROW(read("-1e400"), Error);
}

TEST(Json, AWrongKindSaysWhatWasFound) {
  const auto message = [](auto&& read) -> std::string {
    try {
      read();
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  };
  EXPECT_EQ(message([] { parse_json("\"four\"").as_int64(); }), "expected a number, found a string 'four'");
  EXPECT_EQ(message([] { parse_json("4").as_string(); }), "expected a string, found a number '4'");
  EXPECT_EQ(message([] { parse_json("null").as_bool(); }), "expected true or false, found null");
  EXPECT_EQ(message([] { parse_json("{}").as_array(); }), "expected an array, found an object");
  EXPECT_EQ(message([] { parse_json("[]").as_object(); }), "expected an object, found an array");
  EXPECT_EQ(message([] { parse_json("2.5").as_int64(); }), "expected a 64-bit integer, found '2.5'");
}

TEST(Json, EqualityIsOfValuesAndDumpReadsBack) {
  const JsonValue a = parse_json("{\"x\":1.0,\"y\":[true,null,\"\\u0001\\\"\\\\\"]}");
  EXPECT_EQ(a, parse_json("{\"y\":[true,null,\"\\u0001\\\"\\\\\"],\"x\":10e-1}"));
  EXPECT_EQ(a, parse_json(a.dump()));
  EXPECT_EQ(a.dump(), "{\"x\":1.0,\"y\":[true,null,\"\\u0001\\\"\\\\\"]}");
  EXPECT_FALSE(a == parse_json("{\"x\":1,\"z\":[true,null,\"\\u0001\\\"\\\\\"]}"));
  EXPECT_FALSE(a == parse_json("{\"x\":1}"));
  EXPECT_FALSE(parse_json("1") == parse_json("\"1\""));
  EXPECT_FALSE(parse_json("9007199254740992") == parse_json("9007199254740993"));
  EXPECT_FALSE(parse_json("true") == parse_json("false"));
}

TEST(Json, LimitsHold) {
  const std::string deep = std::string(64, '[') + std::string(64, ']');
  EXPECT_EQ(refusal(deep), "");
  EXPECT_NE(refusal("[" + deep + "]").find("deeper than the limit of 64"), std::string::npos);
  EXPECT_NE(refusal(std::string(1'000'000, '[')).find("cut off"), std::string::npos);
  EXPECT_NE(refusal("[1,2,3]", {.max_bytes = 6}).find("limit of 6 bytes"), std::string::npos);
  EXPECT_NE(refusal("[1,\"[,]\\\"\",true]", {.max_tokens = 6}).find("7 JSON tokens"), std::string::npos);
  EXPECT_EQ(refusal("[1,\"[,]\\\"\",true]", {.max_tokens = 7}), "");
  std::string wide = "[";
  for (int i = 0; i < 400'001; ++i)
    wide += "0,";
  wide.back() = ']';
  EXPECT_NE(refusal(wide).find("more than 400000 JSON values"), std::string::npos);
}

TEST(Json, AnInvalidByteIsFoundWhereverItStands) {
  for (const std::string unit : {"x", "\u00e9", "\u4f60", "\U0001F600"}) {
    std::string text = "\"";
    while (text.size() < 4090)
      text += unit;
    for (int i = 0; i < 20; ++i) {
      text += unit;
      for (const std::string tail : {"\xFF\"", "\xE4\xBD\"", "\xFF\u4f60\"", "\xF0\x9F\x98\"  ", "\x80"}) {
        EXPECT_NE(refusal(text + tail).find(fmt::format("at byte {}: invalid UTF-8", text.size())),
                  std::string::npos)
            << refusal(text + tail);
      }
    }
  }
}

TEST(Json, EventsComeInOrderAndABufferNeedsNoCopy) {
  struct Recorder : JsonHandler {
    std::string log;
    void on_null() override { log += "n "; }
    void on_bool(bool value) override { log += value ? "t " : "f "; }
    void on_number(std::string_view text) override { log += fmt::format("{} ", text); }
    void on_string(std::string_view text) override { log += fmt::format("'{}' ", text); }
    void on_key(std::string_view text) override { log += fmt::format("{}: ", text); }
    void on_begin_object() override { log += "{ "; }
    void on_end_object() override { log += "} "; }
    void on_begin_array() override { log += "[ "; }
    void on_end_array() override { log += "] "; }
  };
  const std::string_view text = "{\"a\":[1,true,\"s\"],\"b\\t\":{\"c\":null}}";
  JsonBuffer buffer(text.size());
  std::ranges::copy(std::as_bytes(std::span(text)), buffer.bytes().begin());
  Recorder recorder;
  parse_json_events(buffer, recorder);
  EXPECT_EQ(recorder.log, "{ a: [ 1 t 's' ] b\t: { c: n } } ");
}

}  // namespace
}  // namespace llm2mnn
