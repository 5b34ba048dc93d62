#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/lang/ast.h"
#include "test/fuzz/reference/value.h"

namespace varpulis::reference {

// Where decisions come from: a seed, or the bytes of a fuzzer and then a seed that they give.
class Choices {
 public:
  explicit Choices(uint64_t seed) : random_(seed) {}
  Choices(const uint8_t* data, size_t size);

  // 0 … n - 1.
  uint32_t Below(uint32_t n);
  bool OneIn(uint32_t n) { return Below(n) == n - 1; }
  template <typename List>
  const auto& Of(const List& list) {
    return list[Below(static_cast<uint32_t>(std::size(list)))];
  }

 private:
  std::mt19937 random_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// What an expression is mostly to be.
enum class Want { kAny, kInt, kNumber, kString, kBool, kList, kMap, kTime };

// Random well-formed expressions and functions over the fields of RandomEvent. The choice 0 is
// always the smallest one, so that they end.
class Generator {
 public:
  explicit Generator(Choices& choices) : choices_(choices) {}

  engine::ExprPtr Expression(Want want, int depth);
  engine::ExprPtr MostlyPresent(engine::ExprPtr expr);
  // Calls the ones before it only. Ends for every event.
  engine::FunctionDecl Function(const std::string& name,
                                const std::vector<engine::FunctionDecl>& before);
  // `alias` and `globals` may be named.
  void AllowNames(std::string alias, std::vector<std::string> globals) {
    alias_ = std::move(alias);
    globals_ = std::move(globals);
  }
  void AllowCalls(const std::vector<engine::FunctionDecl>& functions) { functions_ = &functions; }

 private:
  engine::ExprPtr Leaf(Want want);
  engine::ExprPtr Literal(Want want);
  engine::ExprPtr Name(Want want);
  engine::ExprPtr IntExpression(int depth);
  engine::ExprPtr NumberExpression(int depth);
  engine::ExprPtr StringExpression(int depth);
  engine::ExprPtr BoolExpression(int depth);
  engine::ExprPtr ListExpression(int depth);
  engine::ExprPtr MapExpression(int depth);
  engine::ExprPtr TimeExpression(int depth);
  engine::ExprPtr AnyExpression(Want want, int depth);
  engine::ExprPtr Match(Want want, int depth);
  engine::ExprPtr Call(const char* name, std::vector<Want> wants, int depth);
  engine::ExprPtr UserCall(int depth);
  engine::ExprPtr Two(engine::BinaryOp op, Want left, Want right, int depth);

  void Statements(engine::Block* block, int depth, int loops);
  engine::Stmt Assignment(int loops);
  engine::Stmt Loop(int depth, int loops, engine::Block* before);

  struct Local {
    std::string name;
    Want want;
    bool assignable;
  };

  Choices& choices_;
  std::string alias_;
  std::vector<std::string> globals_;
  std::vector<std::string> bound_;
  std::vector<Local> locals_;
  const std::vector<engine::FunctionDecl>* functions_ = nullptr;
  int counters_ = 0;
};

inline constexpr char kEventType[] = "E";
Fields RandomEvent(Choices& choices);

}  // namespace varpulis::reference
