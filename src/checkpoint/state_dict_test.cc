#include "checkpoint/state_dict.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "checkpoint/test_support.h"

namespace llm2mnn {
namespace {

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

TEST(StateDictLimits, APickleBombStopsAtItsLimits) {
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
