#include "convert/export.h"

#include <future>
#include <list>

#include "base/cancel.h"
#include "convert/file_digest.h"
#include "convert/manifest.h"
#include "convert/mnn_stream.h"
#include "convert/onnx_stream.h"
#include "convert/publish.h"

namespace llm2mnn {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct OpenFile {
  std::string name;
  std::uint64_t bytes;
  File file;
};

// The package's files but for the manifest, open in the staging directory.
class PackageFiles {
 public:
  explicit PackageFiles(StagingDirectory& staging) : staging_(staging) {}

  const File& add(const std::string& name, std::span<const std::byte> content) {
    files_.push_back(OpenFile{name, content.size(), staging_.write_file(name, content)});
    return files_.back().file;
  }
  const File& add_large(const std::string& name, std::uint64_t bytes) {
    files_.push_back(OpenFile{name, bytes, staging_.create_file(name)});
    files_.back().file.reserve(bytes);
    return files_.back().file;
  }
  void sync() const {
    for (const OpenFile& open : files_)
      open.file.sync();
  }
  // Adds those that `digests` lacks.
  void digest(std::map<std::string, Digest128>& digests) const {
    for (const OpenFile& open : files_)
      if (!digests.contains(open.name)) digests[open.name] = digest_of_file(open.file, open.bytes);
  }

 private:
  StagingDirectory& staging_;
  std::list<OpenFile> files_;  // stable addresses
};

void add_side_files(PackageFiles& files, const PackagePlan& plan) {
  files.add(kConfigName, bytes_of(plan.config_json));
  files.add(kLlmConfigName, bytes_of(plan.llm_config_json));
  files.add(kMtokName, bytes_of(plan.tokenizer.mtok));
  if (!plan.tokenizer.txt.empty()) files.add(kTxtName, bytes_of(plan.tokenizer.txt));
}

// Syncs, hashes, writes the manifest and publishes. `last` may add files that need the digests of the others.
template <typename AnyPlan, typename Last>
void finish(const AnyPlan& plan, StagingDirectory& staging, PackageFiles& files, ManifestDigests& digests,
            Last&& last) {
  // The disk works while the processor hashes what is still in the page cache.
  // Deferred only where no thread is to be had.
  std::future<void> synced = std::async(std::launch::async | std::launch::deferred, [&] { files.sync(); });
  files.digest(digests.files);
  synced.get();
  last();
  staging.write_file(kManifestName, bytes_of(make_manifest(plan, digests))).sync();
  staging.publish(plan.options.overwrite);
}

void dump_ir(const PackagePlan& plan, std::string_view format, std::string_view lowered) {
  const std::string text = fmt::format("# The semantic graph\n\n{}\n# {}\n\n{}",
                                       ir::print(plan.model.lowered.graph), format, lowered);
  const File file = File::create(plan.options.dump_ir_path);
  file.write_all(0, bytes_of(text));
}

}  // namespace

void dump_ir(const Plan& plan) {
  if (!plan.options.dump_ir_path.empty()) dump_ir(plan, kGraphName, mnn::print_graph(plan.graph_bytes));
}

void dump_ir(const OnnxPlan& plan) {
  if (!plan.options.dump_ir_path.empty()) dump_ir(plan, kOnnxName, onnx::print_model(plan.onnx));
}

void check_free_space(const PackagePlan& plan) {
  const std::uint64_t free = free_bytes_for(plan.destination);
  if (plan.package_bytes() <= free) return;
  fail(ErrorKind::kNoSpace, "--dst_path {}: the package needs {} bytes and the disk has {} free",
       shown(plan.destination.string()), plan.package_bytes(), free);
}

void run_export(const Plan& plan, StreamProgress& progress) {
  check_free_space(plan);
  throw_if_cancelled();
  StagingDirectory staging(plan.destination);
  PackageFiles files(staging);
  const File& weight_file = files.add_large(kWeightsName, plan.layout.total_bytes);
  const File* embedding_file = nullptr;
  if (!plan.embedding.file_name.empty()) {
    embedding_file = &files.add_large(plan.embedding.file_name, plan.embedding.file_bytes());
  }
  files.add(kGraphName, plan.graph_bytes);
  add_side_files(files, plan);

  ManifestDigests digests;
  if (plan.source_digest) {
    // The source is hashed beside the work, from what the work brings into the page cache.
    std::future<Digest128> digest =
        std::async(std::launch::async | std::launch::deferred, plan.source_digest);
    stream_weights(plan, weight_file, embedding_file, progress);
    digests.source = digest.get();
  } else {
    digests.source = stream_weights(plan, weight_file, embedding_file, progress);
  }
  finish(plan, staging, files, digests, [] {});
}

void run_export(const OnnxPlan& plan, StreamProgress& progress) {
  check_free_space(plan);
  throw_if_cancelled();
  StagingDirectory staging(plan.destination);
  PackageFiles files(staging);
  const File& data_file = files.add_large(onnx::kDataName, plan.onnx.layout.total_bytes);
  const File& embedding_file = files.add_large(plan.embedding.file_name, plan.embedding.file_bytes());
  add_side_files(files, plan);
  if (!plan.genai_config_json.empty()) files.add(kGenaiConfigName, bytes_of(plan.genai_config_json));
  for (const OnnxPlan::TokenizerFile& file : plan.tokenizer_files)
    files.add(file.name, bytes_of(file.content));

  ManifestDigests digests;
  PrefixDigest data_digest(data_file, plan.onnx.layout.total_bytes);
  digests.source = stream_weights(
      plan, data_file, embedding_file, [&](std::uint64_t end) { data_digest.advance(end); }, progress);
  digests.files[onnx::kDataName] = data_digest.finish();
  finish(plan, staging, files, digests, [&] {
    // Last, since it names the digest of the data.
    const Digest128 weights = weights_digest(plan.onnx.inline_values, digests.files.at(onnx::kDataName));
    const std::string bytes = onnx_file_bytes(plan, {digests.source, weights});
    digests.files[kOnnxName] = xxh128(bytes_of(bytes));
    staging.write_file(kOnnxName, bytes_of(bytes)).sync();
  });
}

}  // namespace llm2mnn
