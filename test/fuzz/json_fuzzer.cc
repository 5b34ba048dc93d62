// JSON requests: the first byte of the input chooses the message, the rest is its JSON. What was
// read prints as JSON that reads as the same message.
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "google/protobuf/message.h"

#include "proto/cluster.pb.h"
#include "proto/event.pb.h"
#include "proto/worker_api.pb.h"
#include "test/fuzz/fuzzing_base.h"
#include "transport/json_codec.h"
#include "transport/json_document.h"

namespace varpulis::fuzz {
namespace {

using google::protobuf::Message;

const Message& Prototype(uint8_t choice) {
  static const Message* const kMessages[] = {
      &v1::DeployGroupRequest::default_instance(),
      &v1::InjectRequest::default_instance(),
      &v1::InjectBatchRequest::default_instance(),
      &v1::RegisterWorkerRequest::default_instance(),
      &v1::Heartbeat::default_instance(),
      &v1::ListRequest::default_instance(),
      &v1::ValidateRequest::default_instance(),
      &v1::DeployPipelineRequest::default_instance(),
      &v1::WorkerInjectRequest::default_instance(),
      &v1::WorkerInjectBatchRequest::default_instance(),
      &v1::DrainRequest::default_instance(),
      &v1::EventBatch::default_instance(),
      &v1::Value::default_instance(),
      &v1::DeployWorkerPipelineRequest::default_instance(),
      &v1::InjectWorkerPipelineRequest::default_instance(),
      &v1::InjectBatchWorkerPipelineRequest::default_instance(),
      &v1::WorkerRestoreRequest::default_instance(),
      &v1::ErrorReply::default_instance(),
      &v1::GroupInfo::default_instance(),
  };
  return *kMessages[choice % std::size(kMessages)];
}

void Run(uint8_t choice, std::string_view input) {
  // A buffer of its own, so that AddressSanitizer sees its end.
  const std::string copy(input);
  const absl::string_view json(copy.data(), copy.size());
  std::unique_ptr<Message> message(Prototype(choice).New());
  if (!transport::FromJson(json, message.get()).ok()) return;
  rapidjson::Document document;
  Require(transport::ParseJson(json, 32, &document).ok(), "read though it is no JSON");
  // Printing leaves out what is hidden and writes NaN as null; from then on nothing may change.
  // It may grow: `\u0001` for a byte, so the limits do not apply any more.
  transport::JsonReadOptions wide;
  wide.max_depth = 200;
  wide.max_string_bytes = wide.max_text_bytes = 1 << 30;
  const std::string first = transport::ToJson(*message);
  std::unique_ptr<Message> again(Prototype(choice).New());
  const absl::Status status = transport::FromJson(first, again.get(), wide);
  // Secrets are never printed, and NaN is null.
  if (absl::EndsWith(status.message(), "is required")) return;
  Require(status.ok(),
          std::string("what ToJson writes is refused: ") + std::string(status.message()), first);
  const std::string second = transport::ToJson(*again);
  Require(first == second, "ToJson is not stable", first + "\n" + second);
}

}  // namespace
}  // namespace varpulis::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  varpulis::fuzz::Run(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
