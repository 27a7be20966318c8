#pragma once
// Digests of whole files.

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"

namespace llm2mnn {

/// XXH3-128 of the first `bytes` bytes. @throws kCancelled when a signal came.
Digest128 digest_of_file(const File& file, std::uint64_t bytes);

/// Of the data files of an ONNX file: all of `files` but the first, one after the other.
Digest128 digest_of_files(const std::filesystem::path& dir, const std::vector<std::string>& files);

}  // namespace llm2mnn
