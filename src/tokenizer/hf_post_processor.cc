#include "tokenizer/hf_components.h"
#include "tokenizer/hf_json.h"

namespace llm2mnn::hf {

namespace {

using Ids = std::vector<std::uint32_t>;

/// Appends `value`, an id below `num_ids`.
void append_id(const JsonValue& value, std::string_view token, std::uint32_t num_ids, Ids& ids) {
  const std::int64_t id = value.is_number() ? value.as_int64() : -1;
  if (id < 0 || id >= num_ids) {
    fail(ErrorKind::kFormat, "post_processor: special token {}: id {} is not in the vocabulary", shown(token),
         shown(value.dump(), 40));
  }
  ids.push_back(static_cast<std::uint32_t>(id));
}

/// Appends the ids of special token `name` of a template.
void append_special_ids(const JsonValue& processor, std::string_view name, std::uint32_t num_ids, Ids& ids) {
  const JsonValue* table = processor.find("special_tokens");
  const JsonValue* entry = table == nullptr ? nullptr : table->find(name);
  const JsonValue* list = entry == nullptr ? nullptr : entry->find("ids");
  if (list == nullptr || !list->is_array()) {
    fail(ErrorKind::kFormat, "post_processor: special token {} has no ids", shown(name));
  }
  for (const JsonValue& item : list->as_array())
    append_id(item, name, num_ids, ids);
}

/// A wrapper in a Sequence stands around what the one before it made.
void wrap(const Ids& prefix, const Ids& suffix, TokenizerModel& model) {
  constexpr std::size_t kMaxTokens = 64;  // one or two in files that exist
  model.prefix_ids.insert(model.prefix_ids.begin(), prefix.begin(), prefix.end());
  model.suffix_ids.insert(model.suffix_ids.end(), suffix.begin(), suffix.end());
  if (model.prefix_ids.size() + model.suffix_ids.size() > kMaxTokens) {
    fail(ErrorKind::kUnsupported, "post_processor: more than {} tokens around the text", kMaxTokens);
  }
}

void read_template(const JsonValue& processor, TokenizerModel& model) {
  constexpr std::string_view kWhat = "post_processor TemplateProcessing";
  check_members(processor, {"single", "pair", "special_tokens"}, kWhat);
  const JsonValue* single = processor.find("single");
  if (single == nullptr || !single->is_array())
    fail(ErrorKind::kFormat, "{}: expected a list 'single'", kWhat);
  const std::uint32_t num_ids = model.num_ids();
  bool behind_text = false;
  Ids prefix, suffix;
  for (const JsonValue& item : single->as_array()) {
    if (item.find("Sequence") != nullptr) {
      if (behind_text) fail(ErrorKind::kUnsupported, "{}: text appears twice", kWhat);
      behind_text = true;
      continue;
    }
    const JsonValue* token = item.find("SpecialToken");
    const JsonValue* id = token == nullptr ? nullptr : token->find("id");
    if (id == nullptr || !id->is_string()) {
      fail(ErrorKind::kFormat, "{}: expected a Sequence or a SpecialToken", kWhat);
    }
    append_special_ids(processor, id->as_string(), num_ids, behind_text ? suffix : prefix);
  }
  if (!behind_text) fail(ErrorKind::kUnsupported, "{}: 'single' has no text", kWhat);
  wrap(prefix, suffix, model);
}

/// `["[CLS]", 101]`.
void append_named_id(const JsonValue& processor, std::string_view member, std::string_view what,
                     std::uint32_t num_ids, Ids& ids) {
  const JsonValue* pair = processor.find(member);
  if (pair == nullptr || !pair->is_array() || pair->as_array().size() != 2 ||
      !pair->as_array()[0].is_string()) {
    fail(ErrorKind::kFormat, "{}: {}: expected a list of a token and its id", what, member);
  }
  append_id(pair->as_array()[1], pair->as_array()[0].as_string(), num_ids, ids);
}

void read_cls_and_sep(const JsonValue& processor, std::string_view what, TokenizerModel& model) {
  Ids prefix, suffix;
  append_named_id(processor, "cls", what, model.num_ids(), prefix);
  append_named_id(processor, "sep", what, model.num_ids(), suffix);
  wrap(prefix, suffix, model);
}

}  // namespace

void read_post_processor(const JsonValue* post_processor, TokenizerModel& model) {
  if (post_processor == nullptr || post_processor->is_null()) return;
  for_each_component(*post_processor, "processors", "post_processor", [&](const JsonValue& component) {
    const std::string_view type = type_of(component, "post_processor");
    if (type == "ByteLevel") return;  // moves offsets only
    if (type == "TemplateProcessing") {
      read_template(component, model);
    } else if (type == "BertProcessing") {
      check_members(component, {"cls", "sep"}, "post_processor BertProcessing");
      read_cls_and_sep(component, "post_processor BertProcessing", model);
    } else if (type == "RobertaProcessing") {
      check_members(component, {"cls", "sep", "trim_offsets", "add_prefix_space"},
                    "post_processor RobertaProcessing");
      read_cls_and_sep(component, "post_processor RobertaProcessing", model);
    } else {
      fail(ErrorKind::kUnsupported, "post_processor {} is not known to this version", shown(type));
    }
  });
}

}  // namespace llm2mnn::hf
