#include "checkpoint/zip_directory.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "checkpoint/test_support.h"

namespace llm2mnn {
namespace {

TEST(ZipDirectory, ReadsEntriesAndAComment) {
  const std::string bytes =
      zip_of({{"b", "xyz"}, {"a", ""}}, "a comment with PK\x05\x06 in it, and more text");
  const ZipDirectory directory = ZipDirectory::read(MemorySource(std::as_bytes(std::span(bytes))));
  ASSERT_EQ(directory.entries().size(), 2u);
  EXPECT_EQ(directory.entries()[0].name, "a");
  ASSERT_NE(directory.find("b"), nullptr);
  EXPECT_EQ(bytes.substr(directory.find("b")->offset, directory.find("b")->bytes), "xyz");
  EXPECT_EQ(directory.find("c"), nullptr);
}

TEST(ZipDirectory, RefusesByName) {
  const auto message = [](const std::string& bytes, ErrorKind kind = ErrorKind::kFormat) {
    const Outcome outcome =
        outcome_of([&] { ZipDirectory::read(MemorySource(std::as_bytes(std::span(bytes)))); });
    EXPECT_EQ(outcome.kind, kind) << outcome.message;
    return outcome.message;
  };
  expect_in(message(zip_of({{"a", "x", 1}}), ErrorKind::kUnsupported), "zip entry 'a' is encrypted");
  expect_in(message(zip_of({{"a", "x", 0, 8}}), ErrorKind::kUnsupported),
            "zip entry 'a' is compressed (method 8)");
  expect_in(message(zip_of({{"a", "x"}, {"a", "y"}})), "zip entry 'a' appears twice");
  expect_in(message(zip_of({{"a", "x", 0, 0, 1}, {"b", "y"}})), "zip entries 'a' and 'b' overlap");
  expect_in(message(zip_of({{"a", "x"}, {"b", "y", 0, 0, 1}})), "zip entry 'b': 2 bytes at byte");
  expect_in(message(zip_of({{"a", "x"}}) + "x"), "no zip directory at its end");
  std::string other_name = zip_of({{"a", "x"}});
  other_name[30] = 'b';
  expect_in(message(other_name), "zip entry 'a': its header at byte 0 does not agree");
  std::string parts = zip_of({{"a", "x"}});
  parts[parts.size() - 18] = 1;
  expect_in(message(parts, ErrorKind::kUnsupported), "in several parts");
  std::string fewer = zip_of({{"a", "x"}, {"b", "y"}});
  fewer[fewer.size() - 14] = 1;
  fewer[fewer.size() - 12] = 1;
  expect_in(message(fewer), "bytes behind its last entry");
}

// A file with a hole of 5 GiB between its first and its last bytes.
class SparseSource : public ByteSource {
 public:
  SparseSource(std::string head, std::string tail) : head_(std::move(head)), tail_(std::move(tail)) {}
  std::uint64_t size() const override { return kTailStart + tail_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    ASSERT_LE(offset + out.size(), size());
    for (std::byte& byte : out) {
      byte = offset < head_.size()  ? static_cast<std::byte>(head_[offset])
             : offset >= kTailStart ? static_cast<std::byte>(tail_[offset - kTailStart])
                                    : std::byte{0};
      ++offset;
    }
  }
  static constexpr std::uint64_t kTailStart = 5ull << 30;

 private:
  std::string head_;
  std::string tail_;
};

// Both header forms of an entry, with its true size and offset in a zip64 field where they need one.
std::string large_header(bool is_local, const std::string& name, std::uint64_t bytes, std::uint64_t offset) {
  const auto small = [](std::uint64_t value) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xFFFFFFFF));
  };
  std::string extra;
  if (!is_local && bytes >= 0xFFFFFFFF) {
    put(extra, bytes);
    put(extra, bytes);
  }
  if (!is_local && offset >= 0xFFFFFFFF) put(extra, offset);
  std::string field;
  if (!extra.empty()) {
    put(field, std::uint32_t{0x00024746});  // a field of another kind first: "FG", two bytes
    put(field, std::uint16_t{0});
    put(field, std::uint16_t{1});
    put(field, static_cast<std::uint16_t>(extra.size()));
    field += extra;
  }
  std::string out;
  put(out, is_local ? 0x04034b50u : 0x02014b50u);
  if (!is_local) put(out, std::uint16_t{0});
  put(out, std::uint16_t{0});
  put(out, std::uint32_t{0});  // flags and method
  put(out, std::uint64_t{0});  // time and CRC
  put(out, is_local ? 0u : small(bytes));
  put(out, is_local ? 0u : small(bytes));
  put(out, static_cast<std::uint16_t>(name.size()));
  put(out, static_cast<std::uint16_t>(field.size()));
  if (!is_local) {
    put(out, std::uint64_t{0});  // comment, part, internal attributes, half of the external ones
    put(out, std::uint16_t{0});
    put(out, small(offset));
  }
  return out + name + field;
}

SparseSource large_zip(std::uint64_t record_shift = 0) {
  const std::string first = large_header(true, "m/data/0", 0, 0);
  const std::uint64_t first_bytes = SparseSource::kTailStart - first.size();
  std::string tail = large_header(true, "m/data/1", 0, 0) + "12345678";
  std::string central = large_header(false, "m/data/0", first_bytes, 0) +
                        large_header(false, "m/data/1", 8, SparseSource::kTailStart);
  const std::uint64_t central_start = SparseSource::kTailStart + tail.size();
  std::string end;
  put(end, 0x06064b50u);
  put(end, std::uint64_t{44});
  put(end, std::uint32_t{0});
  put(end, std::uint64_t{0});
  put(end, std::uint64_t{2});
  put(end, std::uint64_t{2});
  put(end, std::uint64_t{central.size()});
  put(end, central_start);
  put(end, 0x07064b50u);
  put(end, std::uint32_t{0});
  put(end, central_start + central.size() + record_shift);
  put(end, std::uint32_t{1});
  put(end, 0x06054b50u);
  put(end, std::uint32_t{0});
  put(end, std::uint32_t{0xFFFFFFFF});
  put(end, std::uint64_t{0xFFFFFFFFFFFFFFFF});
  put(end, std::uint16_t{0});
  return {first, tail + central + end};
}

TEST(ZipDirectory, ReadsFilesBeyondFourGigabytes) {
  const SparseSource source = large_zip();
  const ZipDirectory directory = ZipDirectory::read(source);
  ASSERT_NE(directory.find("m/data/0"), nullptr);
  ASSERT_NE(directory.find("m/data/1"), nullptr);
  EXPECT_EQ(directory.find("m/data/0")->offset, 38u);
  EXPECT_EQ(directory.find("m/data/0")->bytes, (5ull << 30) - 38);
  EXPECT_EQ(directory.find("m/data/1")->offset, (5ull << 30) + 38);
  std::string bytes(8, ' ');
  source.read(directory.find("m/data/1")->offset, std::as_writable_bytes(std::span(bytes)));
  EXPECT_EQ(bytes, "12345678");
  expect_in(outcome_of([] { ZipDirectory::read(large_zip(1)); }).message,
            "the zip64 record is said to be at byte");
}

}  // namespace
}  // namespace llm2mnn
