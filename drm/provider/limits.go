package provider

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Limits are what the owner of the service allows. Zero: no limit.
type Limits struct {
	MaxRPS      int  `yaml:"max_rps"`
	MaxInFlight int  `yaml:"max_in_flight"`
	MaxRequests int  `yaml:"max_requests"`
	ProdAck     bool `yaml:"prod_ack"` // load needs the user's express consent
	// Hosts are those that the owner of the profile declares as his to put load on: names or addresses, without port.
	Hosts []string `yaml:"hosts"`
}

// LimitError says that the owner of a service allows no further request in this run.
type LimitError struct{ Max int }

func (e *LimitError) Error() string {
	return fmt.Sprintf("the profile's limits.max_requests allows %d requests, and they are spent", e.Max)
}

func (v *validator) limits() {
	for _, l := range []struct {
		key   string
		value int
	}{{"max_rps", v.p.Limits.MaxRPS}, {"max_in_flight", v.p.Limits.MaxInFlight}, {"max_requests", v.p.Limits.MaxRequests}} {
		if l.value < 0 || l.value == 0 && v.lines["limits."+l.key] > 0 {
			v.bad("limits."+l.key, "want a number above zero, seen %d", l.value)
		}
	}
	for i, host := range v.p.Limits.Hosts {
		if !isHost(host) {
			v.bad("limits.hosts["+strconv.Itoa(i)+"]", "want the name or address of a host, without scheme, port or wildcard, seen %q", clip(host))
		}
	}
}

// TokenRequests returns how many requests to token services each lease takes, and how many tokens there are besides that
// leases share: those are asked for once at least, and again when they expire.
func (p *Profile) TokenRequests() (fresh, shared int) {
	if p.plan == nil {
		return 0, 0
	}
	for _, t := range p.plan.needed {
		switch {
		case t.Source != "http":
		case t.shared():
			shared++
		default:
			fresh++
		}
	}
	return fresh, shared
}

// CostUnits returns what the tokens are billed by that a request needs, each once.
func (p *Profile) CostUnits() []string {
	var units []string
	if p.plan == nil {
		return nil
	}
	for _, t := range p.plan.needed {
		if t.CostUnit != "" && !slices.Contains(units, t.CostUnit) {
			units = append(units, t.CostUnit)
		}
	}
	return units
}

// isHost reports whether a text is a host as [net/url.URL.Hostname] returns it, in lower case.
func isHost(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}
