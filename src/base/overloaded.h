#pragma once
// One visitor from several lambdas, for std::visit.

namespace llm2mnn {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace llm2mnn
