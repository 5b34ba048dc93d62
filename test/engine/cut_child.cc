// The second half of a run that cut_test.cc cuts: cut_child PROGRAM CHECKPOINT EVENTS restores the
// program of that number, feeds it the events and prints all that it says.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "test/engine/run_program.h"
#include "test/engine/state_programs.h"

namespace {

std::string Contents(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  using namespace varpulis::engine;
  if (argc != 4) return 2;
  const auto pipeline = CompileOrDie(kStatePrograms[std::strtoul(argv[1], nullptr, 10)]);
  varpulis::checkpoint::v1::PipelineCheckpoint checkpoint;
  if (pipeline == nullptr || !checkpoint.ParseFromString(Contents(argv[2])) ||
      !pipeline->Restore(checkpoint).ok()) {
    return 1;
  }
  Everything sink;
  Feed(*pipeline, Contents(argv[3]), sink);
  pipeline->Finish(sink);
  std::fwrite(sink.text.data(), 1, sink.text.size(), stdout);
  return 0;
}
