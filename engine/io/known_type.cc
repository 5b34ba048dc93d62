#include "engine/io/known_type.h"

#include <algorithm>

#include "engine/io/evt_value.h"

namespace varpulis::engine {
namespace {

// `12`, `-3.5`: see ReadSimpleNumber. Ends at the latest at the newline.
const char* ReadNumber(const char* at, Value* out) {
  constexpr ptrdiff_t kExactDigits = 15;
  const bool negative = *at == '-';
  if (negative) ++at;
  const char* first = at;
  uint64_t digits = 0;
  for (; evt_internal::IsDigit(*at); ++at) digits = digits * 10 + static_cast<uint64_t>(*at - '0');
  const ptrdiff_t count = at - first;
  if (count == 0 || count > kExactDigits) return nullptr;
  if (*at != '.') {
    const auto value = static_cast<int64_t>(digits);
    *out = Value::Int(negative ? -value : value);
    return at;
  }
  const char* point = ++at;
  for (; evt_internal::IsDigit(*at); ++at) digits = digits * 10 + static_cast<uint64_t>(*at - '0');
  const ptrdiff_t decimals = at - point;
  if (decimals == 0 || count + decimals > kExactDigits) return nullptr;
  const double value =
      static_cast<double>(static_cast<int64_t>(digits)) / evt_internal::kPowersOfTen[decimals];
  *out = Value::Float(negative ? -value : value);
  return at;
}

const char* ReadString(const char* at, Value* out) {
  const char* begin = ++at;
  while (*at != '"' && *at != '\\' && *at != '\n') ++at;
  const auto size = static_cast<size_t>(at - begin);
  if (*at != '"' || size > kMaxStringBytes) return nullptr;
  *out = Value::String({begin, size});
  return at + 1;
}

}  // namespace

void ExpectedText::Set(std::string_view name, std::string_view punctuation) {
  name_.assign(name.data(), name.size());
  std::string text = name_;
  text.append(punctuation.data(), punctuation.size());
  size_ = text.size();
  const size_t head = std::min(size_, kReadable);
  char bytes[kReadable] = {}, mask[kReadable] = {};
  std::memcpy(bytes, text.data(), head);
  std::memset(mask, 0xFF, head);
  std::memcpy(words_, bytes, sizeof(bytes));
  std::memcpy(masks_, mask, sizeof(mask));
  rest_ = text.substr(head);
}

bool ExpectedText::RestStandsAt(const char* at) const {
  for (const char c : rest_) {
    if (*at++ != c) return false;  // at a newline at the latest: no name has one
  }
  return true;
}

void KnownType::Start(std::string_view name, const InputType* type) {
  opening_.Set(name, " {");
  type_ = type;
  quick_ = name.size() <= kMaxExpectedName && (type == nullptr || type->all_fields_slot < 0);
}

void KnownType::Learn(size_t position, std::string_view field, int slot) {
  if (position >= kMaxExpected || field.size() > kMaxExpectedName) return;
  if (fields_.size() <= position) fields_.resize(position + 1);
  fields_[position].text.Set(field, ":");
  fields_[position].slot = slot;
}

const char* KnownType::ReadEvent(const char* at, Value* slots) const {
  const size_t slot_count = type_ != nullptr ? type_->slot_count : 0;
  for (size_t i = 0; i < slot_count; ++i) slots[i] = Value();
  const char* begin = at;
  at += opening_.size();
  if (*at == ' ') ++at;
  Value unread;
  for (const Field& field : fields_) {
    if (*at == '}') break;
    if (!field.text.StandsAt(at)) return nullptr;
    at += field.text.size();
    if (*at == ' ') ++at;
    Value* out = field.slot >= 0 ? slots + field.slot : &unread;
    at = *at == '"' ? ReadString(at, out) : ReadNumber(at, out);
    if (at == nullptr) return nullptr;
    if (*at == ' ') ++at;
    if (*at != ',') break;
    ++at;
    if (*at == ' ') ++at;
  }
  if (*at != '}') return nullptr;
  ++at;
  if (*at == '\r') ++at;
  if (*at != '\n' || static_cast<size_t>(at - begin) > kMaxLineBytes) return nullptr;
  return at + 1;
}

}  // namespace varpulis::engine
