#include "checkpoint/pickle_machine.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/checked.h"

namespace llm2mnn::pickle {
namespace {

// Pickle sets items in batches of 1000 pairs; tuples have as many items as a tensor has dimensions.
constexpr std::size_t kMaxStack = 65'536;
// Of the tables, in units of 16 bytes, and of memo entries, of 16 bytes too: 32 MB each. torch.save makes 25
// units and 8 entries for a tensor: room for 80,000 tensors in one file.
constexpr std::size_t kMaxUnits = 2'000'000;

constexpr std::array<Global, 33> kGlobals = {{
    {"collections", "OrderedDict", GlobalKind::kOrderedDict, {}},
    {"torch._utils", "_rebuild_tensor_v2", GlobalKind::kTensorV2, {}},
    {"torch._utils", "_rebuild_tensor_v3", GlobalKind::kTensorV3, {}},
    {"torch._utils", "_rebuild_parameter", GlobalKind::kParameter, {}},
    {"torch", "FloatStorage", GlobalKind::kStorageType, DType::kF32},
    {"torch", "HalfStorage", GlobalKind::kStorageType, DType::kF16},
    {"torch", "BFloat16Storage", GlobalKind::kStorageType, DType::kBF16},
    {"torch", "DoubleStorage", GlobalKind::kStorageType, DType::kF64},
    {"torch", "LongStorage", GlobalKind::kStorageType, DType::kI64},
    {"torch", "IntStorage", GlobalKind::kStorageType, DType::kI32},
    {"torch", "ShortStorage", GlobalKind::kStorageType, DType::kI16},
    {"torch", "CharStorage", GlobalKind::kStorageType, DType::kI8},
    {"torch", "ByteStorage", GlobalKind::kStorageType, DType::kU8},
    {"torch", "BoolStorage", GlobalKind::kStorageType, DType::kBool},
    {"torch.storage", "UntypedStorage", GlobalKind::kStorageType, {}},
    {"torch", "UntypedStorage", GlobalKind::kStorageType, {}},
    {"torch", "float32", GlobalKind::kDType, DType::kF32},
    {"torch", "float", GlobalKind::kDType, DType::kF32},
    {"torch", "float16", GlobalKind::kDType, DType::kF16},
    {"torch", "half", GlobalKind::kDType, DType::kF16},
    {"torch", "bfloat16", GlobalKind::kDType, DType::kBF16},
    {"torch", "float64", GlobalKind::kDType, DType::kF64},
    {"torch", "double", GlobalKind::kDType, DType::kF64},
    {"torch", "int64", GlobalKind::kDType, DType::kI64},
    {"torch", "long", GlobalKind::kDType, DType::kI64},
    {"torch", "int32", GlobalKind::kDType, DType::kI32},
    {"torch", "int", GlobalKind::kDType, DType::kI32},
    {"torch", "int16", GlobalKind::kDType, DType::kI16},
    {"torch", "int8", GlobalKind::kDType, DType::kI8},
    {"torch", "uint8", GlobalKind::kDType, DType::kU8},
    {"torch", "bool", GlobalKind::kDType, DType::kBool},
    {"torch", "float8_e4m3fn", GlobalKind::kDType, DType::kF8E4M3},
    {"torch", "float8_e5m2", GlobalKind::kDType, DType::kF8E5M2},
}};

// Opcodes of CPython's pickletools that a state dict does not need.
std::string_view opcode_text(std::uint8_t opcode) {
  constexpr std::array<std::pair<std::uint8_t, std::string_view>, 20> kNames = {{
      {']', "EMPTY_LIST"},     {'l', "LIST"},        {'a', "APPEND"},          {'e', "APPENDS"},
      {'i', "INST"},           {'o', "OBJ"},         {0x81, "NEWOBJ"},         {0x92, "NEWOBJ_EX"},
      {'P', "PERSID"},         {'d', "DICT"},        {0x8f, "EMPTY_SET"},      {0x91, "FROZENSET"},
      {0x82, "EXT1"},          {0x83, "EXT2"},       {0x84, "EXT4"},           {'B', "BINBYTES"},
      {'C', "SHORT_BINBYTES"}, {0x96, "BYTEARRAY8"}, {'U', "SHORT_BINSTRING"}, {'0', "POP"},
  }};
  for (const auto& [code, name] : kNames) {
    if (code == opcode) return name;
  }
  return "an opcode of another kind of object";
}

}  // namespace

std::string_view kind_text(Kind kind) {
  constexpr std::array<std::string_view, 11> kTexts = {"a mark",  "None",      "a bool",  "an int",
                                                       "a float", "a string",  "a tuple", "a dict",
                                                       "a class", "a storage", "a tensor"};
  return kTexts.at(static_cast<std::size_t>(kind));
}

void Machine::broken(std::string_view problem) const {
  fail(ErrorKind::kFormat, "broken pickle at byte {}: {}", position_, problem);
}

std::string_view Machine::take(std::uint64_t count) {
  if (count > pickle_.size() - position_) broken("it is cut off");
  const std::string_view out = pickle_.substr(position_, static_cast<std::size_t>(count));
  position_ += out.size();
  return out;
}

std::string_view Machine::take_line() {
  const std::size_t end = pickle_.find('\n', position_);
  if (end == std::string_view::npos) broken("a line without end");
  const std::string_view line = take(end - position_);
  take(1);
  return line;
}

template <typename T>
T Machine::number() {
  T value = 0;
  std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
  return value;
}

std::string_view Machine::text(const Value& string) const {
  return pickle_.substr(static_cast<std::size_t>(string.data), string.size);
}

std::span<const Value> Machine::items(const Value& tuple) const {
  return std::span(items_).subspan(static_cast<std::size_t>(tuple.data), tuple.size);
}

Value Machine::run() {
  if (number<std::uint8_t>() != 0x80) broken("it does not start with a protocol number");
  const auto protocol = number<std::uint8_t>();
  if (protocol < 2 || protocol > 5) {
    fail(ErrorKind::kUnsupported, "pickle protocol {}, expected 2 to 5; {}", protocol, kResave);
  }
  while (true) {
    const auto opcode = number<std::uint8_t>();
    if (opcode == '.') break;
    step(opcode);
  }
  if (position_ != pickle_.size()) broken("bytes behind its end");
  const Value root = pop();
  if (!stack_.empty()) broken("values are left behind its result");
  return root;
}

void Machine::step(std::uint8_t opcode) {
  if (step_scalar(opcode) || step_memo(opcode) || step_container(opcode)) return;
  switch (opcode) {
    case 0x95:  // FRAME: only a hint for buffered readers
      if (number<std::uint64_t>() > pickle_.size() - position_) broken("a frame is cut off");
      return;
    case 'c': {
      const std::string_view module = take_line();
      return push_global(module, take_line());
    }
    case 0x93: {  // STACK_GLOBAL
      const Value name = pop(Kind::kString);
      return push_global(text(pop(Kind::kString)), text(name));
    }
    case 'Q':
      return push_storage();
    case 'R':
      return reduce();
    case 'b':
      return build();
    default:
      fail(ErrorKind::kUnsupported,
           "pickle opcode 0x{:02x} ({}) at byte {} is not part of a dict of tensors; {}", opcode,
           opcode_text(opcode), position_ - 1, kResave);
  }
}

bool Machine::step_scalar(std::uint8_t opcode) {
  switch (opcode) {
    case 'N':
      push({Kind::kNone, 0, 0});
      return true;
    case 0x88:
    case 0x89:
      push({Kind::kBool, 0, opcode == 0x88 ? 1u : 0u});
      return true;
    case 'K':
      push_int(number<std::uint8_t>());
      return true;
    case 'M':
      push_int(number<std::uint16_t>());
      return true;
    case 'J':
      push_int(number<std::int32_t>());
      return true;
    case 0x8a:  // LONG1
      push_long(number<std::uint8_t>());
      return true;
    case 'G':  // never read: only tensors are
      push({Kind::kFloat, 0, number<std::uint64_t>()});
      return true;
    case 0x8c:
      push_string(take(number<std::uint8_t>()));
      return true;
    case 'X':
      push_string(take(number<std::uint32_t>()));
      return true;
    case 0x8d:
      push_string(take(number<std::uint64_t>()));
      return true;
    default:
      return false;
  }
}

bool Machine::step_memo(std::uint8_t opcode) {
  switch (opcode) {
    case 'q':
      put(number<std::uint8_t>());
      return true;
    case 'r':
      put(number<std::uint32_t>());
      return true;
    case 0x94:  // MEMOIZE
      put(memo_.size());
      return true;
    case 'h':
      get(number<std::uint8_t>());
      return true;
    case 'j':
      get(number<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

bool Machine::step_container(std::uint8_t opcode) {
  switch (opcode) {
    case '(':
      push({Kind::kMark, 0, 0});
      return true;
    case ')':
      push_tuple(0);
      return true;
    case 0x85:
    case 0x86:
    case 0x87:  // TUPLE1 to TUPLE3
      push_tuple(opcode - 0x84u);
      return true;
    case 't': {
      const std::size_t count = items_above_mark();
      stack_.erase(stack_.end() - static_cast<std::ptrdiff_t>(count) - 1);
      push_tuple(count);
      return true;
    }
    case '}':
      push_dict();
      return true;
    case 's':
      set_items(2);
      return true;
    case 'u': {
      const std::size_t count = items_above_mark();
      stack_.erase(stack_.end() - static_cast<std::ptrdiff_t>(count) - 1);
      set_items(count);
      return true;
    }
    default:
      return false;
  }
}

void Machine::push(Value value) {
  if (stack_.size() == kMaxStack) {
    fail(ErrorKind::kUnsupported, "more than {} values on the pickle's stack; {}", kMaxStack, kResave);
  }
  stack_.push_back(value);
}

Value Machine::pop() {
  if (stack_.empty()) broken("a value is missing");
  const Value value = stack_.back();
  stack_.pop_back();
  if (value.kind == Kind::kMark) broken("a value is missing");
  return value;
}

Value Machine::pop(Kind kind) {
  const Value value = pop();
  if (value.kind != kind)
    broken(fmt::format("expected {}, found {}", kind_text(kind), kind_text(value.kind)));
  return value;
}

void Machine::count_units(std::size_t count) {
  num_units_ += count;
  if (num_units_ > kMaxUnits) {
    fail(ErrorKind::kUnsupported, "more than {} values in the pickle; {}", kMaxUnits, kResave);
  }
}

void Machine::push_string(std::string_view string) {
  push({Kind::kString, checked_cast<std::uint32_t>(string.size()),
        static_cast<std::uint64_t>(string.data() - pickle_.data())});
}

void Machine::push_long(std::size_t num_bytes) {
  if (num_bytes > sizeof(std::int64_t)) broken("an integer of more than 64 bits");
  const std::string_view bytes = take(num_bytes);
  // Two's complement, so the sign fills up.
  std::int64_t value = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80u) != 0 ? -1 : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  push_int(value);
}

// From the top `count` values of the stack.
void Machine::push_tuple(std::size_t count) {
  count_units(count);
  const auto start = static_cast<std::uint64_t>(items_.size());
  items_.resize(items_.size() + count);
  for (std::size_t i = items_.size(); i > start; --i)
    items_[i - 1] = pop();
  push({Kind::kTuple, static_cast<std::uint32_t>(count), start});
}

void Machine::push_dict() {
  count_units(2);
  dicts_.emplace_back();
  push({Kind::kDict, 0, dicts_.size() - 1});
}

void Machine::push_global(std::string_view module, std::string_view name) {
  const auto found = std::find_if(kGlobals.begin(), kGlobals.end(), [&](const Global& global) {
    return global.module == module && global.name == name;
  });
  if (found == kGlobals.end()) {
    fail(ErrorKind::kUnsupported, "the Python object {} is not part of a dict of tensors; {}",
         shown(fmt::format("{}.{}", module.substr(0, 200), name.substr(0, 200))), kResave);
  }
  push({Kind::kGlobal, 0, static_cast<std::uint64_t>(found - kGlobals.begin())});
}

// The values above the last mark.
std::size_t Machine::items_above_mark() const {
  const auto mark =
      std::find_if(stack_.rbegin(), stack_.rend(), [](const Value& v) { return v.kind == Kind::kMark; });
  if (mark == stack_.rend()) broken("a mark is missing");
  return static_cast<std::size_t>(mark - stack_.rbegin());
}

// The top `count` values are keys and values of the dict below them.
void Machine::set_items(std::size_t count) {
  if (count % 2 != 0 || count >= stack_.size()) broken("a value is missing");
  count_units(count);
  const std::size_t start = stack_.size() - count;
  const Value dict = stack_[start - 1];
  if (dict.kind != Kind::kDict) broken(fmt::format("items for {}, not for a dict", kind_text(dict.kind)));
  for (std::size_t i = start; i < stack_.size(); i += 2) {
    if (stack_[i].kind == Kind::kMark || stack_[i + 1].kind == Kind::kMark) broken("a value is missing");
    dicts_[dict.data].emplace_back(stack_[i], stack_[i + 1]);
  }
  stack_.resize(start);
}

void Machine::put(std::uint64_t idx) {
  if (stack_.empty() || stack_.back().kind == Kind::kMark) broken("a value is missing");
  // Picklers count upwards, so that the memo has no holes.
  if (idx > memo_.size() || memo_.size() == kMaxUnits) broken("a memo number is out of order or too large");
  if (idx == memo_.size()) memo_.emplace_back();
  memo_[static_cast<std::size_t>(idx)] = stack_.back();
}

void Machine::get(std::uint64_t idx) {
  if (idx >= memo_.size()) broken("a memo number that was never stored");
  push(memo_[static_cast<std::size_t>(idx)]);
}

// The only attribute that torch.save gives to a dict: version numbers of the modules, of no use here.
void Machine::build() {
  const Value state = pop(Kind::kDict);
  const Value object = pop(Kind::kDict);
  for (const auto& [key, value] : members(state)) {
    const std::string_view name = key.kind == Kind::kString ? text(key) : "?";
    if (name != "_metadata") {
      fail(ErrorKind::kUnsupported, "the attribute {} of the dict is not known; {}", shown(name), kResave);
    }
  }
  push(object);
}

// ('storage', type, key, device, number of elements)
void Machine::push_storage() {
  const Value id = pop(Kind::kTuple);
  const std::span<const Value> fields = items(id);
  if (fields.size() != 5 || fields[0].kind != Kind::kString || text(fields[0]) != "storage" ||
      fields[1].kind != Kind::kGlobal || kGlobals[fields[1].data].kind != GlobalKind::kStorageType ||
      fields[2].kind != Kind::kString || fields[4].kind != Kind::kInt || fields[4].as_int() < 0) {
    broken("a reference to something that is no storage");
  }
  const std::string_view key = text(fields[2]);
  const std::optional<StorageSpan> span = find_storage_(key);
  if (!span) fail(ErrorKind::kFormat, "storage {} is missing in the archive; download it again", shown(key));
  const std::optional<DType> dtype = kGlobals[fields[1].data].dtype;
  std::int64_t bytes = 0;
  if (!checked_mul(fields[4].as_int(), dtype ? dtype_bytes(*dtype) : 1, bytes) ||
      static_cast<std::uint64_t>(bytes) != span->bytes) {
    fail(ErrorKind::kFormat, "storage {}: {} elements of {} do not take the {} bytes of its entry",
         shown(key), fields[4].as_int(), dtype ? dtype_name(*dtype) : "U8", span->bytes);
  }
  count_units(2);
  storages_.push_back({*span, dtype});
  push({Kind::kStorage, 0, storages_.size() - 1});
}

void Machine::reduce() {
  const Value args = pop(Kind::kTuple);
  const Global& callee = kGlobals[pop(Kind::kGlobal).data];
  const std::span<const Value> fields = items(args);
  switch (callee.kind) {
    case GlobalKind::kOrderedDict:
      if (!fields.empty()) broken("an OrderedDict with arguments");
      return push_dict();
    case GlobalKind::kTensorV2:
      return rebuild_tensor(fields, false);
    case GlobalKind::kTensorV3:
      return rebuild_tensor(fields, true);
    case GlobalKind::kParameter:  // (tensor, requires_grad, hooks)
      if (fields.size() != 3 || fields[0].kind != Kind::kTensor) broken("a parameter that is no tensor");
      return push(fields[0]);
    default:
      fail(ErrorKind::kUnsupported, "the Python object {} is called; {}",
           shown(fmt::format("{}.{}", callee.module, callee.name)), kResave);
  }
}

// (storage, first element, sizes, strides, requires_grad, hooks[, dtype][, metadata])
void Machine::rebuild_tensor(std::span<const Value> args, bool has_dtype) {
  const std::size_t num_needed = has_dtype ? 7 : 6;
  if (args.size() < num_needed || args.size() > num_needed + 1 || args[0].kind != Kind::kStorage ||
      args[1].kind != Kind::kInt || args[1].as_int() < 0 || args[2].kind != Kind::kTuple ||
      args[3].kind != Kind::kTuple) {
    broken("a tensor with wrong arguments");
  }
  // The metadata hold the conjugate and negative bits: the stored numbers would not be the tensor's.
  if (args.size() > num_needed && args.back().kind != Kind::kNone &&
      !(args.back().kind == Kind::kDict && members(args.back()).empty())) {
    fail(ErrorKind::kUnsupported, "a tensor with metadata (a lazy conjugate or negative); {}", kResave);
  }
  const Storage& storage = storages_[args[0].data];
  std::optional<DType> dtype = storage.dtype;
  if (has_dtype) {
    if (args[6].kind != Kind::kGlobal || kGlobals[args[6].data].kind != GlobalKind::kDType) {
      broken("a tensor with wrong arguments");
    }
    dtype = kGlobals[args[6].data].dtype;
  }
  if (!dtype) broken("a tensor without dtype");
  count_units(4);
  tensors_.push_back({*dtype, storage.span, static_cast<std::uint64_t>(args[1].as_int()), args[2], args[3]});
  push({Kind::kTensor, 0, tensors_.size() - 1});
}

}  // namespace llm2mnn::pickle
