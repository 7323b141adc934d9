package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// Resolver looks names up, as [net.Resolver] does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// reasonRequest is that of a request that cannot be built.
const reasonRequest drm.Reason = "request"

// network are the hops to one host.
type network struct {
	*walk
	url       *url.URL
	config    *tls.Config
	addresses []netip.Addr
	answered  string // host and port that TLS is spoken to
}

// resolve looks the host's name up.
func (n *network) resolve(ctx context.Context, h *Hop) {
	host := n.url.Hostname()
	if n.StandIn {
		h.end(NotNeeded, "", "the stand-in answers for "+host+": the name is not looked up", "")
		return
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		n.addresses = []netip.Addr{addr}
		h.end(NotNeeded, "", "is an address", "")
		return
	}
	resolver := n.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	found, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		reason, seen := provider.ReasonDNS, "the name cannot be looked up"
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns) && dns.IsNotFound:
			seen = "no such host"
		case ctx.Err() != nil, errors.As(err, &dns) && dns.IsTimeout:
			reason, seen = provider.ReasonTimeout, fmt.Sprintf("no answer from the name server within %v", n.timeout())
		}
		h.fail(reason, "an address of "+host, seen, "is the host name in the profile, or in a variable of it, the one that the provider gave out? A name that only your company's network knows needs its name server or VPN")
		return
	}
	var four, six []string
	for _, a := range found {
		a = a.Unmap()
		n.addresses = append(n.addresses, a)
		if a.Is4() {
			four = append(four, a.String())
		} else {
			six = append(six, a.String())
		}
	}
	if len(n.addresses) == 0 {
		h.fail(provider.ReasonDNS, "an address of "+host, "no address", "the name exists and has none: ask whoever runs the domain")
		return
	}
	h.say("IPv4 " + listed(four))
	h.say("IPv6 " + listed(six))
}

// listed joins a few words, "none" if there are none.
func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// connect opens a connection to the first address that accepts one, and tells which do not.
func (n *network) connect(ctx context.Context, h *Hop) {
	address := provider.HostPort(n.url)
	if n.Dial != nil {
		n.answered = address
		conn, err := n.Dial(ctx, "tcp", address)
		if err != nil {
			h.failSend(provider.NewTransportError(err, false))
			return
		}
		h.say("connected to " + conn.RemoteAddr().String())
		_ = conn.Close()
		return
	}
	_, port, _ := net.SplitHostPort(address)
	var first error
	for i, a := range n.addresses {
		to := net.JoinHostPort(a.String(), port)
		own, cancel := context.WithTimeout(ctx, n.timeout()/2) // one that is silent leaves time for the next
		if i == len(n.addresses)-1 {
			cancel()
			own, cancel = context.WithCancel(ctx)
		}
		conn, err := new(net.Dialer).DialContext(own, "tcp", to)
		cancel()
		if err == nil {
			_ = conn.Close()
			n.answered = to
			h.say("connected to " + to)
			return
		}
		failure := provider.NewTransportError(err, false)
		h.say(to + ": " + string(failure.Reason))
		if first == nil {
			first = failure
		}
		if ctx.Err() != nil {
			break
		}
	}
	var t *provider.TransportError
	errors.As(first, &t)
	hint := transportHint(t.Reason)
	if set := proxies(n.getenv()); len(set) > 0 {
		hint = "a proxy is set (" + set[0] + "), and keyflow goes past proxies: does this network let nothing out directly? Run keyflow where the service can be reached"
	}
	h.fail(t.Reason, "a connection to "+address, "", hint)
}

func (c *Case) getenv() func(string) string {
	if c.Getenv == nil {
		return os.Getenv
	}
	return c.Getenv
}

// proxy tells what of a proxy is set in the environment: keyflow does not use it, and a player may.
func (w *walk) proxy(_ context.Context, h *Hop) {
	set := proxies(w.getenv())
	if len(set) == 0 {
		h.say("none is set")
		return
	}
	for _, s := range set {
		h.say(s)
	}
	h.say("keyflow goes past it, straight to the service; a player in this environment may not")
}

// proxies returns the variables of the environment that name a proxy. Its user and password are left out.
func proxies(getenv func(string) string) []string {
	var set []string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		shown := "a value that is no URL"
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		if u, err := url.Parse(value); err == nil && u.Host != "" {
			shown = u.Scheme + "://" + u.Host
		}
		set = append(set, name+" is "+shown)
	}
	return set
}
