#include "transport/message.h"

namespace varpulis::transport {
namespace {

class PartsBacking : public InboundMessage::Backing {
 public:
  explicit PartsBacking(OutgoingMessage parts) : parts_(std::move(parts)) {}

  absl::string_view subject() const override { return parts_.subject; }
  absl::string_view reply_to() const override { return parts_.reply_to; }
  absl::string_view payload() const override { return parts_.payload; }
  std::optional<std::string> Header(const std::string& name) const override {
    for (const auto& [key, value] : parts_.headers) {
      if (key == name) return value;
    }
    return std::nullopt;
  }

 private:
  const OutgoingMessage parts_;
};

}  // namespace

InboundMessage InboundMessage::FromParts(OutgoingMessage parts) {
  return InboundMessage(std::make_unique<PartsBacking>(std::move(parts)));
}

}  // namespace varpulis::transport
