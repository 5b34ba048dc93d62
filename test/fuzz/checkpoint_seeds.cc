// Writes the seed corpus of checkpoint_fuzzer: checkpoint_seeds test/fuzz/corpus/checkpoint
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "test/fuzz/checkpoint_programs.h"

int main(int argc, char** argv) {
  using namespace varpulis::fuzz;
  Require(argc == 2, "usage: checkpoint_seeds DIRECTORY");
  std::filesystem::create_directories(argv[1]);
  for (size_t program = 0; program < std::size(kCheckpointPrograms); ++program) {
    for (const int64_t events : {0, 3, 8}) {
      auto pipeline = CompileProgram(program);
      PushEvents(*pipeline, 0, 0, events);
      const auto checkpoint = pipeline->Save();
      std::ofstream file(
          std::string(argv[1]) + "/" + std::to_string(program) + "_after_" + std::to_string(events),
          std::ios::binary);
      file << static_cast<char>(program) << '\x07' << checkpoint->SerializeAsString();
      Require(file.good(), "cannot write to", argv[1]);
    }
  }
  return 0;
}
