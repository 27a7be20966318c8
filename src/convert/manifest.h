#pragma once
// llm2mnn.json: what the package is, what made it, and the checksum of each file. Holds nothing of place,
// time, host, threads or storage, so that the same model and options give the same bytes.

#include <map>
#include <string>

#include "base/hash.h"
#include "convert/onnx_plan.h"
#include "convert/plan.h"

namespace llm2mnn {

struct ManifestDigests {
  Digest128 source;                        ///< SourceDigest::finish()
  std::map<std::string, Digest128> files;  ///< by name, XXH3-128; a missing one is written as zeros
};

std::string make_manifest(const Plan& plan, const ManifestDigests& digests);
std::string make_manifest(const OnnxPlan& plan, const ManifestDigests& digests);

/// The manifest's "tokenizer".
std::string tokenizer_record(const TokenizerPackage& package, const TokenizerProof& proof);

/// "4 bit, block 64, asymmetric, fp16 scales" counted over roles: the lines of the summary and the manifest.
struct SchemeUse {
  std::string what;  ///< "linear layers", "lm_head", "embedding"
  std::string scheme;
};
std::vector<SchemeUse> scheme_uses(const Plan& plan);

}  // namespace llm2mnn
