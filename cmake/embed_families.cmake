# Run by the build: cmake -DOUTPUT=... -DFUNCTION=... -DFAMILIES=dir1/family.toml,dir2/family.toml -P embed_families.cmake
# Writes a .cc with FUNCTION, which returns every file as a string, in the order given.
string(REPLACE "," ";" files "${FAMILIES}")
set(rows "")
foreach(file IN LISTS files)
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(name ${folder} NAME)
  file(READ ${file} text)
  # The delimiter of the raw string must not occur in the text.
  string(FIND "${text}" ")family" clash)
  if(NOT clash EQUAL -1)
    message(FATAL_ERROR "${file} contains ')family', the end mark of the embedded text")
  endif()
  string(APPEND rows "    EmbeddedFamily{\"${name}\", R\"family(${text})family\"},\n")
endforeach()
file(WRITE ${OUTPUT} "#include <array>\n\n#include \"arch/embedded_families.h\"\n\nnamespace llm2mnn {\n\n"
  "std::span<const EmbeddedFamily> ${FUNCTION}() {\n  static constexpr std::array families = {\n${rows}"
  "  };\n  return families;\n}\n\n}  // namespace llm2mnn\n")
