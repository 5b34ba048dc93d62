// Checkpoints from anywhere: byte 0 of the input chooses the program, byte 1 whether states are
// moved to the program's own operators, the rest is a PipelineCheckpoint. Whatever it holds, the
// pipeline takes it or refuses it, and goes on.
//
// The mutator knows the message: it changes fields, and copies, moves and removes parts.
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/message.h"

#include "proto/checkpoint.pb.h"
#include "test/fuzz/checkpoint_programs.h"
#include "test/fuzz/fuzzing.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace varpulis::fuzz {
namespace {

using checkpoint::v1::PipelineCheckpoint;
using engine::Pipeline;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kHeader = kCheckpointHeader;

// States under the names that the program has for them, so that corpora outlive fingerprints.
void Adopt(const Pipeline& pipeline, PipelineCheckpoint& checkpoint) {
  const auto own = pipeline.Save();
  checkpoint.set_version(1);
  for (int i = 0; i < checkpoint.operators_size() && i < own->operators_size(); ++i) {
    const auto& place = own->operators(i);
    auto& state = *checkpoint.mutable_operators(i);
    state.set_stream(place.stream());
    state.set_position(place.position());
    state.set_fingerprint(place.fingerprint());
  }
}

void Run(const uint8_t* data, size_t size) {
  if (size < kHeader) return;
  PipelineCheckpoint checkpoint;
  if (!checkpoint.ParseFromArray(data + kHeader, static_cast<int>(size - kHeader))) return;
  std::unique_ptr<Pipeline> pipeline = CompileProgram(data[0]);
  if (data[1] % 4 != 0) Adopt(*pipeline, checkpoint);
  if (!pipeline->Restore(checkpoint).ok()) return;
  (void)pipeline->Save();
  PushEvents(*pipeline, 0, 0, 6);
  // And near the time of the checkpoint, where windows of its rows end.
  constexpr int64_t kFarthest = int64_t{1} << 62;
  if (checkpoint.pipeline_time_ns() > 0 && checkpoint.pipeline_time_ns() < kFarthest) {
    PushEvents(*pipeline, checkpoint.pipeline_time_ns(), 0, 6);
  }
  const auto saved = pipeline->Save();
  Collected end;
  pipeline->Finish(end);
  // What it saves itself, it takes. Compiling takes most of the time of a run.
  if (data[1] % 8 < 6) return;
  std::unique_ptr<Pipeline> again = CompileProgram(data[0]);
  const absl::Status status = again->Restore(*saved);
  Require(status.ok(), "a checkpoint of its own is refused", status.message());
  PushEvents(*again, 0, 6, 8);
}

// ---- Mutations.

using Random = std::minstd_rand;

int64_t AnyInteger(Random& random) {
  static constexpr int64_t kInteresting[] = {0,
                                             1,
                                             -1,
                                             2,
                                             7,
                                             64,
                                             1000,
                                             100'000,
                                             1'000'000'000,
                                             std::numeric_limits<int32_t>::max(),
                                             std::numeric_limits<int64_t>::max(),
                                             std::numeric_limits<int64_t>::min()};
  const size_t n = random() % (std::size(kInteresting) + 3);
  if (n < std::size(kInteresting)) return kInteresting[n];
  return static_cast<int64_t>(random()) << (random() % 33);
}

double AnyReal(Random& random) {
  switch (random() % 6) {
    case 0:
      return std::numeric_limits<double>::quiet_NaN();
    case 1:
      return std::numeric_limits<double>::infinity();
    case 2:
      return -1e308;
    default:
      return static_cast<double>(random() % 1000) / 8;
  }
}

void SetScalar(Message& message, const FieldDescriptor& field, int index, Random& random) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
#define FUZZ_SET(TYPE, VALUE)                                             \
  repeated ? reflection.SetRepeated##TYPE(&message, &field, index, VALUE) \
           : reflection.Set##TYPE(&message, &field, VALUE)
    case FieldDescriptor::CPPTYPE_INT64:
      FUZZ_SET(Int64, AnyInteger(random));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      FUZZ_SET(UInt64, static_cast<uint64_t>(AnyInteger(random)));
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      FUZZ_SET(UInt32, static_cast<uint32_t>(AnyInteger(random)));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      FUZZ_SET(Double, AnyReal(random));
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      FUZZ_SET(Bool, random() % 2 == 0);
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      FUZZ_SET(String, std::string(random() % 4, static_cast<char>('a' + random() % 4)));
      break;
    default:
      break;
#undef FUZZ_SET
  }
}

void MutateMessage(Message& message, Random& random, int depth);

void MutateRepeated(Message& message, const FieldDescriptor& field, Random& random, int depth) {
  const Reflection& reflection = *message.GetReflection();
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const int size = reflection.FieldSize(message, &field);
  const int index = size > 0 ? static_cast<int>(random() % static_cast<unsigned>(size)) : 0;
  const unsigned choice = random() % 8;
  if (size == 0 || (choice == 0 && size < 50)) {
    if (is_message) {
      Message& added = *reflection.AddMessage(&message, &field);
      if (size > 0) added.CopyFrom(reflection.GetRepeatedMessage(message, &field, index));
      return;
    }
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.AddInt64(&message, &field, AnyInteger(random));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.AddDouble(&message, &field, AnyReal(random));
      default:
        return;
    }
  }
  if (choice == 1) return reflection.RemoveLast(&message, &field);
  if (choice == 2) return reflection.SwapElements(&message, &field, index, size - 1);
  if (is_message) {
    return MutateMessage(*reflection.MutableRepeatedMessage(&message, &field, index), random,
                         depth + 1);
  }
  SetScalar(message, field, index, random);
}

void MutateMessage(Message& message, Random& random, int depth) {
  constexpr int kMaxDepth = 40;
  if (depth > kMaxDepth) return;
  const google::protobuf::Descriptor& descriptor = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  const FieldDescriptor* field =
      set.empty() || random() % 8 == 0
          ? descriptor.field(
                static_cast<int>(random() % static_cast<unsigned>(descriptor.field_count())))
          : set[random() % set.size()];
  if (random() % 32 == 0) return reflection.ClearField(&message, field);
  if (field->is_repeated()) return MutateRepeated(message, *field, random, depth);
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return MutateMessage(*reflection.MutableMessage(&message, field), random, depth + 1);
  }
  SetScalar(message, *field, 0, random);
}

}  // namespace
}  // namespace varpulis::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  varpulis::fuzz::Run(data, size);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using varpulis::fuzz::kHeader;
  varpulis::fuzz::Random random(seed);
  varpulis::checkpoint::v1::PipelineCheckpoint checkpoint;
  if (size < kHeader || random() % 16 == 0 ||
      !checkpoint.ParseFromArray(data + kHeader, static_cast<int>(size - kHeader))) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  for (unsigned i = 0; i <= random() % 4; ++i) {
    varpulis::fuzz::MutateMessage(checkpoint, random, 0);
  }
  const std::string bytes = checkpoint.SerializeAsString();
  if (bytes.size() + kHeader > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data + kHeader, bytes.data(), bytes.size());
  return kHeader + bytes.size();
}
