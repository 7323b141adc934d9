package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/secret"
)

// DefaultTimeout is how long a token service has for one answer.
const DefaultTimeout = 10 * time.Second

// maxSecretFile bounds a file with a variable or token, in bytes.
const maxSecretFile = 1 << 16

// Environment is what a profile is bound to. Every field may be left out.
type Environment struct {
	Vars    map[string]string               // the user's values; they win over all others and cannot be secret
	Getenv  func(name string) string        // nil: os.Getenv
	Vault   *secret.Vault                   // is told every secret as it becomes known
	HTTP    *http.Client                    // for token services; its redirect policy and cookie jar are not used
	Clock   drm.Clock                       // nil: the machine's
	Budget  *Budget                         // nil: nothing that costs money may be asked for
	Timeout time.Duration                   // of one token request; zero: DefaultTimeout
	Resolve func(name string, v Var) string // a value for a variable that has none; nil: there is none

	// Insecure allows token and license URLs that are plain http to another machine.
	Insecure bool
}

// Budget is how many billed tokens a run may ask for. It may be shared by profiles and used concurrently.
type Budget struct{ left, spent atomic.Int64 }

// NewBudget returns a budget of n tokens.
func NewBudget(n int) *Budget {
	b := &Budget{}
	b.left.Store(int64(n))
	return b
}

// Spent returns the number of billed tokens asked for.
func (b *Budget) Spent() int {
	if b == nil {
		return 0
	}
	return int(b.spent.Load())
}

// take spends one token. A request that fails is spent too: whether the service bills it cannot be known.
func (b *Budget) take() bool {
	if b == nil {
		return false
	}
	for {
		left := b.left.Load()
		if left <= 0 {
			return false
		}
		if b.left.CompareAndSwap(left, left-1) {
			b.spent.Add(1)
			return true
		}
	}
}

// BudgetError says that a token that costs money is needed and no budget is left.
type BudgetError struct {
	Token string // its id
	Unit  string // what is billed
	Spent int
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("token %s costs one %s, and the budget has none left (spent: %d); raise it with --budget", e.Token, e.Unit, e.Spent)
}

// bound is a profile's environment, resolved.
type bound struct {
	env      Environment
	vars     map[string]any // secret.Bytes for secrets
	client   *http.Client
	cache    *tokenCache
	urlKnown bool
}

// Bind resolves the profile's variables and returns the profile bound to an environment; all errors are returned at once.
// Values come from, in this order: Environment.Vars, the variable's environment variable or file, its default,
// Environment.Resolve. Tokens shared by the run belong to the bound profile.
func (p *Profile) Bind(env Environment) (*Profile, error) {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	if env.Clock == nil {
		env.Clock = drm.SystemClock
	}
	if env.Timeout == 0 {
		env.Timeout = DefaultTimeout
	}
	if env.Vault == nil {
		env.Vault = secret.NewVault()
	}
	b := &bound{env: env, vars: map[string]any{}, client: tokenClient(env.HTTP), cache: newTokenCache()}
	errs := p.bindVars(b)
	out := *p
	out.bound = b
	if len(errs) == 0 && out.dynamic() {
		errs = append(errs, out.bindURL()...)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("bind profile %s: %w", p.ID, errors.Join(errs...))
	}
	return &out, nil
}

func tokenClient(given *http.Client) *http.Client {
	client := http.Client{}
	if given != nil {
		client = *given
	}
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

func (p *Profile) bindVars(b *bound) []error {
	var errs []error
	for _, name := range keysSorted(b.env.Vars) {
		if _, known := p.Vars[name]; !known {
			errs = append(errs, fmt.Errorf("unknown variable %q: %s", name, nearest.Hint(name, keysSorted(p.Vars))))
		}
	}
	for _, name := range keysSorted(p.Vars) {
		value, err := p.Vars[name].resolve(name, b.env)
		if err != nil {
			errs = append(errs, fmt.Errorf("variable %s: %w", name, err))
			continue
		}
		if s, ok := value.(secret.Bytes); ok {
			b.env.Vault.Add(name, s)
		}
		b.vars[name] = value
	}
	return errs
}

// bindURL fills the variables of the license URL in, as far as that tells no secret and needs no token.
func (p *Profile) bindURL() []error {
	u := p.plan.url
	if u == nil || u.constant() || u.secret() || len(u.names.inputs) > 0 || u.names.now {
		return nil
	}
	address, _, err := u.evalText(p.bound.exprEnv(nil, inputs{}))
	if err == nil {
		_, err = parseEndpoint(address)
	}
	if err != nil {
		return []error{fmt.Errorf("request.url: %w", err)}
	}
	p.Request.URL, p.bound.urlKnown = address, true
	return nil
}

// zero returns a value of the variable's type: that of its default or first allowed value, or else text.
func (v Var) zero() any {
	sample := v.Default
	if sample == nil && len(v.Enum) > 0 {
		sample = v.Enum[0]
	}
	switch sample.(type) {
	case int:
		return 0
	case bool:
		return false
	}
	return ""
}

func (v Var) resolve(name string, env Environment) (any, error) {
	text, given := env.Vars[name]
	if given && v.Secret {
		return nil, errors.New("is secret: give it by environment or file")
	}
	if !given && v.Env != "" {
		text = env.Getenv(v.Env)
	}
	if !given && v.File != "" {
		b, err := readBounded(v.File, maxSecretFile)
		if err != nil {
			return nil, fmt.Errorf("read its file: %w", err)
		}
		text = strings.TrimRight(string(b), "\r\n")
	}
	if text == "" && !given && v.Default == nil && env.Resolve != nil {
		text = env.Resolve(name, v)
	}
	if text == "" && !given {
		switch {
		case v.Required:
			return nil, errors.New("has no value" + v.whence())
		case v.Default != nil:
			return v.Default, nil
		case v.Secret:
			return secret.Bytes{}, nil
		}
		return v.zero(), nil
	}
	value, err := v.parse(text)
	if err == nil {
		err = v.check(value)
	}
	if err != nil || !v.Secret {
		return value, err
	}
	if len(text) < secret.MinLen {
		return nil, fmt.Errorf("is secret and shorter than %d bytes", secret.MinLen)
	}
	return secret.New([]byte(text)), nil
}

func (v Var) whence() string {
	switch {
	case v.Env != "":
		return ": set the environment variable " + v.Env
	case v.File != "":
		return ": put it into " + v.File
	}
	return ""
}

func (v Var) parse(text string) (any, error) {
	switch v.zero().(type) {
	case int:
		i, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.New("want a whole number")
		}
		return i, nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("want true or false")
		}
		return b, nil
	}
	return text, nil
}

// check compares a value with pattern and enum; its errors never quote the value, which may be secret.
func (v Var) check(value any) error {
	if re, err := regexp.Compile(v.Pattern); err == nil && v.Pattern != "" && !re.MatchString(fmt.Sprint(value)) {
		return fmt.Errorf("does not match its pattern %s", v.Pattern)
	}
	if len(v.Enum) > 0 && !slices.Contains(v.Enum, value) {
		return fmt.Errorf("is none of %v", v.Enum)
	}
	return nil
}

// inputs are what a template may name of lease and message.
type inputs struct {
	need Need
	kids []drm.KID
	msg  drm.Message
	now  time.Time
}

// exprEnv returns the environment of expressions. It holds secrets in the clear and must not outlive the evaluation.
func (b *bound) exprEnv(tokens map[string]outputs, in inputs) map[string]any {
	vars := make(map[string]any, len(b.vars))
	for name, v := range b.vars {
		if s, ok := v.(secret.Bytes); ok {
			v = string(s.Reveal())
		}
		vars[name] = v
	}
	values := make(map[string]any, len(tokens))
	for id, outputs := range tokens {
		m := make(map[string]any, len(outputs))
		for name, s := range outputs {
			m[name] = string(s.Reveal())
		}
		values[id] = m
	}
	input := map[string]any{
		"content_id": in.need.ContentID, "challenge": in.msg.Body, "challenge_kind": string(in.msg.Kind),
		"kids": make([][]byte, len(in.kids)), "keys": make([]keyInput, len(in.kids)), "kid": []byte(nil),
	}
	for i, k := range in.kids {
		input["kids"].([][]byte)[i] = k[:]
		input["keys"].([]keyInput)[i] = keyInput{KID: k[:], CEK: in.need.Keys[k].Reveal()}
	}
	if len(in.kids) > 0 {
		input["kid"] = in.kids[0][:]
	}
	return map[string]any{"var": vars, "token": values, "input": input, "now": in.now}
}

// jsonTemplate is JSON with templates as leaves.
type jsonTemplate struct {
	node     *node
	leaf     *template
	keys     []string
	children []*jsonTemplate
}

// render returns the JSON text with its keys in the profile's order; drop says that a leaf is to be left out.
func (j *jsonTemplate) render(env map[string]any) (text []byte, drop bool, err error) {
	value := j.node.scalar
	switch {
	case j.node.kind == nodeMap || j.node.kind == nodeList:
		return j.renderChildren(env)
	case j.leaf != nil:
		if value, drop, err = j.leaf.eval(env); err != nil || drop {
			return nil, drop, err
		}
	}
	text, err = json.Marshal(value)
	return text, false, err
}

func (j *jsonTemplate) renderChildren(env map[string]any) ([]byte, bool, error) {
	brackets := map[nodeKind]string{nodeMap: "{}", nodeList: "[]"}[j.node.kind]
	out := []byte{brackets[0]}
	for i, c := range j.children {
		text, drop, err := c.render(env)
		if err != nil {
			return nil, false, err
		}
		if drop {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if j.keys != nil {
			key, err := json.Marshal(j.keys[i])
			if err != nil {
				return nil, false, err
			}
			out = append(append(out, key...), ':')
		}
		out = append(out, text...)
	}
	return append(out, brackets[1]), false, nil
}

func (j *jsonTemplate) templates() []*template {
	var ts []*template
	if j.leaf != nil {
		ts = append(ts, j.leaf)
	}
	for _, c := range j.children {
		ts = append(ts, c.templates()...)
	}
	return ts
}

// cached is a token's outputs while they may be shared.
type cached struct {
	lock    chan struct{} // holds one item while a token is minted
	values  outputs
	expires time.Time
}

func (c *cached) acquire(ctx context.Context) error {
	select {
	case c.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
