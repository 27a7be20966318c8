#include "checkpoint/torch_bin.h"

#include <cstring>
#include <gtest/gtest.h>
#include <iterator>

#include "checkpoint/checkpoint.h"
#include "checkpoint/state_dict.h"
#include "checkpoint/test_support.h"
#include "checkpoint/zip_directory.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(LLM2MNN_SOURCE_DIR) / "tests/fixtures/bin";

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<TensorInfo> read_bin(const std::string& bytes) {
  return read_torch_bin(MemorySource(std::as_bytes(std::span(bytes))));
}

void expect_in(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
  expect_one_line(message);
}

TEST(TorchBin, ReadsAStateDictOfAModel) {
  const std::string bytes = read_all(kFolder / "pass_state_dict.bin");
  const std::vector<TensorInfo> tensors = read_bin(bytes);
  ASSERT_EQ(tensors.size(), 7u);
  const auto find = [&](std::string_view name) {
    for (const TensorInfo& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    ADD_FAILURE() << name;
    return TensorInfo{};
  };
  const TensorInfo embed = find("embed.weight");
  EXPECT_EQ(embed.dtype, DType::kBF16);
  EXPECT_EQ(embed.shape, (Shape{3, 2}));
  EXPECT_EQ(embed.bytes, 12u);
  EXPECT_EQ(find("head.weight").offset, embed.offset);  // tied: the same storage
  EXPECT_EQ(find("half").dtype, DType::kF16);
  EXPECT_EQ(find("scalar").shape, Shape{});
  EXPECT_EQ(find("scalar").bytes, 4u);
  EXPECT_EQ(find("empty").bytes, 0u);
  EXPECT_EQ(find("position_ids").dtype, DType::kI64);
  // The second and third of four rows of three.
  const TensorInfo rows = find("rows");
  EXPECT_EQ(rows.shape, (Shape{2, 3}));
  std::array<float, 6> values{};
  ASSERT_LE(rows.offset + rows.bytes, bytes.size());
  std::memcpy(values.data(), bytes.data() + rows.offset, rows.bytes);
  EXPECT_EQ(values, (std::array<float, 6>{3, 4, 5, 6, 7, 8}));
  std::uint16_t last = 0;
  std::memcpy(&last, bytes.data() + embed.offset + 10, 2);
  EXPECT_EQ(last, 0x40A0);  // bf16 5.0
}

TEST(TorchBin, ReadsParametersAndProtocol4) {
  const std::vector<TensorInfo> tensors = read_bin(read_all(kFolder / "pass_parameter_protocol_4.bin"));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].dtype, DType::kF8E4M3);
  EXPECT_EQ(tensors[1].dtype, DType::kF32);
  EXPECT_EQ(tensors[1].shape, Shape{4});
}

TEST(TorchBin, ReadsShardsByTheirIndex) {
  const TempDir dir;
  for (const char* name : {"config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin",
                           "pytorch_model-00002-of-00002.bin"}) {
    fs::copy_file(kFolder / name, dir.path() / name);
  }
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint.format(), CheckpointFormat::kPyTorchBin);
  ASSERT_EQ(checkpoint.tensors().size(), 2u);
  std::array<float, 2> values{};
  checkpoint.read(0, 0, std::as_writable_bytes(std::span(values)));
  EXPECT_EQ(values, (std::array<float, 2>{0, 1}));
  fs::copy_file(kFolder / "fail_nested.bin", dir.path() / "pytorch_model-00002-of-00002.bin",
                fs::copy_options::overwrite_existing);
  expect_in(outcome_of([&] { Checkpoint::open(dir.path()); }).message,
            "'pytorch_model-00002-of-00002.bin': entry 'state_dict' is a dict");
}

TEST(TorchBin, RefusesByName) {
  const std::vector<std::pair<const char*, const char*>> kFiles = {
      {"fail_transposed.bin", "tensor 't': F32 [3, 4] is a strided view; load the model with transformers"},
      {"fail_nested.bin", "entry 'state_dict' is a dict: the weights must be at the top level"},
      {"fail_number.bin", "entry 'epoch' is an int, not a tensor"},
      {"fail_list.bin", "pickle opcode 0x5d (EMPTY_LIST)"},
      {"fail_uint16.bin", "the Python object 'torch.uint16' is not part"},
      {"fail_legacy.bin", "saved in the form before PyTorch 1.6"},
  };
  for (const auto& [file, message] : kFiles) {
    const Outcome outcome = outcome_of([&, name = file] { read_bin(read_all(kFolder / name)); });
    EXPECT_TRUE(outcome.refused) << file;
    EXPECT_EQ(outcome.kind, ErrorKind::kUnsupported) << file;
    expect_in(outcome.message, message);
  }
}

TEST(TorchBin, KnowsOtherFilesByTheirFirstBytes) {
  const auto message = [](const std::string& bytes) { return outcome_of([&] { read_bin(bytes); }).message; };
  expect_in(message(""), "not a PyTorch file");
  expect_in(message("\x80\x04}."), "a bare pickle");
  expect_in(message("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull");
  expect_in(message("PK\x03\x04"), "no zip directory at its end");
}

TEST(TorchBin, EveryCutIsRefused) {
  const std::string bytes = read_all(kFolder / "pass_state_dict.bin");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Outcome outcome = outcome_of([&] { read_bin(bytes.substr(0, size)); });
    EXPECT_TRUE(outcome.refused) << size;
    EXPECT_NE(outcome.kind, ErrorKind::kInternal) << outcome.message;
  }
}

TEST(TorchBin, EveryFlippedByteIsTakenOrRefusedInOneLine) {
  const std::string bytes = read_all(kFolder / "pass_state_dict.bin");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const unsigned flip : {0x01u, 0x80u, 0xFFu}) {
      std::string broken = bytes;
      broken[i] = static_cast<char>(static_cast<unsigned char>(broken[i]) ^ flip);
      std::vector<TensorInfo> tensors;
      const Outcome outcome = outcome_of([&] { tensors = read_bin(broken); });
      if (outcome.refused) {
        EXPECT_NE(outcome.kind, ErrorKind::kInternal) << outcome.message;
        expect_one_line(outcome.message);
      }
      for (const TensorInfo& tensor : tensors)
        EXPECT_LE(tensor.offset + tensor.bytes, broken.size());
    }
  }
}

// A zip file by hand: what a test wants to spoil is a parameter.
struct Part {
  std::string name;
  std::string data;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t extra_size = 0;  // added to the size in the directory
};

template <typename T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out += static_cast<char>(value >> (8 * i) & 0xFF);
}

std::string zip_of(const std::vector<Part>& parts, const std::string& comment = "") {
  std::string out;
  std::string central;
  for (const Part& part : parts) {
    const auto offset = static_cast<std::uint32_t>(out.size());
    const auto size = static_cast<std::uint32_t>(part.data.size());
    const auto header = [&](std::string& to, std::uint32_t bytes) {
      put(to, part.flags);
      put(to, part.method);
      put(to, std::uint64_t{0});  // time and CRC
      put(to, bytes);
      put(to, bytes);
      put(to, static_cast<std::uint16_t>(part.name.size()));
      put(to, std::uint16_t{0});
    };
    put(out, 0x04034b50u);
    put(out, std::uint16_t{0});
    header(out, size);
    out += part.name + part.data;
    put(central, 0x02014b50u);
    put(central, std::uint32_t{0});
    header(central, size + part.extra_size);
    put(central, std::uint16_t{0});
    put(central, std::uint16_t{0});
    put(central, std::uint16_t{0});
    put(central, std::uint32_t{0});
    put(central, offset);
    central += part.name;
  }
  const auto start = static_cast<std::uint32_t>(out.size());
  out += central;
  put(out, 0x06054b50u);
  put(out, std::uint32_t{0});
  put(out, static_cast<std::uint16_t>(parts.size()));
  put(out, static_cast<std::uint16_t>(parts.size()));
  put(out, static_cast<std::uint32_t>(central.size()));
  put(out, start);
  put(out, static_cast<std::uint16_t>(comment.size()));
  return out + comment;
}

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

std::string archive(const std::string& pickle, const std::string& order = "little") {
  return zip_of({{"m/data.pkl", pickle}, {"m/byteorder", order}, {"m/data/0", std::string(8, '\1')}});
}

TEST(TorchBin, ChecksTheArchive) {
  const std::string empty_dict = "\x80\x02}.";
  EXPECT_TRUE(read_bin(archive(empty_dict)).empty());
  const auto message = [](const std::string& bytes) { return outcome_of([&] { read_bin(bytes); }).message; };
  expect_in(message(archive(empty_dict, "big")), "byte order 'big', only 'little' is read");
  expect_in(message(zip_of({{"data.pkl", empty_dict}})), "no 'data.pkl' in the archive");
  expect_in(message(zip_of({{"a/b/data.pkl", empty_dict}})), "no 'data.pkl' in the archive");
  expect_in(message(zip_of({{"a/data.pkl", empty_dict}, {"b/data.pkl", empty_dict}})),
            "two entries 'data.pkl'");
  expect_in(message(zip_of({{"a/data.pkl", empty_dict}, {"a/constants.pkl", ""}})), "a TorchScript archive");
}

// Pickles by hand. Storage '0' has 8 bytes.
Outcome read_pickle(const std::string& pickle) {
  return outcome_of([&] {
    read_state_dict(pickle, [](std::string_view key) -> std::optional<StorageSpan> {
      if (key != "0") return std::nullopt;
      return StorageSpan{100, 8};
    });
  });
}

std::string text(const std::string& value) {
  return std::string("\x8c") + static_cast<char>(value.size()) + value;
}
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
std::string byte(int value) { return std::string("K") + static_cast<char>(value); }
std::string storage(const std::string& type, int count, const std::string& key = "0") {
  return "(" + text("storage") + global("torch", type) + text(key) + text("cpu") + byte(count) + "tQ";
}
std::string tensor(const std::string& from, int first, const std::string& sizes, const std::string& strides,
                   const std::string& rest = "") {
  return global("torch._utils", "_rebuild_tensor_v2") + "(" + from + byte(first) + sizes + strides + "\x89" +
         global("collections", "OrderedDict") + ")R" + rest + "tR";
}
std::string dict(const std::string& items) { return "\x80\x02}(" + items + "u."; }
std::string one(const std::string& dims) { return dims + "\x85"; }
std::string two(const std::string& a, const std::string& b) { return a + b + "\x86"; }

struct Pickle {
  const char* name;  // fail_* or pass_*
  std::string bytes;
  const char* message = "";
  ErrorKind kind = ErrorKind::kFormat;
};

class StateDict : public testing::TestWithParam<Pickle> {};

TEST_P(StateDict, IsTakenOrRefusedAsItsNameSays) {
  const Pickle& test = GetParam();
  const Outcome outcome = read_pickle(test.bytes);
  const bool expect_pass = std::string_view(test.name).starts_with("pass_");
  EXPECT_EQ(outcome.refused, !expect_pass) << outcome.message;
  if (expect_pass) return;
  EXPECT_EQ(outcome.kind, test.kind);
  expect_in(outcome.message, test.message);
}

using namespace std::string_literals;
constexpr ErrorKind kNo = ErrorKind::kUnsupported;
const std::string kF32x2 = storage("FloatStorage", 2);
const std::string kGood = tensor(kF32x2, 0, one(byte(2)), one(byte(1)));

const Pickle kPickles[] = {
    {"pass_empty", dict("")},
    {"pass_one", dict(text("a") + kGood)},
    {"pass_tied", dict(text("a") + kGood + text("b") + kGood)},
    {"pass_setitem", "\x80\x02}" + text("a") + kGood + "s."},
    {"pass_frame", "\x80\x04\x95" + std::string("\x02\0\0\0\0\0\0\0", 8) + "}."},
    {"pass_memo", "\x80\x02}q\x00("s + text("a") + "r\x01\x00\x00\x00"s + kGood + "\x94u."},
    {"pass_metadata", "\x80\x02" + global("collections", "OrderedDict") + ")R}" + text("_metadata") + "}sb."},
    {"pass_sizes_of_one_with_any_stride",
     dict(text("a") + tensor(kF32x2, 0, two(byte(1), byte(2)), two(byte(7), byte(1))))},
    {"pass_no_elements_with_any_stride",
     dict(text("a") + tensor(kF32x2, 2, two(byte(0), byte(2)), two(byte(7), byte(9))))},
    {"pass_second_half", dict(text("a") + tensor(kF32x2, 1, one(byte(1)), one(byte(1))))},
    {"pass_none_metadata", dict(text("a") + tensor(kF32x2, 0, one(byte(2)), one(byte(1)), "N"))},
    {"pass_long1", dict(text("a") + tensor(kF32x2, 0, one("\x8a\x01\x02"), one("\x8a\x02\x01\0"s)))},
    {"pass_parameter", dict(text("a") + global("torch._utils", "_rebuild_parameter") + "(" + kGood + "\x88" +
                            global("collections", "OrderedDict") + ")RtR")},
    {"fail_empty", "", "cut off"},
    {"fail_no_protocol", "}.", "does not start with a protocol"},
    {"fail_protocol_1", "\x80\x01}.", "pickle protocol 1", kNo},
    {"fail_protocol_6", "\x80\x06}.", "pickle protocol 6", kNo},
    {"fail_cut", "\x80\x02}", "cut off"},
    {"fail_cut_string", "\x80\x02X\xFF\xFF\xFF\xFF"s, "cut off"},
    {"fail_cut_frame", "\x80\x04\x95\x09\0\0\0\0\0\0\0}."s, "a frame is cut off"},
    {"fail_trailing", "\x80\x02}.}", "bytes behind its end"},
    {"fail_two_results", "\x80\x02}}.", "values are left"},
    {"fail_no_result", "\x80\x02.", "a value is missing"},
    {"fail_mark_result", "\x80\x02(.", "a value is missing"},
    {"fail_root_tensor", "\x80\x02" + kGood + ".", "holds a tensor, not a dict", kNo},
    {"fail_root_none", "\x80\x02N.", "holds None, not a dict", kNo},
    {"fail_root_string", "\x80\x02" + text("x") + ".", "holds a string, not a dict", kNo},
    {"fail_system", "\x80\x02" + global("os", "system") + text("true") + "\x85R.",
     "the Python object 'os.system' is not part of a dict of tensors", kNo},
    {"fail_stack_global", "\x80\x04" + text("builtins") + text("eval") + "\x93.", "'builtins.eval'", kNo},
    {"fail_global_without_end",
     "\x80\x02"
     "ctorch\nFloat",
     "a line without end"},
    {"fail_typed_storage", "\x80\x02" + global("torch.storage", "TypedStorage") + ".",
     "'torch.storage.TypedStorage'", kNo},
    {"fail_long_global", "\x80\x02" + global(std::string(5000, '\x1b'), "x") + ".",
     "the Python object '\\x1b", kNo},
    {"fail_list", "\x80\x02]", "pickle opcode 0x5d (EMPTY_LIST)", kNo},
    {"fail_newobj", "\x80\x02" + global("torch", "float") + ")\x81.", "pickle opcode 0x81 (NEWOBJ)", kNo},
    {"fail_inst", "\x80\x02(i", "(INST)", kNo},
    {"fail_ext", "\x80\x02\x82\x01.", "(EXT1)", kNo},
    {"fail_unknown_opcode", "\x80\x02\xFF", "pickle opcode 0xff", kNo},
    {"fail_call_dtype", "\x80\x02" + global("torch", "float32") + ")R.",
     "the Python object 'torch.float32' is called", kNo},
    {"fail_call_storage", "\x80\x02" + global("torch", "FloatStorage") + ")R.",
     "'torch.FloatStorage' is called", kNo},
    {"fail_call_string", "\x80\x02" + text("a") + ")R.", "expected a class, found a string"},
    {"fail_call_without_tuple", "\x80\x02" + global("collections", "OrderedDict") + "NR.",
     "expected a tuple, found None"},
    {"fail_ordered_dict_arguments", "\x80\x02" + global("collections", "OrderedDict") + "N\x85R.",
     "with arguments"},
    {"fail_attribute", "\x80\x02}}" + text("__class__") + "Nsb.", "the attribute '__class__'", kNo},
    {"fail_attribute_number", "\x80\x02}}K\x01Nsb.", "the attribute '?'", kNo},
    {"fail_build_on_tensor", "\x80\x02" + kGood + "}b.", "expected a dict, found a tensor"},
    {"fail_nested", dict(text("state_dict") + "}"), "entry 'state_dict' is a dict", kNo},
    {"fail_none_value", dict(text("a") + "N"), "entry 'a' is None, not a tensor", kNo},
    {"fail_bool_value", dict(text("a") + "\x88"), "entry 'a' is a bool", kNo},
    {"fail_float_value", dict(text("a") + "G" + std::string(8, '\0')), "entry 'a' is a float", kNo},
    {"fail_tuple_value", dict(text("a") + ")"), "entry 'a' is a tuple", kNo},
    {"fail_storage_value", dict(text("a") + kF32x2), "entry 'a' is a storage", kNo},
    {"fail_number_key", dict("K\x01" + kGood), "a key of the dict is an int", kNo},
    {"fail_empty_key", dict(text("") + kGood), "entry '': not a name"},
    {"fail_key_no_utf8", dict(text("\xFF") + kGood), "entry '\\xff': not a name"},
    {"fail_key_twice", dict(text("a") + kGood + text("a") + kGood), "tensor 'a' appears twice"},
    {"fail_odd_items", dict(text("a")), "a value is missing"},
    {"fail_mark_in_items", "\x80\x02}((u.", "for a"},
    {"fail_items_without_mark", "\x80\x02}u.", "a mark is missing"},
    {"fail_tuple_without_mark", "\x80\x02t.", "a mark is missing"},
    {"fail_items_for_tuple", "\x80\x02)NNs.", "items for a tuple, not for a dict"},
    {"fail_tuple_too_long", "\x80\x02N\x86.", "a value is missing"},
    {"fail_memo_hole", "\x80\x02}q\x01.", "memo number is out of order"},
    {"fail_memo_empty", "\x80\x02q\0"s, "a value is missing"},
    {"fail_memo_absent", "\x80\x02h\x05.", "never stored"},
    {"fail_memo_absent_long", "\x80\x02j\xFF\xFF\xFF\xFF.", "never stored"},
    {"fail_long1_long", "\x80\x02\x8a\x09"s + std::string(9, '\1') + ".", "more than 64 bits"},
    {"fail_persistent_none", "\x80\x02NQ.", "expected a tuple, found None"},
    {"fail_persistent_short", "\x80\x02" + text("storage") + "\x85Q.", "no storage"},
    {"fail_persistent_module",
     "\x80\x02(" + text("module") + global("torch", "FloatStorage") + text("0") + text("cpu") + byte(2) +
         "tQ.",
     "no storage"},
    {"fail_persistent_dtype",
     "\x80\x02(" + text("storage") + global("torch", "float32") + text("0") + text("cpu") + byte(2) + "tQ.",
     "no storage"},
    {"fail_storage_absent", "\x80\x02" + storage("FloatStorage", 2, "1") + ".",
     "storage '1' is missing in the archive"},
    {"fail_storage_size", "\x80\x02" + storage("FloatStorage", 3) + ".",
     "storage '0': 3 elements of F32 do not take the 8 bytes"},
    {"fail_storage_negative",
     "\x80\x02(" + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") +
         "J\xFE\xFF\xFF\xFFtQ.",
     "no storage"},
    {"fail_sizes_and_strides", dict(text("a") + tensor(kF32x2, 0, two(byte(1), byte(2)), one(byte(1)))),
     "tensor 'a': 2 sizes and 1 strides"},
    {"fail_size_string", dict(text("a") + tensor(kF32x2, 0, one(text("x")), one(byte(1)))),
     "tensor 'a': a size or stride is not a whole number"},
    {"fail_size_negative", dict(text("a") + tensor(kF32x2, 0, one("J\xFF\xFF\xFF\xFF"), one(byte(1)))),
     "tensor 'a': a size or stride"},
    {"fail_stride", dict(text("a") + tensor(kF32x2, 0, one(byte(2)), one(byte(2)))),
     "tensor 'a': F32 [2] is a strided view", kNo},
    {"fail_expanded", dict(text("a") + tensor(kF32x2, 0, one(byte(2)), one(byte(0)))), "strided view", kNo},
    {"fail_outside", dict(text("a") + tensor(kF32x2, 1, one(byte(2)), one(byte(1)))),
     "tensor 'a': F32 [2] from element 1 does not fit into its storage of 8 bytes"},
    {"fail_outside_empty", dict(text("a") + tensor(kF32x2, 3, one(byte(0)), one(byte(1)))), "does not fit"},
    {"fail_overflow",
     dict(text("a") + tensor(kF32x2, 0, two("\x8a\x08\0\0\0\0\0\0\0\x40"s, byte(8)), two(byte(8), byte(1)))),
     "64 bits"},
    {"fail_conjugate",
     dict(text("a") + tensor(kF32x2, 0, one(byte(2)), one(byte(1)), "}" + text("conj") + "\x88s")),
     "a tensor with metadata", kNo},
    {"fail_tensor_arguments", "\x80\x02" + global("torch._utils", "_rebuild_tensor_v2") + ")R.",
     "a tensor with wrong arguments"},
    {"fail_v2_untyped", dict(text("a") + tensor(storage("UntypedStorage", 8), 0, one(byte(2)), one(byte(1)))),
     "a tensor without dtype"},
    {"fail_v3_no_dtype",
     "\x80\x02" + global("torch._utils", "_rebuild_tensor_v3") + "(" + kF32x2 + byte(0) + one(byte(2)) +
         one(byte(1)) + "\x89}NtR.",
     "a tensor with wrong arguments"},
    {"fail_parameter_of_none", "\x80\x02" + global("torch._utils", "_rebuild_parameter") + "NNN\x87R.",
     "a parameter that is no tensor"},
    {"fail_stack", "\x80\x02" + std::string(70'000, '('), "more than 65536 values on the pickle's stack",
     kNo},
};

INSTANTIATE_TEST_SUITE_P(Table, StateDict, testing::ValuesIn(kPickles),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(TorchBin, APickleBombStopsAtItsLimits) {
  std::string bomb = "\x80\x02}q";
  bomb += '\0';
  for (int i = 0; i < 1'100'000; ++i)
    bomb += "h\0NNs"s.substr(0, 2) + "K\1K\2s"s;
  const Outcome outcome = read_pickle(bomb);
  EXPECT_TRUE(outcome.refused);
  expect_in(outcome.message, "values");
}

}  // namespace
}  // namespace llm2mnn
