package suites

import (
	"crypto/tls"
	"net"
	"net/http"

	"keyflow/drm/provider"
)

// ProfileClient returns the client that license requests of a profile are sent with: [NewClientVia] with the profile's timeouts
// and, where it has none of its own, the caller's way to connect. A nil dial is the network; a nil config has the system's roots.
func ProfileClient(p *provider.Profile, dial Dial, config *tls.Config) *http.Client {
	limits := p.Request.Timeout
	total := RequestTimeout
	if limits.Total > 0 {
		total = limits.Total
	}
	connect := total
	if limits.Connect > 0 {
		connect = limits.Connect
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: connect}).DialContext
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	client := NewClientVia(total, dial, config)
	if transport, ok := client.Transport.(*http.Transport); ok {
		transport.TLSHandshakeTimeout = connect
		transport.ResponseHeaderTimeout = limits.FirstByte
	}
	return client
}
