#include "convert/json_fields.h"

#include <gtest/gtest.h>

namespace llm2mnn {
namespace {

const JsonValue& document() {
  static const JsonValue value = parse_json(
      R"({"text": "a", "size": 7, "negative": -1, "large": 4294967295, "number": 0.5, "flag": true, "none": null,
          "texts": ["a", "b"], "mixed": ["a", 1], "object": {"size": 1}})");
  return value;
}

template <typename Call>
std::string message_of(Call call) {
  try {
    call(Fields(document()));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFormat);
    return error.message();
  }
  return "(no error)";
}

TEST(Fields, AreRead) {
  const Fields fields(document());
  EXPECT_EQ(fields.text("text"), "a");
  EXPECT_EQ(fields.text_or("text", "b"), "a");
  EXPECT_EQ(fields.text_or("none", "b"), "b");
  EXPECT_EQ(fields.text_or("absent", "b"), "b");
  EXPECT_EQ(fields.size("size"), 7);
  EXPECT_EQ(fields.id("size"), 7U);
  EXPECT_EQ(fields.number("number"), 0.5);
  EXPECT_TRUE(fields.flag("flag"));
  EXPECT_TRUE(fields.at("none").is_null());
  EXPECT_EQ(fields.texts("texts"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.list("mixed").size(), 2U);
  EXPECT_EQ(fields.object("object").size("size"), 1);
  EXPECT_EQ(tuple(fields.at("texts"), 2).size(), 2U);
}

// One naming of the key each.
TEST(Fields, NameTheKeyOfWhatIsWrong) {
  EXPECT_EQ(message_of([](const Fields& f) { f.text("absent"); }), "'absent' is missing");
  EXPECT_EQ(message_of([](const Fields& f) { f.list("absent"); }), "'absent' is missing");
  EXPECT_EQ(message_of([](const Fields& f) { f.object("absent"); }), "'absent' is missing");
  EXPECT_EQ(message_of([](const Fields& f) { f.size("negative"); }), "'negative' is -1; expected 0 or more");
  EXPECT_EQ(message_of([](const Fields& f) { f.id("large"); }), "'large' is 4294967295, no index");
  const auto names = [](const std::string& message, const std::string& key) {
    EXPECT_TRUE(message.starts_with("'" + key + "': expected ")) << message;
  };
  names(message_of([](const Fields& f) { f.text("size"); }), "size");
  names(message_of([](const Fields& f) { f.text_or("size", ""); }), "size");
  names(message_of([](const Fields& f) { f.size("number"); }), "number");
  names(message_of([](const Fields& f) { f.size("text"); }), "text");
  names(message_of([](const Fields& f) { f.number("flag"); }), "flag");
  names(message_of([](const Fields& f) { f.flag("none"); }), "none");
  names(message_of([](const Fields& f) { f.list("object"); }), "object");
  names(message_of([](const Fields& f) { f.object("texts"); }), "texts");
  names(message_of([](const Fields& f) { f.texts("mixed"); }), "mixed");
  EXPECT_EQ(message_of([](const Fields& f) { tuple(f.at("texts"), 3); }), "a list of 2 items; expected 3");
}

TEST(Fields, AreOfAnObject) { EXPECT_THROW(Fields(document().find("texts")[0]), Error); }

}  // namespace
}  // namespace llm2mnn
