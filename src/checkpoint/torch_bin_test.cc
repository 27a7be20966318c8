#include "checkpoint/torch_bin.h"

#include <algorithm>
#include <array>
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

}  // namespace
}  // namespace llm2mnn
