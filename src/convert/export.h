#pragma once
// The whole job: a plan becomes a published package.

#include "convert/onnx_plan.h"
#include "convert/plan.h"
#include "convert/row_stream.h"

namespace llm2mnn {

/// Writes the semantic graph and what it became to `options.dump_ir_path`, if there is one.
/// @throws Error(kIo) when the file exists: nothing of the user's is overwritten.
void dump_ir(const Plan& plan);
void dump_ir(const OnnxPlan& plan);

/// Refuses a plan whose package does not fit on the destination's disk.
/// @throws Error(kNoSpace) with both figures.
void check_free_space(const PackagePlan& plan);

/// Streams, syncs, hashes and publishes. Nothing appears at the destination unless everything succeeded.
void run_export(const Plan& plan, StreamProgress& progress);
void run_export(const OnnxPlan& plan, StreamProgress& progress);

}  // namespace llm2mnn
