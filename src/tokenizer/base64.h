#pragma once
// Base64 as RFC 4648 has it.

#include <string>
#include <string_view>

namespace llm2mnn {

/// The bytes of strict base64, with padding, in `out`; false when `text` is something else.
bool decode_base64(std::string_view text, std::string& out);
/// Appends `bytes` in base64.
void append_base64(std::string_view bytes, std::string& out);

}  // namespace llm2mnn
