#include <cstdio>

int main() {
  std::puts("llm2mnn " LLM2MNN_VERSION);
  return 0;
}
