package provider

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Endpoint returns the license URL, parsed: absolute, http or https, without user information. The URL of a profile whose
// variables are not bound yet, or whose token service names the URL, is not known: that is an error.
func (p *Profile) Endpoint() (*url.URL, error) {
	if p.plan != nil && p.plan.url != nil && !p.plan.url.constant() && !p.urlBound() {
		return nil, errors.New("is known only when " + p.Request.URL + " is")
	}
	return parseEndpoint(p.Request.URL)
}

func (p *Profile) urlBound() bool { return p.bound != nil && p.bound.urlKnown }

func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("is missing: a URL, e.g. https://license.example/widevine")
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("want an absolute http or https URL")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password")
	}
	return u, nil
}

// Loopback reports whether the license URL's host is this machine's loopback interface.
func (p *Profile) Loopback() bool {
	u, err := p.Endpoint()
	return err == nil && OnThisMachine(u)
}

// OnThisMachine reports whether a URL's host is this machine's loopback interface.
func OnThisMachine(u *url.URL) bool {
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback()
}

func isSecure(u *url.URL) bool { return u.Scheme == "https" || OnThisMachine(u) }

// Secure reports whether license and token requests are encrypted on their way, or stay on this machine. A URL that
// starts with a token's output counts as secure: [Profile.Lease] refuses one that is not, unless the environment allows it.
func (p *Profile) Secure() bool {
	if p.plan != nil {
		for _, t := range p.plan.tokens {
			if t.http != nil && !t.http.url.startsSecure() {
				return false
			}
		}
		if u := p.plan.certificateURL; u != nil && !u.startsSecure() {
			return false
		}
		if u := p.plan.url; u != nil && !u.constant() && !p.urlBound() {
			return u.startsSecure()
		}
	}
	u, err := p.Endpoint()
	return err == nil && isSecure(u)
}

// startsSecure reports whether every value of a URL template is encrypted or checked when it is known.
func (t *template) startsSecure() bool {
	if u, err := url.Parse(t.text); t.constant() && err == nil {
		return isSecure(u)
	}
	return strings.HasPrefix(t.literalStart(), "https://") || t.literalStart() == "" && len(t.names.tokens) > 0
}

// Address returns host:port of the license URL, with the scheme's default port; "" if the URL is not known yet.
func (p *Profile) Address() string {
	u, err := p.Endpoint()
	if err != nil {
		return ""
	}
	return HostPort(u)
}

// HostPort returns host and port of a URL, with the scheme's default port.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// Origins returns scheme, host and port of every URL that a bound profile names, each once, e.g. https://license.example:443:
// the token services', the license server's and that of a certificate. One that only a token names is not known before there is one.
func (p *Profile) Origins() []string {
	var origins []string
	add := func(address string) {
		if u, err := parseEndpoint(address); err == nil && !slices.Contains(origins, u.Scheme+"://"+HostPort(u)) {
			origins = append(origins, u.Scheme+"://"+HostPort(u))
		}
	}
	if p.plan != nil && p.bound != nil {
		env := p.bound.exprEnv(nil, inputs{})
		for _, t := range p.plan.tokens {
			if t.http == nil || len(t.http.url.names.tokens) > 0 {
				continue
			}
			if address, _, err := t.http.url.evalText(env); err == nil {
				add(address)
			}
		}
	}
	if p.plan != nil && p.bound != nil && p.plan.certificateURL != nil && len(p.plan.certificateURL.names.tokens) == 0 {
		if address, _, err := p.plan.certificateURL.evalText(p.bound.exprEnv(nil, inputs{})); err == nil {
			add(address)
		}
	}
	if _, err := p.Endpoint(); err == nil {
		add(p.Request.URL)
	}
	return origins
}
