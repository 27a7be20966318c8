// `break` and `continue`. The runtime ignores them; they become flags, and what follows is guarded by the
// flag.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using StatementKind = Statement::Kind;

bool jumps(const Block& block, StatementKind which);

/// Whether the statement holds a jump of the loop around it.
bool jumps(const Statement& statement, StatementKind which) {
  if (statement.kind == which) return true;
  if (statement.kind == StatementKind::kFor || statement.kind == StatementKind::kMacro) return false;
  return jumps(statement.body, which) || jumps(statement.otherwise, which);
}

bool jumps(const Block& block, StatementKind which) {
  for (const auto& statement : block) {
    if (jumps(statement, which)) return true;
  }
  return false;
}

ExpressionPtr flag(const std::string& name) { return tree::member(tree::name(name), "v"); }

Statement new_flag(const std::string& name) {
  auto made = tree::call(tree::name("namespace"));
  made->arguments.push_back({"v", tree::boolean(false)});
  return tree::set(tree::name(name), std::move(made));
}

Statement raised(const std::string& name) { return tree::set(flag(name), tree::boolean(true)); }

struct Flags {
  std::string skip;  ///< set for the rest of the iteration
  std::string stop;  ///< set for the rest of the loop
};

/// Replaces the jumps of `block`; the rest of each block behind one is guarded.
Block guarded(Block block, const Flags& flags) {
  Block result;
  for (std::size_t i = 0; i < block.size(); ++i) {
    Statement& statement = block[i];
    const bool jumping =
        jumps(statement, StatementKind::kBreak) || jumps(statement, StatementKind::kContinue);
    if (!jumping) {
      result.push_back(std::move(statement));
      continue;
    }
    if (statement.kind == StatementKind::kBreak || statement.kind == StatementKind::kContinue) {
      if (statement.kind == StatementKind::kBreak) result.push_back(raised(flags.stop));
      result.push_back(raised(flags.skip));
      return result;  // nothing behind a jump runs
    }
    statement.body = guarded(std::move(statement.body), flags);
    statement.otherwise = guarded(std::move(statement.otherwise), flags);
    result.push_back(std::move(statement));
    Block rest(std::make_move_iterator(block.begin() + static_cast<std::ptrdiff_t>(i) + 1),
               std::make_move_iterator(block.end()));
    if (!rest.empty()) {
      result.push_back(tree::conditional(tree::negated(flag(flags.skip)), guarded(std::move(rest), flags)));
    }
    return result;
  }
  return result;
}

/// Each jump of a block nests what follows it; more than any template needs would only exhaust the stack.
constexpr int kMostJumps = 100;

int count_jumps(const Block& block) {
  int count = 0;
  for (const auto& statement : block) {
    if (statement.kind == StatementKind::kBreak || statement.kind == StatementKind::kContinue) ++count;
    if (statement.kind == StatementKind::kFor || statement.kind == StatementKind::kMacro) continue;
    count += count_jumps(statement.body) + count_jumps(statement.otherwise);
  }
  return count;
}

/// The loop, with the statements that go in front of it.
void lower_loop(Statement loop, Block& result, State& state) {
  const bool stops = jumps(loop.body, StatementKind::kBreak);
  if (!stops && !jumps(loop.body, StatementKind::kContinue)) {
    result.push_back(std::move(loop));
    return;
  }
  if (count_jumps(loop.body) > kMostJumps) {
    state.limited("a loop with more than 100 jumps", loop.line);
    result.push_back(std::move(loop));
    return;
  }
  state.changed("`break` and `continue` became flags");
  const Flags flags{state.fresh("skip"), state.fresh("stop")};
  Block body = guarded(std::move(loop.body), flags);
  body.insert(body.begin(), new_flag(flags.skip));
  if (stops) {
    result.push_back(new_flag(flags.stop));
    loop.body = tree::block(tree::conditional(tree::negated(flag(flags.stop)), std::move(body)));
  } else {
    loop.body = std::move(body);
  }
  result.push_back(std::move(loop));
}

}  // namespace

Block lower_jumps(Block block, State& state) {
  Block result;
  for (auto& statement : block) {
    statement.body = lower_jumps(std::move(statement.body), state);
    statement.otherwise = lower_jumps(std::move(statement.otherwise), state);
    if (statement.kind == StatementKind::kFor) {
      lower_loop(std::move(statement), result, state);
    } else {
      result.push_back(std::move(statement));
    }
  }
  return result;
}

}  // namespace llm2mnn::jinja::lowering
