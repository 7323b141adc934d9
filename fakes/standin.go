package fakes

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/secret"
)

// StandInInfo describes the stand-in for one provider.
type StandInInfo struct {
	Name    string       `json:"name"` // the first word of its profiles' ids
	Title   string       `json:"title"`
	Systems []drm.System `json:"systems"`
	// Hosts are those that it answers as, *.name for any one label before a name; none: any host that a profile names.
	Hosts []string `json:"hosts"`
	// Account are the names of what the provider issues its customers with, see [StandInOptions].
	Account []string `json:"account,omitempty"`
}

// StandIns returns what there are stand-ins for, in order of name.
func StandIns() []StandInInfo {
	var infos []StandInInfo
	for _, r := range roles() {
		infos = append(infos, r.info())
	}
	return infos
}

func (r role) info() StandInInfo {
	info := r.StandInInfo
	info.Hosts = r.hosts()
	for _, c := range r.credentials {
		info.Account = append(info.Account, c.name)
	}
	return info
}

func roleOf(name string) (role, error) {
	var names []string
	for _, r := range roles() {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return role{}, fmt.Errorf("there is no stand-in for %q: %s", name, nearest.Hint(name, names))
}

// hostName returns a host without its port.
func hostName(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return hostPort
}

// StandInOptions say for whom to stand in, beside the options of every server.
type StandInOptions struct {
	Options
	Provider string     // the name of one of [StandIns]
	System   drm.System // of the profile; "" is Widevine
	// Origins are those of the URLs that the user's profile names, e.g. https://license.example:443: they lead here too. A
	// host name without a scheme is one of https.
	Origins []string
	// Account is what the provider issued the customer with, by the names in [StandInInfo] and in the form in which it does. What
	// a stand-in does not need is ignored.
	Account map[string]secret.Bytes
}

// StandIn is a server in the place of a provider's hosts: whoever dials with [StandIn.DialContext] and trusts
// [StandIn.TLSConfig] reaches it under their names, and nothing else. It is safe for concurrent use.
type StandIn struct {
	server *Server
	hosts  map[string]bool // host:port, and whether it is spoken to in plain http
	trust  *tls.Config
	dialer net.Dialer
}

// StartStandIn starts a server and a certificate authority of the run that vouches for the provider's host names. It ends
// when ctx is canceled or Close is called. An unknown provider is an error that names the known ones.
func StartStandIn(ctx context.Context, o StandInOptions) (*StandIn, error) {
	s, err := startStandIn(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start stand-in: %w", err)
	}
	return s, nil
}

func startStandIn(ctx context.Context, o StandInOptions) (*StandIn, error) {
	r, err := roleOf(o.Provider)
	if err != nil {
		return nil, err
	}
	if o.System == "" {
		o.System = drm.Widevine
	}
	if !slices.Contains(r.Systems, o.System) {
		return nil, fmt.Errorf("the stand-in for %s has no license service for %s", r.Name, o.System)
	}
	r.path = r.paths[o.System]
	customer, err := r.account(o.Account)
	if err != nil {
		return nil, err
	}
	s := &StandIn{hosts: map[string]bool{}, dialer: net.Dialer{Timeout: readHeaderTimeout}}
	hosts := r.info().Hosts
	if err := s.name(hosts...); err != nil {
		return nil, err
	}
	for _, origin := range o.Origins {
		if err := s.name(origin); err != nil {
			return nil, err
		}
		if u, err := url.Parse(origin); err == nil && !serves(hosts, u.Hostname()) {
			return nil, fmt.Errorf("%s has no host %q: %s", r.Name, u.Hostname(), nearest.Hint(u.Hostname(), hosts))
		}
	}
	o.ExpressPlay.AnyCustomer = o.ExpressPlay.Authenticator.IsZero()
	if s.server, err = newServer(ctx, o.Options); err != nil {
		return nil, err
	}
	s.server.role, s.server.account = r, customer
	serving, trust, err := runAuthority(s.Hosts())
	if err != nil {
		return nil, err
	}
	s.trust = trust
	return s, s.server.serve(ctx, o.Options, serving)
}

// name makes origins known.
func (s *StandIn) name(origins ...string) error {
	for _, origin := range origins {
		if !strings.Contains(origin, "://") {
			origin = "https://" + origin
		}
		u, err := url.Parse(origin)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("origin %q: want http or https and a host", origin)
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		s.hosts[net.JoinHostPort(u.Hostname(), port)] = u.Scheme == "http"
	}
	return nil
}

// Server returns the server behind the names.
func (s *StandIn) Server() *Server { return s.server }

// Hosts returns the hosts and ports that lead to the server, in order.
func (s *StandIn) Hosts() []string {
	hosts := make([]string, 0, len(s.hosts))
	for h := range s.hosts {
		hosts = append(hosts, h)
	}
	slices.Sort(hosts)
	return hosts
}

// UnknownHostError says that a host is named by neither the profile nor an answer of the stand-in.
type UnknownHostError struct {
	Address string // host:port
	Known   []string
}

func (e *UnknownHostError) Error() string {
	return fmt.Sprintf("%s is named by neither the profile nor the stand-in, and nothing may leave this machine: known are %s",
		e.Address, strings.Join(e.Known, ", "))
}

// DialContext opens a connection to the server for a host and port that lead to it, as net.Dialer.DialContext does. Any other
// one is an [*UnknownHostError].
func (s *StandIn) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	plain, named := s.hosts[address]
	switch {
	case plain:
		return s.dialer.DialContext(ctx, "tcp", s.server.protocol.addr)
	case named || s.matches(address):
		return s.dialer.DialContext(ctx, "tcp", s.server.secure.addr)
	}
	return nil, &UnknownHostError{Address: address, Known: s.Hosts()}
}

// matches reports whether an address has one of the provider's patterns of host names.
func (s *StandIn) matches(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && slices.ContainsFunc(s.Hosts(), func(known string) bool {
		name, knownPort, _ := net.SplitHostPort(known)
		return port == knownPort && matches(name, host)
	})
}

// TLSConfig returns the configuration of a client, which trusts the run's certificate authority and no other.
func (s *StandIn) TLSConfig() *tls.Config { return s.trust.Clone() }

// Close stops the server, as [Server.Close] does.
func (s *StandIn) Close() error { return s.server.Close() }
