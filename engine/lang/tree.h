#pragma once

#include <string>
#include <vector>

#include "engine/lang/ast.h"

namespace varpulis::engine {

// The tree of a program in one shape for all kinds of nodes, to be printed. Value type.
struct TreeNode {
  std::string kind;  // "stream", "where", "binary"
  std::string text;  // the name, operator or literal; may be empty
  Span span;         // empty where the tree keeps none
  std::vector<TreeNode> children;
};

TreeNode TreeOf(const Program& program);
TreeNode TreeOf(const Expr& expr);

// A node a line, indented below its parent. Does not depend on the layout of the source.
std::string TreeText(const TreeNode& tree);

}  // namespace varpulis::engine
