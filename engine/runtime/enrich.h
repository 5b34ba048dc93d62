#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "engine/plan/plan.h"
#include "engine/runtime/operator.h"
#include "engine/runtime/sources.h"

namespace varpulis::engine {

// What a provider found for one key. Value type.
struct LookupResult {
  enum class Status { kOk, kError, kTimeout } status = Status::kError;
  std::vector<std::pair<std::string, OwnedValue>> fields;
  int64_t latency_ms = 0;
};

// Where `.enrich` looks things up: HTTP, Redis, a database. Implemented outside of the engine,
// which does no I/O. Owned by the pipeline and called on its thread only.
class LookupProvider {
 public:
  virtual ~LookupProvider() = default;
  // Fills `results` in the order of `keys`, which are all different. All of them may be on their
  // way at once; the call returns when the last has an answer, an error or has timed out.
  virtual void Lookup(absl::Span<const Value> keys, int64_t timeout_ns,
                      absl::Span<LookupResult> results) = 0;
};

// Makes the provider of a connector. An error refuses the program and says why.
using LookupProviderFactory =
    std::function<absl::StatusOr<std::unique_ptr<LookupProvider>>(const PlanConnector&)>;

// `.enrich(C, key: e, fields: […], …)`, vpl.md §9.3: sets fields that a lookup gives on each row,
// with `enrich_status` and `enrich_latency_ms`. A failed lookup gives the fallback, or drops the
// row.
//
// The rows of a batch are looked up together and passed on in their order. What was found is kept
// for `ttl` of pipeline time, so that a replay makes the same lookups, and is part of the state.
class Enrich final : public Operator {
 public:
  static constexpr size_t kMaxCached = 100'000;  // then a tenth goes, the oldest first

  Enrich(PlanEnrich spec, ExpressionPtr key, Value fallback, LookupProvider* provider,
         Assembly assembly);
  void OnBatch(Batch batch, RunContext& run) override;
  void Save(StateWriter& writer) const override;
  void Restore(const StateReader& reader) override;

 private:
  struct Cached {
    OwnedValue key;
    std::vector<OwnedValue> fields;  // by spec_.fields; ⊥ where the answer had none
    int64_t expires_ns = 0;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Cached* cached) const { return (*this)(cached->key.get()); }
    size_t operator()(const Value& key) const {
      return HashValue(key) + static_cast<size_t>(key.kind());
    }
  };
  struct Same {
    using is_transparent = void;
    bool operator()(const Cached* a, const Cached* b) const { return a == b; }
    bool operator()(const Cached* a, const Value& b) const {
      return a->key.get().kind() == b.kind() && Equal(a->key.get(), b);
    }
    bool operator()(const Value& a, const Cached* b) const { return (*this)(b, a); }
  };

  const Cached* Find(const Value& key, int64_t now_ns) const;
  const Cached& Keep(const Value& key, const LookupResult& found, int64_t now_ns);
  void Insert(Cached cached);
  Row Enriched(const Row& row, const Cached* found, const char* status, int64_t latency_ms,
               RunContext& run) const;

  const PlanEnrich spec_;
  ExpressionPtr key_;
  OwnedValue fallback_;
  LookupProvider* provider_;
  Assembly assembly_;
  std::list<Cached> cached_;  // oldest first
  absl::flat_hash_map<const Cached*, std::list<Cached>::iterator, Hash, Same> index_;
};

}  // namespace varpulis::engine
