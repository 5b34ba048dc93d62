#include "engine/lang/tree.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "engine/lang/concat.h"

namespace varpulis::engine {
namespace {

TreeNode Node(std::string kind, std::string text = "", Span span = {}) {
  TreeNode node;
  node.kind = std::move(kind);
  node.text = std::move(text);
  node.span = span;
  return node;
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + "\"";
}

std::string LiteralText(const Literal& literal) {
  switch (literal.kind) {
    case LiteralKind::kNull:
      return "null";
    case LiteralKind::kBool:
      return literal.integer != 0 ? "true" : "false";
    case LiteralKind::kInt:
      return Concat(literal.integer);
    case LiteralKind::kFloat: {
      char buffer[40];
      const auto end = std::to_chars(buffer, buffer + sizeof buffer, literal.real).ptr;
      return std::string(buffer, end);
    }
    case LiteralKind::kString:
      return Quoted(literal.text);
    case LiteralKind::kTimestamp:
      return Concat("@", literal.integer, "ns");
    case LiteralKind::kDuration:
      return Concat(literal.integer, "ns");
  }
  return "";
}

TreeNode BlockNode(std::string kind, const Block& block);

// A role with the expression below it; nothing when there is none.
void AddExpr(TreeNode& parent, std::string role, const ExprPtr& expr) {
  if (expr == nullptr) return;
  TreeNode node = Node(std::move(role), "", expr->span);
  node.children.push_back(TreeOf(*expr));
  parent.children.push_back(std::move(node));
}

void AddNamed(TreeNode& parent, const std::vector<NamedExpr>& named) {
  for (const NamedExpr& entry : named) {
    TreeNode node = Node("argument", entry.label.text, entry.label.span);
    node.children.push_back(TreeOf(*entry.expr));
    parent.children.push_back(std::move(node));
  }
}

void AddName(TreeNode& parent, std::string role, const Name& name) {
  if (!name.text.empty()) parent.children.push_back(Node(std::move(role), name.text, name.span));
}
void AddName(TreeNode& parent, std::string role, const std::optional<Name>& name) {
  if (name.has_value()) AddName(parent, std::move(role), *name);
}
void AddText(TreeNode& parent, std::string role, const std::string& text) {
  if (text.empty()) return;
  std::string spaced;  // types may span lines
  for (char c : text) {
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') spaced += c;
  }
  parent.children.push_back(Node(std::move(role), std::move(spaced)));
}

std::string ArmText(const MatchArm& arm) {
  switch (arm.kind) {
    case MatchArm::Kind::kLiteral:
      return LiteralText(arm.literal);
    case MatchArm::Kind::kBind:
      return arm.name;
    case MatchArm::Kind::kAny:
      break;
  }
  return "_";
}

const char* VariableWord(VariableKind kind) {
  switch (kind) {
    case VariableKind::kLet:
      return "let";
    case VariableKind::kVar:
      return "var";
    case VariableKind::kConst:
      return "const";
    case VariableKind::kAssign:
      break;
  }
  return "assign";
}

TreeNode VariableNode(const VariableDecl& variable) {
  TreeNode node = Node(VariableWord(variable.kind), variable.name.text, variable.name.span);
  AddText(node, "type", variable.type);
  node.children.push_back(TreeOf(*variable.value));
  return node;
}

const char* StmtWord(StmtKind kind) {
  switch (kind) {
    case StmtKind::kVariable:
      return "variable";
    case StmtKind::kIf:
      return "if";
    case StmtKind::kFor:
      return "for";
    case StmtKind::kWhile:
      return "while";
    case StmtKind::kReturn:
      return "return";
    case StmtKind::kBreak:
      return "break";
    case StmtKind::kContinue:
      return "continue";
    case StmtKind::kEmit:
      return "emit";
    case StmtKind::kExpr:
      return "expression";
  }
  return "";
}

TreeNode StmtNode(const Stmt& stmt) {
  if (stmt.kind == StmtKind::kVariable) return VariableNode(stmt.variable);
  TreeNode node = Node(StmtWord(stmt.kind), stmt.name.text, stmt.span);
  if (stmt.expr != nullptr) node.children.push_back(TreeOf(*stmt.expr));
  AddNamed(node, stmt.named);
  const bool body =
      stmt.kind == StmtKind::kIf || stmt.kind == StmtKind::kFor || stmt.kind == StmtKind::kWhile;
  if (body) node.children.push_back(BlockNode("block", stmt.body));
  for (const auto& [condition, branch] : stmt.branches) {
    TreeNode elif = Node("elif", "", condition->span);
    elif.children.push_back(TreeOf(*condition));
    elif.children.push_back(BlockNode("block", branch));
    node.children.push_back(std::move(elif));
  }
  if (stmt.otherwise.has_value()) node.children.push_back(BlockNode("else", *stmt.otherwise));
  return node;
}

TreeNode BlockNode(std::string kind, const Block& block) {
  TreeNode node = Node(std::move(kind));
  for (const Stmt& stmt : block.statements) node.children.push_back(StmtNode(stmt));
  return node;
}

TreeNode StepNode(std::string kind, const PatternStep& step) {
  TreeNode node = Node(std::move(kind), step.type.text, step.type.span);
  switch (step.repeat) {
    case PatternStep::Repeat::kOne:
      break;
    case PatternStep::Repeat::kPlus:
      node.text += "+";
      break;
    case PatternStep::Repeat::kStar:
      node.text += "*";
      break;
    case PatternStep::Repeat::kOptional:
      node.text += "?";
      break;
  }
  AddName(node, "as", step.alias);
  AddExpr(node, "where", step.where);
  AddExpr(node, "within", step.within);
  return node;
}

TreeNode PatternNode(const PatternExpr& pattern) {
  if (pattern.kind == PatternExpr::Kind::kStep) return StepNode("step", pattern.step);
  static constexpr const char* kWords[] = {"step", "SEQ", "AND", "OR", "NOT"};
  TreeNode node = Node(kWords[static_cast<int>(pattern.kind)], "", pattern.span);
  for (const auto& child : pattern.children) node.children.push_back(PatternNode(*child));
  return node;
}

TreeNode OpNode(const StreamOp& op) {
  if (op.kind == OpKind::kStep) return StepNode("->", op.step);
  TreeNode node = Node(op.name.text, "", op.span);
  AddName(node, "as", op.emit_as);
  AddName(node, "target", op.target);
  if (op.expr != nullptr) node.children.push_back(TreeOf(*op.expr));
  if (op.kind == OpKind::kLimit) node.text = Concat(op.count);
  if (op.kind == OpKind::kNot) node.children.push_back(StepNode("step", op.step));
  for (size_t i = 0; i < op.args.size(); ++i) {
    const bool descending = i < op.descending.size() && op.descending[i];
    TreeNode arg = Node("argument", descending ? "desc" : "", op.args[i]->span);
    arg.children.push_back(TreeOf(*op.args[i]));
    node.children.push_back(std::move(arg));
  }
  AddNamed(node, op.named);
  AddExpr(node, "size", op.window.size);
  AddExpr(node, "sliding", op.window.sliding);
  AddExpr(node, "session", op.window.session);
  AddExpr(node, "policy", op.window.policy);
  return node;
}

TreeNode SourceNode(const StreamSource& source) {
  static constexpr const char* kWords[] = {"type", "from", "merge", "join", "sequence", "timer"};
  TreeNode node = Node("source", kWords[static_cast<int>(source.kind)], source.span);
  if (!source.type.text.empty()) {
    AddName(node, source.all ? "all" : "type", source.type);
  }
  AddName(node, "as", source.alias);
  AddExpr(node, "where", source.where);
  AddName(node, "connector", source.connector);
  AddNamed(node, source.params);
  for (const SourceClause& clause : source.clauses) {
    TreeNode child = Node("clause", clause.label.text, clause.label.span);
    AddName(child, "type", clause.type);
    AddExpr(child, "condition", clause.condition);
    node.children.push_back(std::move(child));
  }
  for (const PatternStep& step : source.steps) node.children.push_back(StepNode("step", step));
  AddExpr(node, "interval", source.interval);
  AddExpr(node, "initial_delay", source.initial_delay);
  return node;
}

struct DeclarationNode {
  TreeNode operator()(const StreamDecl& stream) const {
    TreeNode node = Node("stream", stream.name.text, stream.span);
    AddText(node, "type", stream.type);
    node.children.push_back(SourceNode(stream.source));
    for (const StreamOp& op : stream.ops) node.children.push_back(OpNode(op));
    return node;
  }
  TreeNode operator()(const EventDecl& event) const {
    TreeNode node = Node("event", event.name.text, event.span);
    AddName(node, "extends", event.parent);
    for (const EventField& field : event.fields) {
      TreeNode child = Node("field", field.name.text, field.name.span);
      AddText(child, "type", field.optional ? field.type + "?" : field.type);
      node.children.push_back(std::move(child));
    }
    return node;
  }
  TreeNode operator()(const VariableDecl& variable) const { return VariableNode(variable); }
  TreeNode operator()(const TypeDecl& type) const {
    TreeNode node = Node("type", type.name.text, type.span);
    AddText(node, "type", type.type);
    return node;
  }
  TreeNode operator()(const FunctionDecl& function) const {
    TreeNode node = Node("fn", function.name.text, function.span);
    for (const Parameter& parameter : function.parameters) {
      TreeNode child = Node("parameter", parameter.name.text, parameter.name.span);
      AddText(child, "type", parameter.type);
      node.children.push_back(std::move(child));
    }
    AddText(node, "result", function.result_type);
    node.children.push_back(BlockNode("block", function.body));
    return node;
  }
  TreeNode operator()(const PatternDecl& pattern) const {
    TreeNode node = Node("pattern", pattern.name.text, pattern.span);
    node.children.push_back(PatternNode(*pattern.pattern));
    AddExpr(node, "within", pattern.within);
    AddName(node, "partition by", pattern.partition_by);
    return node;
  }
  TreeNode operator()(const ConnectorDecl& connector) const {
    TreeNode node = Node("connector", connector.name.text, connector.span);
    AddName(node, "type", connector.type);
    AddNamed(node, connector.params);
    return node;
  }
  TreeNode operator()(const ContextDecl& context) const {
    TreeNode node = Node("context", context.name.text, context.span);
    for (int64_t core : context.cores) node.children.push_back(Node("core", Concat(core)));
    return node;
  }
  TreeNode operator()(const ImportDecl& import) const {
    TreeNode node = Node("import", Quoted(import.path.text), import.span);
    AddName(node, "as", import.alias);
    return node;
  }
  TreeNode operator()(const ConfigDecl& config) const {
    TreeNode node = Node("config", config.name.text, config.span);
    AddNamed(node, config.params);
    return node;
  }
};

void Print(const TreeNode& node, size_t depth, std::string* out) {
  constexpr size_t kDeepest = 100;  // of the indentation, which is quadratic otherwise
  out->append(2 * std::min(depth, kDeepest), ' ');
  ConcatTo(out, node.kind, node.text.empty() ? "" : " ", node.text, "\n");
  for (const TreeNode& child : node.children) Print(child, depth + 1, out);
}

std::string_view KindWord(const Expr& expr) {
  static constexpr std::string_view kWords[] = {"literal", "name",  "member", "index", "slice",
                                                "call",    "",      "",       "if",    "list",
                                                "map",     "match", "lambda", "apply"};
  return kWords[static_cast<int>(expr.kind)];
}

}  // namespace

TreeNode TreeOf(const Expr& expr) {
  TreeNode node = Node(std::string(KindWord(expr)), expr.text, expr.span);
  switch (expr.kind) {
    case ExprKind::kLiteral:
      node.text = LiteralText(expr.literal);
      break;
    case ExprKind::kUnary:
      node.kind = UnaryOpText(expr.unary);
      break;
    case ExprKind::kBinary:
      node.kind = BinaryOpText(expr.binary);
      break;
    case ExprKind::kMember:
      if (expr.null_safe) node.kind = "null-safe member";
      break;
    case ExprKind::kLambda:
      for (const std::string& label : expr.labels) {
        ConcatTo(&node.text, node.text.empty() ? "" : ", ", label);
      }
      if (expr.block != nullptr) node.children.push_back(BlockNode("block", *expr.block));
      break;
    default:
      break;
  }
  for (size_t i = 0; i < expr.children.size(); ++i) {
    const ExprPtr& child = expr.children[i];
    TreeNode below = child != nullptr ? TreeOf(*child) : Node("none");
    const bool labelled =
        expr.kind != ExprKind::kLambda && i < expr.labels.size() && !expr.labels[i].empty();
    const bool arm = expr.kind == ExprKind::kMatch && i > 0;
    if (labelled || arm) {
      TreeNode label = arm ? Node("arm", ArmText(expr.arms[i - 1])) : Node("entry", expr.labels[i]);
      label.children.push_back(std::move(below));
      below = std::move(label);
    }
    node.children.push_back(std::move(below));
  }
  return node;
}

TreeNode TreeOf(const Program& program) {
  TreeNode node = Node("program");
  for (const Statement& statement : program.statements) {
    node.children.push_back(std::visit(DeclarationNode(), statement));
  }
  return node;
}

std::string TreeText(const TreeNode& tree) {
  std::string out;
  Print(tree, 0, &out);
  return out;
}

}  // namespace varpulis::engine
