#include <algorithm>
#include <utility>

#include "engine/lang/checker.h"
#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

void NamesOf(const PatternExpr& pattern, std::vector<const Name*>* names) {
  if (pattern.kind == PatternExpr::Kind::kStep) names->push_back(&pattern.step.type);
  for (const auto& child : pattern.children) NamesOf(*child, names);
}

}  // namespace

std::vector<Checker::Read> Checker::ReadsOf(const StreamDecl& stream) const {
  std::vector<Read> reads;
  absl::flat_hash_set<std::string_view> seen;  // patterns
  auto add = [&](const Name& name) {
    // A pattern stands for what it names, and it may name patterns.
    std::vector<const Name*> open = {&name};
    // What names more than a pattern may have steps is refused elsewhere.
    while (!open.empty() && seen.size() <= kMaxPatternSteps) {
      const Name* at = open.back();
      open.pop_back();
      auto pattern = stream_index_.contains(at->text) ? patterns_.end() : patterns_.find(at->text);
      if (pattern == patterns_.end()) {
        reads.push_back({at, name.span});
      } else if (seen.insert(at->text).second) {
        const auto& names = pattern->second->names;
        open.insert(open.end(), names.rbegin(), names.rend());
      }
    }
  };
  const StreamSource& source = stream.source;
  if (source.kind == SourceKind::kType || source.kind == SourceKind::kConnector) add(source.type);
  for (const SourceClause& clause : source.clauses) add(clause.type);
  for (const PatternStep& step : source.steps) add(step.type);
  for (const StreamOp& op : stream.ops) {
    if (op.kind == OpKind::kStep || op.kind == OpKind::kNot) add(op.step.type);
  }
  return reads;
}

void Checker::FindEdges() {
  for (auto& [name, info] : patterns_) NamesOf(*info->decl->pattern, &info->names);
  edges_.resize(streams_.size());
  for (size_t i = 0; i < streams_.size(); ++i) {
    for (const Read& read : ReadsOf(*streams_[i])) {
      auto producer = stream_index_.find(read.type->text);
      if (producer != stream_index_.end()) edges_[i].push_back({producer->second, read.span});
    }
  }
}

void Checker::FindInputs(CheckResult& result) {
  absl::flat_hash_set<std::string_view> inputs;
  for (const StreamDecl* stream : streams_) {
    result.streams.push_back(stream->name.text);
    for (const Read& read : ReadsOf(*stream)) {
      const std::string& type = read.type->text;
      if (type.empty() || stream_index_.contains(type) || !inputs.insert(type).second) continue;
      result.input_event_types.push_back(type);
      if (events_.contains(type) || broken_.contains(type)) continue;
      const std::string nearest = WarningHint(type, [&] {
        const absl::flat_hash_set<std::string> behind = Behind(stream->name.text);
        std::vector<std::string> names = Sorted(event_names_);
        for (std::string& name : Sorted(stream_names_)) {
          // Not those that would feed on themselves.
          if (!behind.contains(name)) names.push_back(std::move(name));
        }
        for (std::string& name : Sorted(pattern_names_)) names.push_back(std::move(name));
        return names;
      });
      diagnostics_.Warn(read.type->span, "W030", Concat("there is no event or stream `", type, "`"),
                        nearest.empty() ? "it is taken for an event type from outside" : nearest);
    }
  }
}

// The stream and all that it feeds.
absl::flat_hash_set<std::string> Checker::Behind(const std::string& stream) const {
  std::vector<std::vector<size_t>> readers(streams_.size());
  for (size_t i = 0; i < streams_.size(); ++i) {
    for (const Edge& edge : edges_[i]) readers[edge.producer].push_back(i);
  }
  absl::flat_hash_set<std::string> behind;
  std::vector<size_t> open = {stream_index_.at(stream)};
  while (!open.empty()) {
    const size_t at = open.back();
    open.pop_back();
    if (!behind.insert(streams_[at]->name.text).second) continue;
    open.insert(open.end(), readers[at].begin(), readers[at].end());
  }
  return behind;
}

// Depth first, without recursion: chains of streams may be long. Returns the streams with sources
// first; those on or behind a ring are left out.
std::vector<size_t> Checker::StreamOrder() {
  enum class Mark : uint8_t { kNew, kOnPath, kDone, kBad };
  std::vector<Mark> marks(streams_.size(), Mark::kNew);
  std::vector<bool> bad(streams_.size(), false);
  std::vector<size_t> order;
  std::vector<std::pair<size_t, size_t>> path;  // stream, how many of its edges were followed
  for (size_t start = 0; start < streams_.size(); ++start) {
    if (marks[start] != Mark::kNew) continue;
    path.emplace_back(start, 0);
    marks[start] = Mark::kOnPath;
    while (!path.empty()) {
      const size_t at = path.back().first;
      if (path.back().second < edges_[at].size()) {
        const size_t producer = edges_[at][path.back().second++].producer;
        if (marks[producer] == Mark::kOnPath) ReportCycle(path, producer);
        if (marks[producer] == Mark::kOnPath || marks[producer] == Mark::kBad) bad[at] = true;
        if (marks[producer] != Mark::kNew) continue;
        path.emplace_back(producer, 0);
        marks[producer] = Mark::kOnPath;
        continue;
      }
      marks[at] = bad[at] ? Mark::kBad : Mark::kDone;
      if (!bad[at]) order.push_back(at);
      path.pop_back();
      if (bad[at] && !path.empty()) bad[path.back().first] = true;
    }
  }
  return order;
}

// `path` leads from `start` to a stream that reads `start`.
void Checker::ReportCycle(const std::vector<std::pair<size_t, size_t>>& path, size_t start) {
  if (diagnostics_.full()) return;
  constexpr int kShown = 8;
  auto step = std::find_if(path.begin(), path.end(),
                           [&](const auto& entry) { return entry.first == start; });
  const Span span = edges_[start][step->second - 1].span;
  const std::string& name = streams_[start]->name.text;
  const bool alone = step + 1 == path.end();
  std::string ring = name;
  int shown = 0;
  for (++step; step != path.end() && shown < kShown - 1; ++step, ++shown) {
    ConcatTo(&ring, " ← ", streams_[step->first]->name.text);
  }
  ConcatTo(&ring, " ← ", step == path.end() ? name : "…");
  diagnostics_.Error(span, "E103", Concat("stream `", name, "` feeds itself: ", ring),
                     alone ? "give the stream another name than its event type" : "");
}

}  // namespace varpulis::engine
