#include "convert/onnx_record.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/checked.h"
#include "convert/graph_json.h"
#include "convert/json_fields.h"
#include "ir/rotary.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kFormat = 1;  // of the record

Json form_json(const onnx::OnnxForm& form) {
  return {{"flavour", onnx::flavour_name(form.flavour)},
          {"opset", form.opset},
          {"dtype", dtype_name(form.dtype)},
          {"weights", onnx::weight_form_name(form.weights)},
          {"bits", form.bits},
          {"block", form.block},
          {"accuracy_level", form.accuracy_level}};
}

Json facts_json(const ModelFacts& facts) {
  Json ignored = Json::array();
  for (const ModelFacts::Ignored& entry : facts.ignored)
    ignored.push_back({entry.tensor, entry.rule});
  return {{"model_type", facts.model_type},
          {"family", facts.family},
          {"num_hidden_layers", facts.num_hidden_layers},
          {"hidden_size", facts.hidden_size},
          {"vocab_size", facts.vocab_size},
          {"max_position_embeddings", facts.max_position_embeddings},
          {"sliding_window", facts.sliding_window},
          {"num_attention_heads", facts.num_attention_heads},
          {"num_key_value_heads", facts.num_key_value_heads},
          {"head_dim", facts.head_dim},
          {"tie_word_embeddings", facts.tied},
          {"ropes", facts.ropes},
          {"parameters", facts.parameters},
          {"ignored", ignored},
          {"unread_config_keys", facts.unread_config_keys},
          {"notes", facts.notes}};
}

ModelFacts parse_facts(const Fields& fields) {
  ModelFacts facts;
  facts.model_type = fields.text("model_type");
  facts.family = fields.text("family");
  facts.num_hidden_layers = fields.size("num_hidden_layers");
  facts.hidden_size = fields.size("hidden_size");
  facts.vocab_size = fields.size("vocab_size");
  facts.max_position_embeddings = fields.size("max_position_embeddings");
  facts.sliding_window = fields.size("sliding_window");
  facts.num_attention_heads = fields.size("num_attention_heads");
  facts.num_key_value_heads = fields.size("num_key_value_heads");
  facts.head_dim = fields.size("head_dim");
  facts.tied = fields.flag("tie_word_embeddings");
  facts.ropes = fields.texts("ropes");
  facts.parameters = fields.size("parameters");
  for (const JsonValue& entry : fields.list("ignored")) {
    const JsonValue::Array& parts = tuple(entry, 2);
    facts.ignored.push_back({std::string(parts[0].as_string()), std::string(parts[1].as_string())});
  }
  facts.unread_config_keys = fields.texts("unread_config_keys");
  facts.notes = fields.texts("notes");
  return facts;
}

template <typename Enum, typename NameOf>
Enum parse_name(const Fields& fields, std::string_view key, std::initializer_list<Enum> values,
                NameOf name_of) {
  const std::string text = fields.text(key);
  for (const Enum value : values)
    if (name_of(value) == text) return value;
  fail(ErrorKind::kFormat, "{} is {}, which this version does not know", shown(key), shown(text));
}

onnx::OnnxForm parse_form(const Fields& fields) {
  using onnx::Flavour;
  using onnx::WeightForm;
  onnx::OnnxForm form;
  form.flavour =
      parse_name(fields, "flavour", {Flavour::kOne, Flavour::kOrt, Flavour::kGenai}, onnx::flavour_name);
  form.weights = parse_name(fields, "weights",
                            {WeightForm::kFloat, WeightForm::kMatMulNBits, WeightForm::kDequantizeLinear},
                            onnx::weight_form_name);
  form.dtype = parse_name(fields, "dtype", {DType::kF32, DType::kF16}, dtype_name);
  // Small numbers; check_form knows which are good.
  constexpr std::int64_t kMost = 1 << 20;
  form.opset = static_cast<int>(std::min(kMost, fields.size("opset")));
  form.bits = static_cast<int>(std::min(kMost, fields.size("bits")));
  form.block = std::min(kMost, fields.size("block"));
  form.accuracy_level = static_cast<int>(std::min(kMost, fields.size("accuracy_level")));
  try {
    onnx::check_form(form);
  } catch (const Error& error) {
    fail(ErrorKind::kFormat, "{}", error.message());
  }
  return form;
}

WeightRole parse_role(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(WeightRole::kLmHead); ++i) {
    const auto role = static_cast<WeightRole>(i);
    if (role_name(role) == name) return role;
  }
  fail(ErrorKind::kFormat, "unknown role {}", shown(name));
}

Digest128 parse_digest(const Fields& fields, std::string_view key) {
  const std::string text = fields.text(key);
  Digest128 digest;
  const auto half = [&](std::size_t begin) {
    std::uint64_t value = 0;
    for (const char c : text.substr(begin, 16)) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(c);
      if (digit == std::string_view::npos) fail(ErrorKind::kFormat, "{} is no digest", shown(key));
      value = value << 4 | digit;
    }
    return value;
  };
  if (text.size() != 32) fail(ErrorKind::kFormat, "{} is no digest", shown(key));
  digest.high = half(0);
  digest.low = half(16);
  return digest;
}

// What the graph is built with beyond itself.
void check_facts(const OnnxRecord& record) {
  const ModelFacts& facts = record.facts;
  const ir::Graph& graph = record.graph;
  constexpr std::int64_t kMostRows = 1 << 28;
  const ir::TokenEmbedding* further = ir::token_embedding(graph);
  if (facts.hidden_size != graph.hidden_size || facts.vocab_size <= 0 || facts.vocab_size > kMostRows ||
      (facts.tied && facts.vocab_size != graph.vocab_size) ||
      (further != nullptr && further->num_rows != facts.vocab_size) ||
      (graph.has_sliding_layers && facts.sliding_window <= 0))
    fail(ErrorKind::kFormat, "its sizes do not fit its graph");
}

}  // namespace

std::string make_onnx_record(const OnnxPlan& plan, const OnnxDigests& digests) {
  Json json;
  json["format"] = kFormat;
  json["form"] = form_json(plan.options.onnx);
  json["facts"] = facts_json(plan.model.facts);
  json["graph"] = graph_json(plan.model.lowered.graph);
  for (const LoweredWeight& weight : plan.model.lowered.weights)
    json["roles"].push_back(role_name(weight.role));
  json["names"] = {{"weights", plan.decoder.weight_names}, {"embedding", plan.decoder.embedding_name}};
  json["tokenizer"] = {{"record", plan.tokenizer_record},
                       {"notes", plan.tokenizer.notes},
                       {"txt_limits", plan.tokenizer.txt_limits},
                       {"vocab_size", plan.tokenizer.vocab_size}};
  json["options"] = {{"chat_template", plan.has_own_template},
                     {"allow_tokenizer_mismatch", plan.options.allow_tokenizer_mismatch},
                     {"type", plan.options.type}};
  json["xxh128"] = {{"source", digests.source.hex()}, {"weights", digests.weights.hex()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

OnnxRecord parse_onnx_record(std::string_view text) {
  constexpr std::uint64_t kMaxRecordBytes = 16u << 20;
  const JsonValue value = parse_json(text, {.max_bytes = kMaxRecordBytes});
  const Fields fields(value);
  if (const std::int64_t format = fields.size("format"); format != kFormat)
    fail(ErrorKind::kUnsupported, "format {}; this version reads {}", format, kFormat);
  OnnxRecord record;
  record.form = parse_form(fields.object("form"));
  record.facts = parse_facts(fields.object("facts"));
  record.graph = parse_graph(fields.at("graph"));
  add_expert_facts(record.facts, record.graph);
  for (const JsonValue& role : fields.list("roles"))
    record.roles.push_back(parse_role(role.as_string()));
  if (record.roles.size() != record.graph.weights.size())
    fail(ErrorKind::kFormat, "{} roles of {} weights", record.roles.size(), record.graph.weights.size());
  record.weight_names = fields.object("names").texts("weights");
  record.embedding_name = fields.object("names").text("embedding");
  if (record.weight_names.size() != record.graph.weights.size())
    fail(ErrorKind::kFormat, "{} names of {} weights", record.weight_names.size(),
         record.graph.weights.size());
  std::set<std::string_view> unique(record.weight_names.begin(), record.weight_names.end());
  unique.insert(record.embedding_name);
  if (unique.size() != record.weight_names.size() + 1) fail(ErrorKind::kFormat, "two weights have one name");
  const Fields tokenizer = fields.object("tokenizer");
  record.tokenizer_record = tokenizer.text("record");
  record.tokenizer_notes = tokenizer.texts("notes");
  record.txt_limits = tokenizer.text("txt_limits");
  record.tokenizer_vocab_size = tokenizer.size("vocab_size");
  const Fields options = fields.object("options");
  record.has_own_template = options.flag("chat_template");
  record.allow_tokenizer_mismatch = options.flag("allow_tokenizer_mismatch");
  record.type = options.text("type");
  record.digests.source = parse_digest(fields.object("xxh128"), "source");
  record.digests.weights = parse_digest(fields.object("xxh128"), "weights");
  check_facts(record);
  return record;
}

std::uint64_t constant_bytes(const OnnxRecord& record) {
  std::int64_t values = 0;
  for (const ir::Weight& weight : record.graph.weights)
    if (weight.shape.size() == 1) values += weight.shape.front();
  for (const ir::Node& node : record.graph.nodes) {
    const auto* table = std::get_if<ir::RopeTable>(&node.op);
    if (table == nullptr) continue;
    const std::int64_t rows = record.form.flavour == onnx::Flavour::kGenai
                                  ? decoder_facts(record.facts).num_positions
                                  : ir::rotary_high_rows(*table) + ir::kRotarySplit;
    values += 2 * rows * checked_cast<std::int64_t>(table->inv_freq.size());
  }
  return sizeof(float) * checked_cast<std::uint64_t>(values);
}

onnx::OnnxModel recorded_model(const OnnxRecord& record, const onnx::VectorReader& read_vector) {
  onnx::OnnxModel model;
  // What is wrong in a file is the file's fault.
  try {
    onnx::DecoderFacts decoder = decoder_facts(record.facts);
    decoder.weight_names = record.weight_names;
    decoder.embedding_name = record.embedding_name;
    model = onnx::build_model(record.graph, decoder, record.form, read_vector);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInternal) throw;
    fail(ErrorKind::kFormat, "{}", error.message());
  }
  for (const onnx::MatrixBlob& blob : model.layout.matrices) {
    const bool has_codes = blob.layout == onnx::MatrixLayout::kMatMulNBits ||
                           blob.layout == onnx::MatrixLayout::kDequantizeLinear;
    if (has_codes && blob.cols % record.form.block != 0)
      fail(ErrorKind::kFormat, "{}: blocks of {} do not divide its rows of {}", shown(blob.name),
           record.form.block, blob.cols);
  }
  return model;
}

}  // namespace llm2mnn
