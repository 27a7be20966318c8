#include <algorithm>

#include "arch/config_reader.h"
#include "arch/describe.h"
#include "arch/embedded_families.h"
#include "arch/family.h"
#include "arch/family_data.h"
#include "arch/family_features.h"
#include "arch/nearest_family.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

constexpr std::uint64_t kMaxFamilyBytes = 1u << 18;  // a family file has a few kilobytes

using FamilyList = std::vector<std::shared_ptr<const Family>>;

const Family* find_by_name(const FamilyList& families, std::string_view name) {
  for (const auto& family : families) {
    if (family->name == name) return family.get();
  }
  return nullptr;
}

bool claims(const Family& family, std::string_view model_type) {
  return std::find(family.model_types.begin(), family.model_types.end(), model_type) !=
         family.model_types.end();
}

std::vector<std::string> all_model_types(const FamilyList& families) {
  std::vector<std::string> types;
  for (const auto& family : families)
    types.insert(types.end(), family->model_types.begin(), family->model_types.end());
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  return types;
}

// Resolves inheritance between files of one set, whatever their order.
class Resolver {
 public:
  Resolver(std::map<std::string, Family> raw, const FamilyList& done) : raw_(std::move(raw)), done_(done) {}

  std::shared_ptr<const Family> resolve(const std::string& name) {
    const auto ready = ready_.find(name);
    if (ready != ready_.end()) return ready->second;
    const Family& own = raw_.at(name);
    if (!open_.insert(name).second) fail_at(own.top, "family {} inherits from itself", shown(name));
    const Family* parent = own.inherits.empty() ? nullptr : parent_of(own);
    auto family = std::make_shared<const Family>(inherit(own, parent));
    open_.erase(name);
    return ready_[name] = family;
  }

 private:
  const Family* parent_of(const Family& own) {
    if (raw_.count(own.inherits) != 0) return resolve(own.inherits).get();
    if (const Family* parent = find_by_name(done_, own.inherits)) return parent;
    std::vector<std::string> names;
    for (const auto& [name, family] : raw_) {
      if (name != own.name) names.push_back(name);
    }
    for (const auto& family : done_)
      names.push_back(family->name);
    const std::string near = did_you_mean(own.inherits, names);
    fail_at(own.top, "inherits from family {}, which does not exist{}", shown(own.inherits),
            near.empty() ? "; known: " + list_names(names, 12) : near);
  }

  std::map<std::string, Family> raw_;
  const FamilyList& done_;
  std::map<std::string, std::shared_ptr<const Family>> ready_;
  std::set<std::string> open_;
};

std::set<std::string> keys_of_all(const FamilyList& families) {
  std::set<std::string> all;
  for (const auto& family : families) {
    const std::set<std::string> keys = family->consumed_keys();
    all.insert(keys.begin(), keys.end());
  }
  return all;
}

[[noreturn]] void fail_unknown_type(const FamilyList& families, const Checkpoint& checkpoint,
                                    std::string_view wanted, const std::vector<std::string>& types) {
  const std::vector<std::string> near = near_matches(wanted, types, 3);
  const std::string by_name = near.empty() ? "" : "nearest by name: " + list_names(near, 3) + "; ";
  const std::string fit =
      describe_fit(fit_families(families, checkpoint.config(), checkpoint.tensors(), keys_of_all(families)));
  fail(ErrorKind::kUnsupported,
       "config.json: model_type {} is not supported; {}{}. Or describe it in a file for --family",
       shown(wanted), by_name, fit);
}

const Family& select_family(const FamilyList& families, const Checkpoint& checkpoint, std::string_view type) {
  const JsonValue& config = checkpoint.config();
  const std::vector<std::string> types = all_model_types(families);
  std::string wanted(type);
  if (wanted.empty()) {
    const JsonValue* value = config.find("model_type");
    if (value == nullptr || !value->is_string())
      fail(ErrorKind::kFormat, "config.json: 'model_type' is {}; give one with --type (known: {})",
           value == nullptr ? "missing" : "no string", list_names(types, 8));
    wanted = std::string(value->as_string());
  }
  for (const auto& family : families) {
    if (claims(*family, wanted)) return *family;
  }
  if (type.empty()) fail_unknown_type(families, checkpoint, wanted, types);
  std::vector<std::string> near = near_matches(wanted, types, 8);
  if (near.empty()) near = types;
  fail(ErrorKind::kInvalidArgument,
       "--type: {} is not supported; nearest: {}. Describe it in a file for --family", shown(wanted),
       list_names(near, 8));
}

}  // namespace

FamilyRegistry FamilyRegistry::built_in() {
  FamilyRegistry registry;
  std::map<std::string, Family> raw;
  for (const EmbeddedFamily& file : embedded_families()) {
    const std::string name(file.name);
    raw.emplace(name, read_family(file.text, name, fmt::format("families/{}/family.toml", name)));
  }
  try {
    Resolver resolver(raw, registry.families_);
    FamilyList families;
    for (const auto& [name, family] : raw)
      families.push_back(resolver.resolve(name));
    registry.families_ = std::move(families);
    for (const EmbeddedFamily& file : embedded_containers())
      registry.containers_.push_back(read_container(file.text, std::string(file.name),
                                                    fmt::format("containers/{}/container.toml", file.name)));
  } catch (const Error& error) {
    throw Error(ErrorKind::kInternal, error.message());
  }
  return registry;
}

FamilyRegistry FamilyRegistry::with_file(const std::filesystem::path& user_file) {
  FamilyRegistry registry = built_in();
  if (!user_file.empty()) registry.add_file(user_file);
  return registry;
}

void FamilyRegistry::add_file(const std::filesystem::path& path) {
  const std::string text = read_text_file(path, kMaxFamilyBytes);
  // A file that lies as families/NAME/family.toml is named by its folder, any other by itself.
  const bool is_folder = path.filename() == "family.toml" && path.has_parent_path();
  std::string name = is_folder ? path.parent_path().filename().string() : path.stem().string();
  std::string shown_file = path.filename().string();
  const std::string quoted = shown(shown_file);
  if (quoted.size() != shown_file.size() + 2) shown_file = quoted;
  Family own = read_family(text, name, std::move(shown_file));
  // A file may carry the name of a built-in family and still inherit from it.
  const FamilyList built_in_families = families_;
  const bool extends_namesake = own.inherits == name && find_by_name(families_, name) != nullptr;
  if (extends_namesake) own.name = name += "+";
  std::map<std::string, Family> raw;
  raw.emplace(name, std::move(own));
  families_.insert(families_.begin(), Resolver(std::move(raw), built_in_families).resolve(name));
  has_user_family_ = true;
}

std::vector<FamilySummary> FamilyRegistry::summaries() const {
  std::vector<FamilySummary> all;
  for (const auto& family : families_)
    all.push_back(
        {family->name, family->model_types, family->architectures, family->inherits, features_of(*family)});
  return all;
}

std::optional<TextModel> FamilyRegistry::text_model(const Checkpoint& checkpoint) const {
  const JsonValue* value = checkpoint.config().find("model_type");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  const std::string type(value->as_string());
  const bool is_family =
      std::ranges::any_of(families_, [&](const auto& family) { return claims(*family, type); });
  if (is_family) return std::nullopt;
  for (const Container& container : containers_) {
    if (container.model_types.contains(type) || container.refused.contains(type))
      return text_model_of(container, checkpoint.config(), checkpoint.tensors(), keys_of_all(families_));
  }
  return std::nullopt;
}

DecoderSpec FamilyRegistry::describe(const Checkpoint& checkpoint, std::string_view type) const {
  const Family& family = select_family(families_, checkpoint, type);
  if (has_user_family_ && &family != families_.front().get())
    fail(ErrorKind::kInvalidArgument,
         "--family: {} describes model type {}, but the checkpoint is read as another; add its type to "
         "model_types or give --type {}",
         shown(families_.front()->name), list_names(families_.front()->model_types),
         shown(families_.front()->model_types.front()));
  return describe_model(
      {family, checkpoint.config(), checkpoint.tensors(), keys_of_all(families_), !type.empty()});
}

}  // namespace llm2mnn
