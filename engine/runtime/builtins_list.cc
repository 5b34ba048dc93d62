#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_set.h"

#include "engine/runtime/builtins.h"
#include "engine/runtime/operations.h"
#include "engine/runtime/text.h"

namespace varpulis::engine {
namespace {

bool List(const Value& value) { return value.is(ValueKind::kList); }
bool Map(const Value& value) { return value.is(ValueKind::kMap); }

Value* CopyItems(const Value& list, size_t extra, EvalContext& context) {
  auto* items = context.arena->Allocate<Value>(list.size() + extra);
  std::copy(list.items(), list.items() + list.size(), items);
  return items;
}

Value Len(const Value* a, size_t, EvalContext&) {
  if (List(*a) || Map(*a)) return Value::Int(static_cast<int64_t>(a->size()));
  if (!a->is(ValueKind::kString)) return Value();
  return Value::Int(static_cast<int64_t>(CountCharacters(a->string())));
}
Value ByteLen(const Value* a, size_t, EvalContext&) {
  return a->is(ValueKind::kString) ? Value::Int(static_cast<int64_t>(a->size())) : Value();
}
Value First(const Value* a, size_t, EvalContext&) {
  return List(*a) && a->size() > 0 ? a->items()[0] : Value();
}
Value Last(const Value* a, size_t, EvalContext&) {
  return List(*a) && a->size() > 0 ? a->items()[a->size() - 1] : Value();
}
Value Push(const Value* a, size_t, EvalContext& context) {
  if (!List(a[0]) || a[0].size() >= kMaxResultItems) return Value();
  const size_t size = a[0].size();
  const Value* end = a[0].items() + size;
  Extent extent = a[0].extent();
  extent.Add(a[1].extent());
  extent.units = a[1].units();
  if (size > 0 && context.arena->TakeRoom(end, sizeof(Value), &extent.units)) {
    *const_cast<Value*>(end) = a[1];  // behind what anyone else sees of the list
    // The room counts exactly. The list may have lost items at its begin, but few: a copy has room
    // for half as many again.
    return Value::List(a[0].items(), size + 1, extent);
  }
  const size_t room = size / 2;
  Value* items = CopyItems(a[0], 1 + room, context);
  items[size] = a[1];
  extent = Value::ExtentOf(items, size + 1);
  if (room > 0) {
    context.arena->KeepRoom(items + size + 1, room * sizeof(Value), extent.units);
  }
  return Value::List(items, size + 1, extent);
}
Value Pop(const Value* a, size_t, EvalContext&) {
  if (!List(*a) || a->size() == 0) return Value();
  return Value::List(a->items(), a->size() - 1, a->size() == 1 ? Extent::OfEmpty() : a->extent());
}

Value Reverse(const Value* a, size_t, EvalContext& context) {
  if (List(*a)) {
    Value* items = CopyItems(*a, 0, context);
    std::reverse(items, items + a->size());
    return Value::List(items, a->size());
  }
  if (!a->is(ValueKind::kString)) return Value();
  const std::string_view text = a->string();
  char* out = context.arena->Allocate<char>(text.size());
  size_t end = text.size();
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(text, i);
    end -= length;
    std::copy(text.begin() + static_cast<std::ptrdiff_t>(i),
              text.begin() + static_cast<std::ptrdiff_t>(i + length), out + end);
    i += length;
  }
  return Value::String({out, text.size()});
}

Value Sort(const Value* a, size_t, EvalContext& context) {
  if (!List(*a)) return Value();
  Value* items = CopyItems(*a, 0, context);
  std::stable_sort(items, items + a->size(),
                   [](const Value& x, const Value& y) { return Compare(x, y) == Ordering::kLess; });
  return Value::List(items, a->size());
}

Value ContainsItem(const Value* a, size_t, EvalContext& context) {
  return ApplyBinary(BinaryOp::kIn, a[1], a[0], *context.arena);
}

Value Keys(const Value* a, size_t, EvalContext& context) {
  if (!Map(*a)) return Value();
  auto* items = context.arena->Allocate<Value>(a->size());
  for (size_t i = 0; i < a->size(); ++i) items[i] = Value::String(a->entries()[i].key);
  return Value::List(items, a->size());
}
Value Values(const Value* a, size_t, EvalContext& context) {
  if (!Map(*a)) return Value();
  auto* items = context.arena->Allocate<Value>(a->size());
  for (size_t i = 0; i < a->size(); ++i) items[i] = a->entries()[i].value;
  return Value::List(items, a->size());
}

Value Get(const Value* a, size_t, EvalContext&) {
  if (Map(a[0])) return IndexValue(a[0], a[1]);
  if (!List(a[0]) || !a[1].is(ValueKind::kInt) || a[1].integer() < 0) return Value();
  return IndexValue(a[0], a[1]);
}

Value Set(const Value* a, size_t, EvalContext& context) {
  if (List(a[0]) && a[1].is(ValueKind::kInt)) {
    const int64_t index = a[1].integer();
    if (index < 0 || index >= static_cast<int64_t>(a[0].size())) return a[0];
    Value* items = CopyItems(a[0], 0, context);
    items[index] = a[2];
    return Value::List(items, a[0].size());
  }
  if (!Map(a[0]) || !a[1].is(ValueKind::kString) || a[0].size() >= kMaxResultItems) return Value();
  size_t size = a[0].size();
  auto* entries = context.arena->Allocate<MapEntry>(size + 1);
  std::copy(a[0].entries(), a[0].entries() + size, entries);
  MapEntry* place = std::find_if(entries, entries + size,
                                 [&](const MapEntry& entry) { return entry.key == a[1].string(); });
  if (place == entries + size) ++size;
  *place = {a[1].string(), a[2]};
  return Value::Map(entries, size);
}

Value Range(const Value* a, size_t count, EvalContext& context) {
  if (!a[0].is(ValueKind::kInt) || (count == 2 && !a[1].is(ValueKind::kInt))) return Value();
  const bool both = count == 2;
  return MakeIntRange(both ? a[0].integer() : 0, a[both ? 1 : 0].integer(), false, *context.arena);
}

double Total(const Value& list, size_t* numbers) {
  double total = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const Value& item = list.items()[i];
    if (!item.is_number()) continue;
    total += item.number();
    ++*numbers;
  }
  return total;
}
Value Sum(const Value* a, size_t, EvalContext&) {
  size_t numbers = 0;
  return List(*a) ? Value::Float(Total(*a, &numbers)) : Value();
}
Value Avg(const Value* a, size_t, EvalContext&) {
  if (!List(*a)) return Value();
  size_t numbers = 0;
  const double total = Total(*a, &numbers);
  return Value::Float(numbers == 0 ? 0.0 : total / static_cast<double>(numbers));
}

struct ItemHash {
  size_t operator()(const Value* value) const { return static_cast<size_t>(HashValue(*value)); }
};
struct ItemEqual {
  bool operator()(const Value* a, const Value* b) const { return Equal(*a, *b); }
};

// First appearances, in order.
Value Unique(const Value* a, size_t, EvalContext& context) {
  if (!List(*a)) return Value();
  absl::flat_hash_set<const Value*, ItemHash, ItemEqual> seen;
  auto* items = context.arena->Allocate<Value>(a->size());
  size_t size = 0;
  for (size_t i = 0; i < a->size(); ++i) {
    if (seen.insert(&a->items()[i]).second) items[size++] = a->items()[i];
  }
  return Value::List(items, size);
}

Value Flatten(const Value* a, size_t, EvalContext& context) {
  if (!List(*a)) return Value();
  size_t total = 0;
  for (size_t i = 0; i < a->size(); ++i) {
    total += List(a->items()[i]) ? a->items()[i].size() : 1;
  }
  if (total > kMaxResultItems) return Value();
  auto* items = context.arena->Allocate<Value>(total);
  size_t size = 0;
  for (size_t i = 0; i < a->size(); ++i) {
    const Value& item = a->items()[i];
    if (!List(item)) {
      items[size++] = item;
      continue;
    }
    for (size_t k = 0; k < item.size(); ++k) items[size++] = item.items()[k];
  }
  return Value::List(items, size);
}

Value Zip(const Value* a, size_t, EvalContext& context) {
  if (!List(a[0]) || !List(a[1])) return Value();
  const size_t size = std::min(a[0].size(), a[1].size());
  auto* items = context.arena->Allocate<Value>(size);
  auto* pairs = context.arena->Allocate<Value>(2 * size);
  for (size_t i = 0; i < size; ++i) {
    pairs[2 * i] = a[0].items()[i];
    pairs[2 * i + 1] = a[1].items()[i];
    items[i] = Value::List(pairs + 2 * i, 2);
  }
  return Value::List(items, size);
}

}  // namespace

BuiltinFunction ListFunctionOf(Builtin id) {
  switch (id) {
    case Builtin::kLen:
      return Len;
    case Builtin::kByteLen:
      return ByteLen;
    case Builtin::kFirst:
      return First;
    case Builtin::kLast:
      return Last;
    case Builtin::kPush:
      return Push;
    case Builtin::kPop:
      return Pop;
    case Builtin::kReverse:
      return Reverse;
    case Builtin::kSort:
      return Sort;
    case Builtin::kContains:
      return ContainsItem;
    case Builtin::kKeys:
      return Keys;
    case Builtin::kValues:
      return Values;
    case Builtin::kGet:
      return Get;
    case Builtin::kSet:
      return Set;
    case Builtin::kRange:
      return Range;
    case Builtin::kSum:
      return Sum;
    case Builtin::kAvg:
      return Avg;
    case Builtin::kUnique:
      return Unique;
    case Builtin::kFlatten:
      return Flatten;
    case Builtin::kZip:
      return Zip;
    default:
      return nullptr;
  }
}

}  // namespace varpulis::engine
