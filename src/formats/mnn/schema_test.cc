// The generated accessors against the wire facts: the slot of field id n is at vtable offset 4 + 2n.

#include <gtest/gtest.h>

#include "mnn_generated.h"

namespace llm2mnn::mnn::fb {
namespace {

constexpr int slot(int id) { return 4 + 2 * id; }

TEST(Schema, FieldsStandInTheirSlots) {
  EXPECT_EQ(Net::VT_BIZCODE, slot(0));
  EXPECT_EQ(Net::VT_OPLISTS, slot(3));
  EXPECT_EQ(Net::VT_OUTPUTNAME, slot(4));
  EXPECT_EQ(Net::VT_SOURCETYPE, slot(6));
  EXPECT_EQ(Net::VT_TENSORNAME, slot(7));
  EXPECT_EQ(Net::VT_TENSORNUMBER, slot(8));
  EXPECT_EQ(Net::VT_USAGE, slot(9));
  EXPECT_EQ(Op::VT_INPUTINDEXES, slot(0));
  EXPECT_EQ(Op::VT_MAIN_TYPE, slot(1));
  EXPECT_EQ(Op::VT_MAIN, slot(2));
  EXPECT_EQ(Op::VT_NAME, slot(3));
  EXPECT_EQ(Op::VT_OUTPUTINDEXES, slot(4));
  EXPECT_EQ(Op::VT_TYPE, slot(5));
  EXPECT_EQ(Op::VT_DEFAULTDIMENTIONFORMAT, slot(6));
  EXPECT_EQ(Input::VT_DIMS, slot(0));
  EXPECT_EQ(Input::VT_DTYPE, slot(1));
  EXPECT_EQ(Input::VT_DFORMAT, slot(2));
  EXPECT_EQ(Blob::VT_DIMS, slot(0));
  EXPECT_EQ(Blob::VT_DATATYPE, slot(2));
  EXPECT_EQ(Blob::VT_INT32S, slot(5));
  EXPECT_EQ(Blob::VT_FLOAT32S, slot(7));
  EXPECT_EQ(Blob::VT_EXTERNAL, slot(9));
  EXPECT_EQ(Convolution2D::VT_COMMON, slot(0));
  EXPECT_EQ(Convolution2D::VT_QUANPARAMETER, slot(3));
  EXPECT_EQ(Convolution2D::VT_EXTERNAL, slot(6));
  EXPECT_EQ(Convolution2DCommon::VT_KERNELX, slot(2));
  EXPECT_EQ(Convolution2DCommon::VT_GROUP, slot(9));
  EXPECT_EQ(Convolution2DCommon::VT_OUTPUTCOUNT, slot(10));
  EXPECT_EQ(Convolution2DCommon::VT_INPUTCOUNT, slot(11));
  EXPECT_EQ(IDSTQuan::VT_TYPE, slot(2));
  EXPECT_EQ(IDSTQuan::VT_QUANTSCALE, slot(4));
  EXPECT_EQ(IDSTQuan::VT_AMAXORBITS, slot(7));
  EXPECT_EQ(IDSTQuan::VT_AMIN, slot(8));
  EXPECT_EQ(IDSTQuan::VT_READTYPE, slot(9));
  EXPECT_EQ(IDSTQuan::VT_SHAPEINT32, slot(11));
  EXPECT_EQ(IDSTQuan::VT_SCALESTORAGE, slot(15));
  EXPECT_EQ(LayerNorm::VT_AXIS, slot(0));
  EXPECT_EQ(LayerNorm::VT_EPSILON, slot(1));
  EXPECT_EQ(LayerNorm::VT_GAMMA, slot(2));
  EXPECT_EQ(LayerNorm::VT_EXTERNAL, slot(5));
  EXPECT_EQ(LayerNorm::VT_USERMSNORM, slot(6));
  EXPECT_EQ(AttentionParam::VT_KV_CACHE, slot(0));
  EXPECT_EQ(AttentionParam::VT_LAYER_INDEX, slot(2));
  EXPECT_EQ(AttentionParam::VT_OUTPUT_C4, slot(5));
  EXPECT_EQ(AttentionParam::VT_ATTNSCALE, slot(6));
  EXPECT_EQ(RoPEParam::VT_ROPE_CUT_HEAD_DIM, slot(0));
  EXPECT_EQ(RoPEParam::VT_NUM_HEAD, slot(1));
  EXPECT_EQ(RoPEParam::VT_KV_NUM_HEAD, slot(2));
  EXPECT_EQ(RoPEParam::VT_HEAD_DIM, slot(3));
  EXPECT_EQ(RoPEParam::VT_Q_NORM, slot(4));
  EXPECT_EQ(RoPEParam::VT_K_NORM, slot(5));
  EXPECT_EQ(Reshape::VT_DIMS, slot(0));
  EXPECT_EQ(Reshape::VT_DIMTYPE, slot(1));
  EXPECT_EQ(TensorConvertInfo::VT_DEST, slot(1));
  EXPECT_EQ(BinaryOp::VT_OPTYPE, slot(0));
  EXPECT_EQ(BinaryOp::VT_T, slot(1));
  EXPECT_EQ(UnaryOp::VT_OPTYPE, slot(0));
  EXPECT_EQ(UnaryOp::VT_T, slot(1));
  EXPECT_EQ(Slice::VT_AXIS, slot(0));
  EXPECT_EQ(Slice::VT_SOURCETYPE, slot(2));
  EXPECT_EQ(StridedSliceParam::VT_FROMTYPE, slot(7));
  EXPECT_EQ(Axis::VT_AXIS, slot(0));
  EXPECT_EQ(GatherV2::VT_TPARAMS, slot(2));
  EXPECT_EQ(Relu::VT_SLOPE, slot(0));
}

TEST(Schema, UnionTagsAreTheRuntimes) {
  const auto tag = [](OpParameter parameter) { return static_cast<int>(parameter); };
  EXPECT_EQ(tag(OpParameter::Axis), 4);
  EXPECT_EQ(tag(OpParameter::BinaryOp), 6);
  EXPECT_EQ(tag(OpParameter::Blob), 7);
  EXPECT_EQ(tag(OpParameter::Convolution2D), 9);
  EXPECT_EQ(tag(OpParameter::GatherV2), 19);
  EXPECT_EQ(tag(OpParameter::Input), 21);
  EXPECT_EQ(tag(OpParameter::Relu), 51);
  EXPECT_EQ(tag(OpParameter::Reshape), 55);
  EXPECT_EQ(tag(OpParameter::Slice), 61);
  EXPECT_EQ(tag(OpParameter::StridedSliceParam), 65);
  EXPECT_EQ(tag(OpParameter::TensorConvertInfo), 66);
  EXPECT_EQ(tag(OpParameter::UnaryOp), 70);
  EXPECT_EQ(tag(OpParameter::LayerNorm), 88);
  EXPECT_EQ(tag(OpParameter::AttentionParam), 98);
  EXPECT_EQ(tag(OpParameter::RoPEParam), 102);
}

TEST(Schema, EnumsAreAsWideAsTheRuntimes) {
  EXPECT_EQ(sizeof(OpType), 4u);
  EXPECT_EQ(sizeof(DataType), 4u);
  EXPECT_EQ(sizeof(BinaryKind), 4u);
  EXPECT_EQ(sizeof(UnaryKind), 4u);
  EXPECT_EQ(sizeof(DataFormat), 1u);
  EXPECT_EQ(sizeof(NetSource), 1u);
  EXPECT_EQ(sizeof(ScaleStorage), 1u);
  EXPECT_EQ(static_cast<int>(OpType::RoPE), 306);
  EXPECT_EQ(static_cast<int>(OpType::LayerNorm), 603);
  EXPECT_EQ(static_cast<int>(OpType::Attention), 299);
  EXPECT_EQ(static_cast<int>(BinaryKind::MUL_SILU), 29);
}

}  // namespace
}  // namespace llm2mnn::mnn::fb
