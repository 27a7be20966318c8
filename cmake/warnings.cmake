# One place for warnings, floating-point rules and sanitizers.
add_library(llm2mnn_options INTERFACE)
target_compile_options(llm2mnn_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  # g++ 12 reports std::string's operator+ in optimised builds (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # Codes must not depend on the ISA: no fused multiply-add behind our back (docs/adr/0007).
  -ffp-contract=off)
option(LLM2MNN_WERROR "Warnings are errors" OFF)
if(LLM2MNN_WERROR)
  target_compile_options(llm2mnn_options INTERFACE -Werror)
endif()
if(LLM2MNN_SANITIZE)
  target_compile_options(llm2mnn_options INTERFACE
    -fsanitize=${LLM2MNN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(llm2mnn_options INTERFACE -fsanitize=${LLM2MNN_SANITIZE})
endif()
if(LLM2MNN_FUZZ)
  target_compile_options(llm2mnn_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(llm2mnn_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
option(LLM2MNN_COVERAGE "Instrument for line coverage" OFF)
if(LLM2MNN_COVERAGE)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(llm2mnn_options INTERFACE -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(llm2mnn_options INTERFACE -fprofile-instr-generate)
  else()
    target_compile_options(llm2mnn_options INTERFACE --coverage)
    target_link_options(llm2mnn_options INTERFACE --coverage)
  endif()
endif()
