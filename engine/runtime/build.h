#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/plan/plan.h"
#include "engine/runtime/enrich.h"
#include "engine/runtime/graph.h"

namespace varpulis::engine {

// Something only running a part of the program can find.
struct LoadError {
  Span span;
  std::string code;
  std::string message;
};

// Plan → operators. Runs the initialisers; null with `errors` filled when one has no value, or a
// connector no provider. `providers` may be empty.
std::unique_ptr<Graph> BuildGraph(const Plan& plan, std::string_view source,
                                  const LookupProviderFactory& providers, const RunLimits& limits,
                                  std::vector<LoadError>* errors);

}  // namespace varpulis::engine
