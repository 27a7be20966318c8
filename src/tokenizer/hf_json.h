#pragma once
// Helpers for reading the components of a tokenizer.json.

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn::hf {

/// The member, or null when it is absent or JSON null.
const JsonValue* present(const JsonValue& value, std::string_view name);
/// `type` of a component. @throws Error kFormat when there is none.
std::string_view type_of(const JsonValue& component, std::string_view what);
/// Typed members; absent or null: the fallback, or kFormat without one. `what` stands in front of messages.
bool bool_member(const JsonValue& component, std::string_view name, bool fallback, std::string_view what);
std::string string_member(const JsonValue& component, std::string_view name, std::string_view what);
std::string string_member(const JsonValue& component, std::string_view name, std::string_view fallback,
                          std::string_view what);
/// A number from 0 to 2^31 - 1.
std::uint32_t count_member(const JsonValue& component, std::string_view name, std::uint32_t fallback,
                           std::string_view what);
/// A string of exactly one character.
std::string char_member(const JsonValue& component, std::string_view name, std::string_view fallback,
                        std::string_view what);
/// `{"Regex": ...}` or `{"String": ...}`.
TextPattern pattern_member(const JsonValue& component, std::string_view what);
/// `prepend_scheme`, or the older `add_prefix_space`.
PrependScheme prepend_scheme_of(const JsonValue& component, std::string_view what);
/// Refuses members beside "type" and `known`: they could change the ids.
void check_members(const JsonValue& component, std::initializer_list<std::string_view> known,
                   std::string_view what);

/// Calls `visit` for a component, or for each one of a (nested) Sequence, whose list is named `list`.
template <typename Visit>
void for_each_component(const JsonValue& component, std::string_view list, std::string_view what,
                        Visit visit) {
  if (type_of(component, what) != "Sequence") {
    visit(component);
    return;
  }
  check_members(component, {list}, what);
  const JsonValue* items = component.find(list);
  if (items == nullptr || !items->is_array()) fail(ErrorKind::kFormat, "{}: Sequence without {}", what, list);
  for (const JsonValue& item : items->as_array())
    for_each_component(item, list, what, visit);
}

}  // namespace llm2mnn::hf
