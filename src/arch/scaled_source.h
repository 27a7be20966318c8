#pragma once
// Rows of weights that are stored as small floats with a scale for each block or group. Private to this
// folder.

#include <cstddef>
#include <vector>

#include "arch/binding.h"

namespace llm2mnn {

/// The rows of `run`, [run.count, cols], as float32.
/// @throws Error(kFormat) naming tensor and place of a value or scale that is NaN or Inf.
void read_scaled(const Checkpoint& checkpoint, const Binding::ScaledBlocks& form, const RowRun& run,
                 float* out, std::vector<std::byte>& scratch);

/// The same of MXFP4.
void read_mxfp4(const Checkpoint& checkpoint, const Binding::Mxfp4Groups& form, const RowRun& run, float* out,
                std::vector<std::byte>& scratch);

/// The same of ternary codes; a code of 3 is an error, too.
void read_ternary(const Checkpoint& checkpoint, const Binding::TernaryCodes& form, const RowRun& run,
                  float* out, std::vector<std::byte>& scratch);

}  // namespace llm2mnn
