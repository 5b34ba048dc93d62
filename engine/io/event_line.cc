#include "engine/io/event_line.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "absl/strings/str_cat.h"

#include "base/status_macros.h"
#include "engine/io/evt_value.h"
#include "engine/runtime/all_fields.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

absl::Status Invalid(absl::string_view message) { return absl::InvalidArgumentError(message); }

// memcmp for the few bytes of a name, without a call.
bool SameBytes(const char* a, const char* b, size_t length) {
  uint64_t x, y;
  while (length >= sizeof(x)) {
    std::memcpy(&x, a, sizeof(x));
    std::memcpy(&y, b, sizeof(y));
    if (x != y) return false;
    a += sizeof(x);
    b += sizeof(y);
    length -= sizeof(x);
  }
  while (length > 0 && *a == *b) {
    ++a;
    ++b;
    --length;
  }
  return length == 0;
}

// After the closing bracket: nothing, or one `;`.
absl::Status CheckRest(const char* at, const char* end) {
  at = SkipBlanks(at, end);
  if (at < end && *at == ';') at = SkipBlanks(at + 1, end);
  return at == end ? absl::OkStatus() : Invalid("text after the event");
}

}  // namespace

absl::Status EventLineReader::Read(std::string_view line, LineEvent* event) {
  *event = LineEvent();
  if (line.size() > kMaxLineBytes) {
    return Invalid(absl::StrCat("line is longer than ", kMaxLineBytes, " bytes"));
  }
  const char* begin = SkipBlanks(line.data(), line.data() + line.size());
  line.remove_prefix(static_cast<size_t>(begin - line.data()));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) {
    line.remove_suffix(1);
  }
  if (line.empty() || line[0] == '#') return absl::OkStatus();
  event->has_timestamp = has_offset_;
  event->row.timestamp_ns = offset_ns_;
  switch (line[0]) {
    case '/':
      if (line.substr(0, 2) == "//") return absl::OkStatus();
      break;
    case 'B':
      if (line.substr(0, 5) == "BATCH") return ReadBatch(line.substr(5));
      break;
    case '@':
      RETURN_IF_ERROR(ReadOffset(&line, event));
      break;
    default:
      break;
  }
  event->present = true;
  if (!line.empty() && line[0] == '{') return ReadJson(line, event);
  return ReadText(line, event);
}

absl::Status EventLineReader::ReadBatch(std::string_view rest) {
  const std::string_view text = Trim(rest);
  if (text.empty()) return absl::OkStatus();
  int64_t milliseconds = 0, ns = 0;
  if (rest[0] != ' ' && rest[0] != '\t') return Invalid("`BATCH` without a number of milliseconds");
  if (!ParseInt(text, &milliseconds) || milliseconds < 0 ||
      __builtin_mul_overflow(milliseconds, kMillisecond, &ns) ||
      __builtin_add_overflow(ns, base_ns_, &ns)) {
    return Invalid("`BATCH` without a number of milliseconds");
  }
  has_offset_ = true;
  offset_ns_ = ns;
  return absl::OkStatus();
}

absl::Status EventLineReader::ReadOffset(std::string_view* line, LineEvent* event) {
  const char* at = line->data() + 1;
  const char* end = line->data() + line->size();
  int64_t number = 0, ns = 0;
  const auto parsed = std::from_chars(at, end, number);
  const char* word = parsed.ptr;
  const char* space = std::find_if(word, end, [](char c) { return c == ' ' || c == '\t'; });
  const std::string_view unit(word, static_cast<size_t>(space - word));
  int64_t scale = 0;
  if (unit.empty() || unit == "ms") scale = kMillisecond;
  if (unit == "s") scale = 1000 * kMillisecond;
  if (unit == "m") scale = 60'000 * kMillisecond;
  if (parsed.ec != std::errc() || number < 0 || scale == 0 || space == end ||
      __builtin_mul_overflow(number, scale, &ns) || __builtin_add_overflow(ns, base_ns_, &ns)) {
    return Invalid("`@` without an offset such as @1500ms, @3s or @2m, and an event");
  }
  event->has_timestamp = true;
  event->row.timestamp_ns = ns;
  at = SkipBlanks(space, end);
  *line = std::string_view(at, static_cast<size_t>(end - at));
  return absl::OkStatus();
}

KnownType& EventLineReader::Known(std::string_view name) {
  if (last_ != nullptr && last_->name() == name) return *last_;
  const InputType* type = inputs_.Find(name);
  if (type == nullptr) type = fallback_;
  KnownType* known = &unknown_;
  if (type != nullptr) {
    std::unique_ptr<KnownType>& slot = known_[type];
    if (slot == nullptr) slot = std::make_unique<KnownType>();
    known = slot.get();
  }
  // The fallback and the unknown stand for many names.
  if (known->name() != name) known->Start(name, type);
  if (last_ != nullptr) last_->successor = known;
  last_ = known;
  return *known;
}

// The last type or the one expected behind it, if an event of it opens at `at`.
KnownType* EventLineReader::KnownAt(const char* at) const {
  if (last_ == nullptr) return nullptr;
  if (last_->OpensAt(at)) return last_;
  KnownType* next = last_->successor;
  return next != nullptr && next->OpensAt(at) ? next : nullptr;
}

// `@12ms `, `@12s ` and `@12 `, of few digits. Null for everything else. Ends at a newline.
const char* EventLineReader::SkipSimpleOffset(const char* at, int64_t* ns) const {
  constexpr ptrdiff_t kMaxDigits = 9;
  const char* first = ++at;
  int64_t number = 0;
  for (; evt_internal::IsDigit(*at) && at - first <= kMaxDigits; ++at) {
    number = number * 10 + (*at - '0');
  }
  if (at == first || at - first > kMaxDigits) return nullptr;
  int64_t scale = kMillisecond;
  if (*at == 's') {
    scale = 1000 * kMillisecond;
    ++at;
  } else if (*at == 'm' && at[1] == 's') {
    at += 2;
  }
  if (*at != ' ') return nullptr;
  *ns = base_ns_ + number * scale;
  return at + 1;
}

absl::Status EventLineReader::ReadRows(std::string_view* text, size_t max_rows, EventRows* rows) {
  rows->rows.clear();
  rows->runs.clear();
  rows->lines = 0;
  const auto add = [rows](const InputType* type, const Row& row) {
    if (rows->runs.empty() || rows->runs.back().type != type) rows->runs.push_back({type, 0});
    ++rows->runs.back().count;
    rows->rows.push_back(row);
  };
  const char* at = text->data();
  const char* const end = at + text->size();
  const auto took = [&](const char* behind) {
    text->remove_prefix(static_cast<size_t>(behind - text->data()));
  };
  while (at < end && rows->rows.size() < max_rows) {
    Row row;
    row.timestamp_ns = offset_ns_;
    const char* event = *at == '@' ? SkipSimpleOffset(at, &row.timestamp_ns) : at;
    KnownType* known = event != nullptr ? KnownAt(event) : nullptr;
    if (known != nullptr) {
      const InputType* type = known->type();
      if (type != nullptr) row.slots = arena_.Allocate<Value>(type->slot_count);
      const char* behind = known->ReadEvent(event, row.slots);
      if (behind != nullptr) {
        last_ = known;
        add(type, row);
        ++rows->lines;
        at = behind;
        continue;
      }
    }
    took(at);
    // Anything unusual stands alone.
    if (!rows->rows.empty()) return absl::OkStatus();
    const size_t newline = text->find('\n');
    LineEvent read;
    RETURN_IF_ERROR(Read(text->substr(0, newline), &read));
    ++rows->lines;
    at += newline + 1;
    took(at);
    if (!read.present) continue;
    add(read.type, read.row);
    return absl::OkStatus();
  }
  took(at);
  return absl::OkStatus();
}

void EventLineReader::StartRow(const InputType* type, LineEvent* event) {
  event->type = type;
  if (type == nullptr) return;
  event->row.slots = arena_.Allocate<Value>(type->slot_count);
  for (size_t i = 0; i < type->slot_count; ++i) event->row.slots[i] = Value();
}

absl::Status EventLineReader::ReadText(std::string_view line, LineEvent* event) {
  const char* begin = line.data();
  const char* end = begin + line.size();
  if (last_ != nullptr) {  // mostly the same type again, as `Type {`
    const std::string& name = last_->name();
    if (line.size() > name.size() + 2 && begin[name.size()] == ' ' &&
        begin[name.size() + 1] == '{' && SameBytes(begin, name.data(), name.size())) {
      event->type_name = std::string_view(begin, name.size());
      StartRow(last_->type(), event);
      return ReadFields(begin + name.size() + 2, end, *last_, event);
    }
  }
  const char* open = begin;
  while (open < end && *open != '{' && *open != '(') ++open;
  if (open == end) return Invalid("not an event: `Type { field: value }` is expected");
  const char* name_end = open;
  while (name_end > begin && (name_end[-1] == ' ' || name_end[-1] == '\t')) --name_end;
  if (name_end == begin) return Invalid("event has no type");
  event->type_name = std::string_view(begin, static_cast<size_t>(name_end - begin));
  KnownType& known = Known(event->type_name);
  StartRow(known.type(), event);
  return *open == '{' ? ReadFields(open + 1, end, known, event)
                      : ReadPositional(open + 1, end, known, event);
}

absl::Status EventLineReader::ReadFields(const char* at, const char* end, KnownType& known,
                                         LineEvent* event) {
  const InputType* type = known.type();
  const bool wants_all = type != nullptr && type->all_fields_slot >= 0;
  std::vector<MapEntry> all;
  size_t count = 0;
  at = SkipBlanks(at, end);
  while (at < end && *at != '}') {
    int slot = -1;
    std::string_view name;
    const KnownType::Field* expected = known.field(count);
    if (expected != nullptr && static_cast<size_t>(end - at) >= expected->text.size() &&
        at[expected->text.size() - 1] == ':' &&
        SameBytes(at, expected->text.name().data(), expected->text.name().size())) {
      name = std::string_view(at, expected->text.name().size());
      slot = expected->slot;
      at += expected->text.size();
    } else {
      const auto* colon =
          static_cast<const char*>(std::memchr(at, ':', static_cast<size_t>(end - at)));
      if (colon == nullptr) return Invalid("field without `:`");
      name = Trim({at, static_cast<size_t>(colon - at)});
      if (name.empty()) return Invalid("field without a name");
      slot = type != nullptr ? type->SlotOf(name) : -1;
      known.Learn(count, name, slot);
      at = colon + 1;
    }
    if (++count > kMaxFields) {
      return Invalid(absl::StrCat("event has more than ", kMaxFields, " fields"));
    }
    at = SkipBlanks(at, end);
    Value value;
    Value* out = slot >= 0 ? &event->row.slots[slot] : wants_all ? &value : nullptr;
    RETURN_IF_ERROR(ReadEvtValue(&at, end, '}', 0, arena_, out),
                    Annotate("field `", absl::string_view(name.data(), name.size()), "`"));
    if (wants_all) all.push_back({name, *out});
    if (at < end && *at == ',') at = SkipBlanks(at + 1, end);
  }
  if (at >= end) return Invalid("event without closing `}`");
  if (wants_all) {
    AllFields fields(*type, arena_, all.size());
    for (const MapEntry& entry : all) fields.Add(entry.key, entry.value);
    fields.Finish(event->row.slots);
  }
  return CheckRest(at + 1, end);
}

absl::Status EventLineReader::ReadPositional(const char* at, const char* end, KnownType& known,
                                             LineEvent* event) {
  const InputType* type = known.type();
  std::vector<MapEntry> all;
  const bool wants_all = type != nullptr && type->all_fields_slot >= 0;
  size_t count = 0;
  at = SkipBlanks(at, end);
  while (at < end && *at != ')') {
    if (count >= kMaxFields) {
      return Invalid(absl::StrCat("event has more than ", kMaxFields, " fields"));
    }
    const std::string name = absl::StrCat("field_", count++);
    const int slot = type != nullptr ? type->SlotOf(name) : -1;
    Value value;
    RETURN_IF_ERROR(ReadEvtValue(&at, end, ')', 0, arena_, &value), Annotate("field `", name, "`"));
    if (slot >= 0) event->row.slots[slot] = value;
    if (wants_all) all.push_back({arena_.CopyString(name), value});
    if (at < end && *at == ',') at = SkipBlanks(at + 1, end);
  }
  if (at >= end) return Invalid("event without closing `)`");
  if (wants_all) {
    AllFields fields(*type, arena_, all.size());
    for (const MapEntry& entry : all) fields.Add(entry.key, entry.value);
    fields.Finish(event->row.slots);
  }
  return CheckRest(at + 1, end);
}

absl::Status EventLineReader::ReadJson(std::string_view line, LineEvent* event) {
  if (json_ == nullptr) json_ = std::make_unique<JsonLineParser>();
  RETURN_IF_ERROR(json_->Parse(line));
  event->type_name = json_->type_name();
  if (json_->has_timestamp()) {
    event->has_timestamp = true;
    event->row.timestamp_ns = json_->timestamp_ns();
  }
  const InputType* type = inputs_.Find(event->type_name);
  if (type == nullptr) type = fallback_;
  StartRow(type, event);
  return json_->Fields(type, arena_, event->row.slots);
}

}  // namespace varpulis::engine
