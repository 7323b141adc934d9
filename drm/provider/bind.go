package provider

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
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
	Vars   map[string]string        // the user's values; they win over all others and cannot be secret
	Getenv func(name string) string // nil: os.Getenv
	Vault  *secret.Vault            // is told every secret as it becomes known
	HTTP   *http.Client             // for token services; its redirect policy and cookie jar are not used
	Clock  drm.Clock                // nil: the machine's
	Budget *Budget                  // nil: nothing that costs money may be asked for
	// HTTPWith returns the client for a token service whose TLS is configured by the profile. Nil: such a profile cannot be
	// bound.
	HTTPWith func(*tls.Config) *http.Client
	Timeout  time.Duration // of one token request; zero: DefaultTimeout
	// Margin is how long a shared token must still live when a lease is taken, as far as half of its life allows: it is replaced
	// before, while others go on with it. Zero: it is replaced when its refresh_before has come.
	Margin  time.Duration
	RunID   string                          // ${run.id}
	Rand    io.Reader                       // what ${uuid} is made of in tokens; nil: crypto/rand
	Resolve func(name string, v Var) string // a value for a variable that has none; nil: there is none

	// Taken is told of each token step that a lease took, with the time that it took and what went wrong; nil tells nobody.
	Taken func(token string, took time.Duration, err error)

	// Insecure allows token and license URLs that are plain http to another machine, and tls.NAME.insecure.
	Insecure bool
	// AllowExec allows tokens of source command.
	AllowExec bool
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
	sources  map[string]valueSource
	cache    *tokenCache
	counts   tokenCounts
	retry    Retry
	urlKnown bool
	named    names // by any template: nothing else is made for expressions
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
	if env.Rand == nil {
		env.Rand = rand.Reader
	}
	if env.Vault == nil {
		env.Vault = secret.NewVault()
	}
	b := &bound{env: env, vars: map[string]any{}, sources: map[string]valueSource{}, cache: newTokenCache(), retry: p.Retry}
	errs := p.bindVars(b)
	out := *p
	out.bound = b
	if p.plan != nil {
		p.watchKeys(b)
		own := *p.plan
		own.needed = slices.Clone(p.plan.needed)
		out.plan = &own
		b.named.merge(own.all)
		for _, t := range own.tokens {
			b.named.merge(t.names)
		}
		errs = append(errs, out.bindTokens(env)...)
	}
	if len(errs) == 0 && out.dynamic() {
		errs = append(errs, out.bindURL()...)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("bind profile %s: %w", p.ID, errors.Join(errs...))
	}
	return &out, nil
}

// Variables returns the values of a bound profile's variables, as text: what a customer and a provider have agreed on.
func (p *Profile) Variables() map[string]secret.Bytes {
	values := map[string]secret.Bytes{}
	if p.bound == nil {
		return values
	}
	for name, v := range p.bound.vars {
		if s, ok := v.(secret.Bytes); ok {
			values[name] = s
		} else {
			values[name] = secret.New([]byte(fmt.Sprint(v)))
		}
	}
	return values
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

// watchKeys tells the vault signing keys as the bytes that they are, beside the texts that they come in.
func (p *Profile) watchKeys(b *bound) {
	watch := func(t *template, encoding string) {
		if t == nil || len(t.names.tokens) > 0 || len(t.names.inputs) > 0 {
			return
		}
		text, _, err := t.evalText(b.exprEnv(nil, inputs{}))
		if err != nil {
			return // signing tells what is wrong
		}
		if key, err := decodeKey(encoding, text); err == nil && encoding != "utf8" {
			b.env.Vault.Add("signing key", secret.New(key))
		}
	}
	for _, t := range p.plan.tokens {
		if t.jwt != nil {
			watch(t.jwt.key, t.jwt.KeyEncoding)
		}
		if t.signed != nil {
			watch(t.signed.key, t.signed.Sign.KeyEncoding)
			watch(t.signed.iv, t.signed.Sign.KeyEncoding)
		}
	}
}

// bindTokens gives the token steps what they need of the environment.
func (p *Profile) bindTokens(env Environment) []error {
	var errs []error
	for i, t := range p.plan.needed {
		own := *t
		p.plan.needed[i] = &own
		own.client = tokenClient(env.HTTP)
		if t.Source == "command" && !env.AllowExec {
			errs = append(errs, fmt.Errorf("token %s runs a command: allow it with --allow-exec", t.ID))
		}
		if t.HTTP == nil || t.HTTP.TLS == "" {
			continue
		}
		config, err := p.TLS[t.HTTP.TLS].Config()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("tls.%s: %w", t.HTTP.TLS, err))
		case env.HTTPWith == nil:
			errs = append(errs, fmt.Errorf("token %s has tls of its own, which cannot be had here", t.ID))
		default:
			given := env.HTTPWith(config)
			if given == nil {
				errs = append(errs, fmt.Errorf("token %s has tls of its own, and there is no client for it", t.ID))
			}
			own.client = tokenClient(given)
		}
	}
	if p.Unverified() && !env.Insecure {
		errs = append(errs, errors.New("tls: insecure: true: certificates are not verified; --insecure allows it"))
	}
	return errs
}

func (p *Profile) bindVars(b *bound) []error {
	var errs []error
	for _, name := range keysSorted(b.env.Vars) {
		if _, known := p.Vars[name]; !known {
			errs = append(errs, fmt.Errorf("unknown variable %q: %s", name, nearest.Hint(name, keysSorted(p.Vars))))
		}
	}
	for _, name := range keysSorted(p.Vars) {
		value, source, err := p.Vars[name].resolve(name, b.env)
		if err != nil {
			errs = append(errs, fmt.Errorf("variable %s: %w", name, err))
			continue
		}
		if s, ok := value.(secret.Bytes); ok {
			b.env.Vault.Add(name, s)
		}
		b.vars[name], b.sources[name] = value, source
	}
	return errs
}

// bindURL fills the variables of the license URL in, as far as that tells no secret and needs no token.
func (p *Profile) bindURL() []error {
	u := p.plan.url
	if u == nil || u.constant() || u.secret() || len(u.names.tokens) > 0 || len(u.names.inputs) > 0 || u.names.now || u.names.fresh {
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
