#include "formats/onnx/model_builder.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <set>

#include "base/error.h"

namespace llm2mnn::onnx {
namespace {

proto::Model parsed(const OnnxModel& model) {
  proto::Model out;
  EXPECT_TRUE(out.ParseFromString(model.bytes));
  return out;
}

std::string external(const proto::Tensor& tensor, const std::string& key) {
  for (const proto::StringEntry& entry : tensor.external_data())
    if (entry.key() == key) return entry.value();
  return "none";
}

std::string bytes_of(const ConstBlob& blob) {
  std::string bytes;
  for_each_piece(blob, [&](std::uint64_t begin, std::span<const std::byte> piece) {
    EXPECT_EQ(begin, bytes.size());
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return true;
  });
  return bytes;
}

TEST(ModelBuilder, TheDefaultDomainComesFirst) {
  GraphBuilder net({.opset = 18});
  net.import_domain("com.microsoft", 1);
  const proto::Model model = parsed(net.finish());
  ASSERT_EQ(model.opset_import_size(), 2);
  EXPECT_EQ(model.opset_import(0).domain(), "");
  EXPECT_EQ(model.opset_import(0).version(), 18);
  EXPECT_EQ(model.ir_version(), 8);
  EXPECT_EQ(parsed(GraphBuilder({.opset = 21}).finish()).ir_version(), 10);
}

TEST(ModelBuilder, EveryBlobBeginsOnAPage) {
  GraphBuilder net({});
  EXPECT_EQ(net.reserve("a", ElemType::kFloat, {1, 1}, 4), 0u);
  EXPECT_EQ(net.reserve("b", ElemType::kFloat, {1024}, 4096), 4096u);
  EXPECT_EQ(net.reserve("c", ElemType::kFloat, {1025}, 4100), 8192u);
  EXPECT_EQ(net.reserve("d", ElemType::kFloat, {1}, 4), 16384u);
  const OnnxModel model = net.finish();
  EXPECT_EQ(model.layout.total_bytes, 16388u);
  const proto::Tensor tensor = parsed(model).graph().initializer(2);
  EXPECT_EQ(tensor.data_location(), 1);
  EXPECT_EQ(external(tensor, "location"), "llm.onnx.data");
  EXPECT_EQ(external(tensor, "offset"), "8192");
  EXPECT_EQ(external(tensor, "length"), "4100");
}

TEST(ModelBuilder, OffsetsGoBeyondFourGiB) {
  GraphBuilder net({});
  constexpr std::uint64_t kLarge = 5ull << 30;
  net.reserve("large", ElemType::kFloat, {1 << 16, 20480}, kLarge);
  EXPECT_EQ(net.reserve("after", ElemType::kFloat, {1}, 4), kLarge);
  EXPECT_EQ(external(parsed(net.finish()).graph().initializer(1), "offset"), "5368709120");
}

TEST(ModelBuilder, TensorsOfAKibibyteGoOutAndSmallerOnesStay) {
  GraphBuilder net({});
  net.initializer("small", ElemType::kFloat, {255}, std::string(1020, 'x'));
  net.initializer("large", ElemType::kFloat, {256}, std::string(1024, 'y'));
  const OnnxModel model = net.finish();
  const proto::Model file = parsed(model);
  EXPECT_EQ(file.graph().initializer(0).raw_data(), std::string(1020, 'x'));
  EXPECT_FALSE(file.graph().initializer(1).has_raw_data());
  ASSERT_EQ(model.layout.consts.size(), 1u);
  EXPECT_EQ(bytes_of(model.layout.consts[0]), std::string(1024, 'y'));
  EXPECT_EQ(external(file.graph().initializer(1), "length"), "1024");
}

TEST(ModelBuilder, FloatsCanBeMadeWhenTheyAreWritten) {
  // Three pieces, the last one short; every value tells its place.
  const auto make = [](std::uint64_t begin, std::span<std::byte> out) {
    for (std::size_t i = 0; i < out.size(); i += sizeof(float)) {
      const auto value = static_cast<float>(begin + i);
      std::memcpy(out.data() + i, &value, sizeof value);
    }
  };
  const auto expected = [&](std::uint64_t bytes) {
    std::string all(bytes, '\0');
    make(0, std::as_writable_bytes(std::span(all)));
    return all;
  };
  constexpr std::int64_t kLarge = (2 << 18) + 3;
  GraphBuilder net({});
  net.initializer("small", {5, 51}, make);
  net.initializer("large", {kLarge}, make);
  const OnnxModel model = net.finish();
  const proto::Model file = parsed(model);
  EXPECT_EQ(file.graph().initializer(0).raw_data(), expected(1020));
  ASSERT_EQ(model.layout.consts.size(), 1u);
  EXPECT_EQ(bytes_of(model.layout.consts[0]), expected(4 * kLarge));
  EXPECT_EQ(external(file.graph().initializer(1), "length"), std::to_string(4 * kLarge));
}

TEST(ModelBuilder, EqualConstantsAreMadeOnce) {
  GraphBuilder net({});
  EXPECT_EQ(net.ints({1, 2}), net.ints({1, 2}));
  // One value in three types of constants.
  const std::set<std::string> names{net.ints({1}), net.scalar(std::int64_t{1}), net.scalar(1.0F)};
  EXPECT_EQ(names.size(), 3u);
  const proto::Model file = parsed(net.finish());
  ASSERT_EQ(file.graph().initializer_size(), 4);
  EXPECT_EQ(file.graph().initializer(0).dims_size(), 1);
  EXPECT_EQ(file.graph().initializer(0).raw_data(), raw_bytes(std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(file.graph().initializer(2).dims_size(), 0);
}

TEST(ModelBuilder, FloatConstantsThatDifferHaveNamesThatDiffer) {
  GraphBuilder net({});
  const float next = std::nextafter(1e-6F, 1.0F);
  EXPECT_NE(net.scalar(1e-6F), net.scalar(next));
}

TEST(ModelBuilder, AFunctionsConstantsAreItsOwnNodes) {
  GraphBuilder net({.opset = 19});
  NodeList& body = net.add_function("org.example", "F", {"x"}, "y");
  body.node("Add", {"x", body.scalar(2.0F)}, "y");
  net.node("Mul", {"a", net.scalar(2.0F)}, "b");
  const proto::Model file = parsed(net.finish());
  EXPECT_EQ(file.graph().initializer_size(), 1);
  const proto::Function& function = file.functions(0);
  EXPECT_EQ(function.opset_import(0).version(), 19);
  ASSERT_EQ(function.node_size(), 2);
  EXPECT_EQ(function.node(0).op_type(), "Constant");
  EXPECT_EQ(function.node(1).input(1), function.node(0).output(0));
}

TEST(ModelBuilder, TwoTensorsOfOneNameAreAFaultOfOurs) {
  GraphBuilder net({});
  net.add_input("x", {});
  EXPECT_THROW(net.reserve("x", ElemType::kFloat, {1}, 4), Error);
}

TEST(ModelBuilder, SymbolicSizesHaveTheirNames) {
  GraphBuilder net({});
  net.add_input("past", {ElemType::kFloat, {-1, 2, -1, 16}, {"batch", "past"}});
  const proto::TensorShape shape = parsed(net.finish()).graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(shape.dim(0).dim_param(), "batch");
  EXPECT_EQ(shape.dim(1).dim_value(), 2);
  EXPECT_EQ(shape.dim(2).dim_param(), "past");
}

TEST(ModelBuilder, MetadataIsAppendedToTheBytes) {
  GraphBuilder net({});
  net.add_input("x", {});
  const OnnxModel model = net.finish();
  const std::string bytes = with_metadata(with_metadata(model.bytes, "0.1", "a", "1"), "0.2", "b", "2");
  EXPECT_TRUE(bytes.starts_with(model.bytes));
  proto::Model file;
  ASSERT_TRUE(file.ParseFromString(bytes));
  EXPECT_EQ(file.producer_version(), "0.2");
  ASSERT_EQ(file.metadata_props_size(), 2);
  EXPECT_EQ(file.metadata_props(1).value(), "2");
  EXPECT_EQ(file.graph().input_size(), 1);
}

std::string refusal(const OnnxForm& form) {
  try {
    check_form(form);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return std::string(error.message());
  }
  return "accepted";
}

TEST(OnnxForm, RefusalsNameTheFlag) {
  using enum WeightForm;
  EXPECT_EQ(refusal({}), "accepted");
  EXPECT_TRUE(refusal({.opset = 16}).starts_with("--onnx_opset 16"));
  EXPECT_TRUE(refusal({.opset = 24}).starts_with("--onnx_opset 24"));
  EXPECT_TRUE(refusal({.dtype = DType::kF16}).starts_with("--dtype fp16"));
  EXPECT_EQ(refusal({.flavour = Flavour::kOrt, .dtype = DType::kF16}), "accepted");
  EXPECT_EQ(refusal({.flavour = Flavour::kGenai, .dtype = DType::kF16}), "accepted");
  EXPECT_TRUE(refusal({.opset = 20, .weights = kDequantizeLinear}).starts_with("--onnx_quant qdq"));
  EXPECT_EQ(refusal({.opset = 17, .weights = kMatMulNBits}), "accepted");
  for (const int bits : {1, 2, 3, 5, 6, 7, 16})
    EXPECT_TRUE(refusal({.weights = kMatMulNBits, .bits = bits}).starts_with("--quant_bit")) << bits;
  for (const std::int64_t block : {0, 8, 48, 256})
    EXPECT_TRUE(refusal({.weights = kMatMulNBits, .block = block}).starts_with("--quant_block")) << block;
  // Width and block mean nothing to floats.
  EXPECT_EQ(refusal({.bits = 5, .block = 0}), "accepted");
}

}  // namespace
}  // namespace llm2mnn::onnx
