package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

const (
	maxConditionLen   = 1024
	maxConditionNodes = 64
)

// errUnset is what Eval returns when a name has no value.
var errUnset = errors.New("no value")

// Condition is one compiled condition of the plain subset: names compared
// with constants, bare booleans, joined by && || and !. Inside the subset the
// prover is exact; outside it would be a guess. A Condition is immutable.
type Condition struct {
	src         string
	vars        map[string]Type // those it uses
	comparisons []Comparison
	program     cel.Program
}

// Comparison is one name compared with constants. For a bare boolean, Op is
// "==" and the constant is true. Constants are int64, string or bool.
type Comparison struct {
	Name      string
	Type      Type
	Op        string // < <= > >= == != in
	Constants []any
}

// CompileCondition compiles src over the declared names, dotted ones
// included. A secret name cannot be compared. The diagnostic has Line and Col
// inside src (a caller adds the place of the text) and code E4, E3 or E7.
func CompileCondition(src string, vars map[string]Type) (*Condition, *Diagnostic) {
	if len(src) > maxConditionLen {
		return nil, condError(0, CodeSubset, "condition is longer than 1,024 characters", "split it")
	}
	env, err := cel.NewCustomEnv(cel.StdLib(), cel.ClearMacros(),
		cel.ParserRecursionLimit(24), cel.ParserExpressionSizeLimit(maxConditionLen))
	if err != nil {
		return nil, condError(0, CodeSubset, "conditions cannot be compiled: "+err.Error(), "")
	}
	parsed, issues := env.Parse(src)
	if issues.Err() != nil {
		return nil, condError(issueCol(issues), CodeSubset, "this is not a condition",
			"write a name compared with a constant, such as payment.amount > 5000, joined by && or ||")
	}
	c := &Condition{src: src, vars: map[string]Type{}}
	w := subsetWalker{cond: c, vars: vars, info: parsed.NativeRep().SourceInfo()}
	if d := w.walk(parsed.NativeRep().Expr()); d != nil {
		return nil, d
	}
	for name, t := range c.vars {
		if env, err = env.Extend(cel.Variable(name, celType(t))); err != nil {
			return nil, condError(0, CodeName, fmt.Sprintf("%q cannot be a name in a condition", name), "")
		}
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil || checked.OutputType() != cel.BoolType {
		return nil, condError(issueCol(issues), CodeType, "the two sides of a comparison are of different types", "")
	}
	if c.program, err = env.Program(checked, cel.EvalOptions(cel.OptOptimize)); err != nil {
		return nil, condError(0, CodeSubset, "this condition cannot be compiled", "")
	}
	return c, nil
}

func condError(col int, code, message, hint string) *Diagnostic {
	return &Diagnostic{Line: 1, Col: col + 1, Code: code, Message: message, Hint: hint, Severity: SeverityError}
}

func issueCol(issues *cel.Issues) int {
	if issues != nil && len(issues.Errors()) > 0 {
		return max(issues.Errors()[0].Location.Column(), 0)
	}
	return 0
}

func celType(t Type) *cel.Type {
	switch t.Base {
	case BaseNumber, BaseMoney:
		return cel.IntType
	case BaseBool:
		return cel.BoolType
	default:
		return cel.StringType
	}
}

// String returns the condition as written.
func (c *Condition) String() string { return c.src }

// Names returns the names the condition uses, sorted.
func (c *Condition) Names() []string {
	var names []string
	for n := range c.vars {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Comparisons returns every comparison, in the order written.
func (c *Condition) Comparisons() []Comparison { return slices.Clone(c.comparisons) }

// Eval runs the compiled program. get returns the value of a name: canonical
// text for every type but bool (a bool, or "true"); whole units as int64 are
// taken for number and money as they are. A name without a value (nil or "")
// is an error, and the caller takes the side that asks for more.
func (c *Condition) Eval(get func(name string) any) (bool, error) {
	if c == nil || c.program == nil {
		return false, errors.New("condition: not compiled")
	}
	in := activation{cond: c, get: get}
	out, _, err := c.program.Eval(&in)
	if in.err != nil {
		return false, in.err
	}
	if err != nil {
		return false, fmt.Errorf("condition %q: %v", c.src, err)
	}
	yes, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("condition %q: no truth value", c.src)
	}
	return bool(yes), nil
}

// activation feeds names to a program; it converts on demand, so that
// nothing is built for names that a short cut never reads.
type activation struct {
	cond *Condition
	get  func(string) any
	err  error
}

func (a *activation) Parent() cel.Activation { return nil }

func (a *activation) ResolveName(name string) (any, bool) {
	t, known := a.cond.vars[name]
	if !known {
		return nil, false
	}
	v, err := conditionValue(t, a.get(name))
	if err != nil {
		a.err = fmt.Errorf("condition %q: %s: %v", a.cond.src, name, err)
		return nil, false
	}
	return v, true
}

func conditionValue(t Type, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, errUnset
	case bool:
		if t.Base == BaseBool {
			return v, nil
		}
	case int:
		return conditionValue(t, int64(v))
	case int64:
		if t.Base == BaseNumber || t.Base == BaseMoney {
			return v, nil
		}
	case string:
		return conditionText(t, v)
	}
	return nil, fmt.Errorf("a %T is no %s", v, t)
}

func conditionText(t Type, s string) (any, error) {
	if s == "" {
		return nil, errUnset
	}
	switch t.Base {
	case BaseMoney:
		m, ok := ParseMoney(s)
		if !ok {
			return int64(OverEvery), nil
		}
		return WholeUnits(m, t.Currency), nil
	case BaseNumber:
		var n int64
		if _, err := fmt.Sscan(s, &n); err != nil {
			return nil, errors.New("not a number")
		}
		return n, nil
	case BaseBool:
		return s == "true", nil
	default:
		return s, nil
	}
}

// subsetWalker admits the plain subset and collects what it compares.
type subsetWalker struct {
	cond  *Condition
	vars  map[string]Type
	info  *ast.SourceInfo
	nodes int
}

const subsetHint = "one name compared with one constant, joined by && || and !"

func (w *subsetWalker) refuse(e ast.Expr, code, message, hint string) *Diagnostic {
	col := 0
	if r, ok := w.info.GetOffsetRange(e.ID()); ok {
		col = int(r.Start)
	}
	return condError(col, code, message, hint)
}

func (w *subsetWalker) walk(e ast.Expr) *Diagnostic {
	if w.nodes++; w.nodes > maxConditionNodes {
		return w.refuse(e, CodeSubset, "condition has more than 64 parts", "split it")
	}
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		t, name, d := w.variable(e)
		if d != nil {
			return d
		}
		if t.Base != BaseBool {
			return w.refuse(e, CodeType, fmt.Sprintf("%s is a %s, not a yes or no", name, t), "compare it with a constant")
		}
		w.use(Comparison{Name: name, Type: t, Op: "==", Constants: []any{true}})
		return nil
	case ast.CallKind:
		return w.call(e)
	default:
		return w.refuse(e, CodeSubset, "this is outside what a condition may say", subsetHint)
	}
}

func (w *subsetWalker) call(e ast.Expr) *Diagnostic {
	call := e.AsCall()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
		for _, arg := range call.Args() {
			if d := w.walk(arg); d != nil {
				return d
			}
		}
		return nil
	case operators.Equals:
		return w.compare(e, "==")
	case operators.NotEquals:
		return w.compare(e, "!=")
	case operators.Less:
		return w.compare(e, "<")
	case operators.LessEquals:
		return w.compare(e, "<=")
	case operators.Greater:
		return w.compare(e, ">")
	case operators.GreaterEquals:
		return w.compare(e, ">=")
	case operators.In:
		return w.compare(e, "in")
	default:
		return w.refuse(e, CodeSubset, "calculations and functions are outside what a condition may say", subsetHint)
	}
}

func (w *subsetWalker) compare(e ast.Expr, op string) *Diagnostic {
	left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
	if left.Kind() != ast.IdentKind && left.Kind() != ast.SelectKind {
		return w.refuse(left, CodeSubset, "the left side of a comparison is a name", subsetHint)
	}
	t, name, d := w.variable(left)
	if d != nil {
		return d
	}
	cmp := Comparison{Name: name, Type: t, Op: op}
	operands := []ast.Expr{right}
	if op == "in" {
		if right.Kind() != ast.ListKind {
			return w.refuse(right, CodeSubset, "after in stands a list of constants in square brackets", "")
		}
		operands = right.AsList().Elements()
	}
	for _, o := range operands {
		v, d := w.constant(o, t, op)
		if d != nil {
			return d
		}
		cmp.Constants = append(cmp.Constants, v)
	}
	if len(cmp.Constants) == 0 {
		return w.refuse(right, CodeSubset, "an empty list: nothing is in it", "")
	}
	w.use(cmp)
	return nil
}

func (w *subsetWalker) use(c Comparison) {
	w.cond.vars[c.Name] = c.Type
	w.cond.comparisons = append(w.cond.comparisons, c)
}

func (w *subsetWalker) variable(e ast.Expr) (Type, string, *Diagnostic) {
	name, ok := dotted(e)
	if !ok {
		return Type{}, "", w.refuse(e, CodeSubset, "this is outside what a condition may say", subsetHint)
	}
	t, known := w.vars[name]
	switch {
	case !known:
		return Type{}, "", w.refuse(e, CodeName, fmt.Sprintf("unknown name %s", name), suggest(name, w.vars))
	case t.Secret:
		return Type{}, "", w.refuse(e, CodeType, fmt.Sprintf("%s is secret and cannot be compared", name), "")
	}
	return t, name, nil
}

func (w *subsetWalker) constant(e ast.Expr, t Type, op string) (any, *Diagnostic) {
	if e.Kind() != ast.LiteralKind {
		return nil, w.refuse(e, CodeSubset, "a name is compared with a constant", subsetHint)
	}
	ordered := op != "==" && op != "!=" && op != "in"
	var mismatch string
	switch v := e.AsLiteral().Value().(type) {
	case int64:
		if celType(t) == cel.IntType {
			return v, nil
		}
		mismatch = "write it in quotes"
	case string:
		switch {
		case celType(t) != cel.StringType:
			mismatch = "write it without quotes"
		case ordered && t.Base != BaseDate:
			return nil, w.refuse(e, CodeSubset, "text has no order", "use == != or in")
		case t.Base == BaseDate && !validDate(v):
			return nil, w.refuse(e, CodeType, fmt.Sprintf("%q is no date", v), "write YYYY-MM-DD")
		case t.Base == BaseOneOf && !slices.Contains(t.OneOf, v):
			return nil, w.refuse(e, CodeType, fmt.Sprintf("%q is none of %s", v, strings.Join(t.OneOf, ", ")), "")
		default:
			return v, nil
		}
	case bool:
		if t.Base == BaseBool && !ordered {
			return v, nil
		}
	}
	return nil, w.refuse(e, CodeType, fmt.Sprintf("this constant cannot be compared with a %s", t), mismatch)
}

func dotted(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), true
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return "", false
		}
		head, ok := dotted(e.AsSelect().Operand())
		return head + "." + e.AsSelect().FieldName(), ok
	default:
		return "", false
	}
}

func validDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// suggest names the declared word nearest to a misspelt one.
func suggest(name string, vars map[string]Type) string {
	best, least := "", 4
	for v := range vars {
		if d := distance(name, v); d < least || d == least && v < best {
			best, least = v, d
		}
	}
	if best == "" || least > 3 {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
