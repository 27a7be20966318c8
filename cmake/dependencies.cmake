# Every library comes from the distribution's packages (docs/adr/0001); nothing is downloaded.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(simdjson REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(muparser REQUIRED)
find_package(tomlplusplus REQUIRED)

find_library(HWY_LIBRARY hwy REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
find_library(UTF8PROC_LIBRARY utf8proc REQUIRED)
find_library(FLATBUFFERS_LIBRARY flatbuffers REQUIRED)
find_program(FLATC_PROGRAM flatc REQUIRED)

if(LLM2MNN_DEVELOPER_MODE)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
endif()
