#include "jinja/filters.h"

#include <algorithm>
#include <array>

namespace llm2mnn::jinja {

namespace {

/// Of Jinja, but not here.
constexpr std::array<std::string_view, 7> kBeyond = {"filesizeformat", "pprint",   "random", "striptags",
                                                     "urlize",         "wordwrap", "xmlattr"};

/// Filters that take no arguments.
constexpr std::array<std::string_view, 19> kPlain = {
    "abs",    "capitalize", "count",  "e",         "escape",   "first",   "forceescape",
    "items",  "last",       "length", "list",      "lower",    "reverse", "safe",
    "string", "title",      "upper",  "urlencode", "wordcount"};

bool is_beyond(std::string_view name) {
  return std::find(kBeyond.begin(), kBeyond.end(), name) != kBeyond.end();
}

const FilterTable& filters() {
  static const FilterTable kFilters = [] {
    FilterTable table;
    add_list_filters(table);
    add_text_filters(table);
    add_number_filters(table);
    return table;
  }();
  return kFilters;
}

}  // namespace

Value apply_filter(const std::string& name, const Value& input, Arguments& arguments) {
  const auto it = filters().find(name);
  if (it != filters().end()) {
    if (std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end()) take_arguments(name, arguments, {});
    return it->second(input, arguments);
  }
  if (is_beyond(name)) beyond("the filter " + name);
  raise(fmt::format("No filter named '{}' found.", name));
}

bool has_filter(std::string_view name) { return filters().contains(name) || is_beyond(name); }

}  // namespace llm2mnn::jinja
