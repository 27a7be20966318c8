#pragma once
// A limit for recursion, so that no input overflows the stack.

namespace llm2mnn {

/// One level of nesting while it lives.
class NestingLevel {
 public:
  /// Calls `refuse`, which throws, when `depth` is at `limit` already.
  template <typename Refuse>
  NestingLevel(int& depth, int limit, Refuse refuse) : depth_(depth) {
    if (depth_ >= limit) refuse();
    ++depth_;
  }
  ~NestingLevel() { --depth_; }
  NestingLevel(const NestingLevel&) = delete;
  NestingLevel& operator=(const NestingLevel&) = delete;

 private:
  int& depth_;
};

}  // namespace llm2mnn
