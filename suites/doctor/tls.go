package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// The reasons of a failed handshake.
const (
	reasonUnknownCA   drm.Reason = "tls-unknown-authority"
	reasonExpired     drm.Reason = "tls-expired"
	reasonNotYetValid drm.Reason = "tls-not-yet-valid"
	reasonWrongName   drm.Reason = "tls-wrong-name"
	reasonPin         drm.Reason = "tls-pin"
	reasonUnfit       drm.Reason = "tls-certificate"
	reasonNoTLS       drm.Reason = "tls-not-spoken"
	reasonHandshake   drm.Reason = "tls-handshake"
	soon                         = 14 // days before the end of a certificate at which that is told as a warning
	secondsPerDay                = 24 * 60 * 60
	expectedHandshake            = "a TLS handshake with a certificate that verifies"
	unverified                   = "certificates are not verified (tls.NAME.insecure)"
)

// handshake speaks TLS to the host, with the profile's roots, pins and client certificate.
func (n *network) handshake(ctx context.Context, h *Hop) {
	if n.url.Scheme == "http" {
		seen := "plain http: nothing is encrypted"
		if !provider.OnThisMachine(n.url) {
			seen += ", tokens and licenses can be read on the way"
		}
		h.end(NotNeeded, "", seen, "")
		return
	}
	conn, err := n.dialAgain(ctx)
	if err != nil {
		h.failSend(provider.NewTransportError(err, false))
		return
	}
	defer conn.Close()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if n.config != nil {
		config = n.config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = n.url.Hostname()
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	asked, given := false, config.Certificates
	config.Certificates = nil
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		if len(given) > 0 {
			return &given[0], nil
		}
		return &tls.Certificate{}, nil
	}
	n.sayConfig(h, config, len(given) > 0)
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		n.handshakeFailed(h, err, asked && len(given) == 0)
		return
	}
	state := client.ConnectionState()
	alpn := state.NegotiatedProtocol
	if alpn == "" {
		alpn = "none"
	}
	h.say(fmt.Sprintf("%s, ALPN %s", tls.VersionName(state.Version), alpn))
	if len(state.PeerCertificates) > 0 {
		h.say(describe(state.PeerCertificates[0], config.ServerName))
	}
	if days := daysLeft(state.PeerCertificates); days < soon && !n.StandIn {
		h.say("the certificate ends soon: have it renewed")
	}
	if asked {
		what := "and the profile has one (tls.NAME.client_cert)"
		if len(given) == 0 {
			what = "and the profile has none: name one with tls.NAME.client_cert if requests are refused"
		}
		h.say("the server asks for a client certificate, " + what)
	}
}

// sayConfig tells what of the profile's TLS configuration is at work.
func (n *network) sayConfig(h *Hop, c *tls.Config, client bool) {
	if n.StandIn {
		return
	}
	for _, w := range []struct {
		on   bool
		what string
	}{
		{c.InsecureSkipVerify, unverified},
		{c.RootCAs != nil, "trusts the roots of tls.NAME.ca_file alone"},
		{c.VerifyConnection != nil, "keys are pinned (tls.NAME.pin_sha256)"},
		{client, "has a client certificate (tls.NAME.client_cert)"},
		{c.ServerName != n.url.Hostname(), "asks for the certificate of " + c.ServerName + " (tls.NAME.server_name)"},
	} {
		if w.on {
			h.say(w.what)
		}
	}
}

// dialAgain opens another connection to the address that accepted one.
func (n *network) dialAgain(ctx context.Context) (net.Conn, error) {
	if n.Dial != nil {
		return n.Dial(ctx, "tcp", n.answered)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", n.answered)
}

// describe tells a certificate's subject, issuer and end.
func describe(c *x509.Certificate, name string) string {
	return fmt.Sprintf("certificate for %s, issued by %s, ends %s, days left: %d", name, issuer(c), c.NotAfter.UTC().Format(time.DateOnly), daysUntil(c.NotAfter))
}

func issuer(c *x509.Certificate) string {
	words := c.Issuer.Organization
	if c.Issuer.CommonName != "" {
		words = append([]string{c.Issuer.CommonName}, words...)
	}
	if len(words) == 0 {
		return "an authority without a name"
	}
	return strings.Join(words, ", ")
}

func daysUntil(t time.Time) int { return int(time.Until(t).Seconds() / secondsPerDay) }

// daysLeft returns how many days the first certificate of a chain is good for; many if there is none.
func daysLeft(chain []*x509.Certificate) int {
	if len(chain) == 0 {
		return soon
	}
	return daysUntil(chain[0].NotAfter)
}

// handshakeFailed tells apart what is wrong with a handshake.
func (n *network) handshakeFailed(h *Hop, err error, wanted bool) {
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0 {
		c := unverified.UnverifiedCertificates[0]
		h.say(fmt.Sprintf("the server's certificate is issued by %s and good from %s to %s", issuer(c), c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly)))
	}
	var (
		unknown  x509.UnknownAuthorityError
		wrong    x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		failure  = provider.NewTransportError(err, false)
		name     = n.url.Hostname()
		reason   = reasonHandshake
		seen     = failure.Seen
		hint     = "which versions and cipher suites does the server take? Look at it with another client, e.g. openssl s_client -connect " + provider.HostPort(n.url)
		handmade = "a proxy that opens TLS, common in companies, has an authority of its own; a server of yours may have forgotten to send the intermediate certificate (TR-17). tls.NAME.ca_file of the profile names another root"
	)
	switch {
	case errors.Is(err, provider.ErrPin):
		reason, seen, hint = reasonPin, "no certificate of the chain is pinned", "tls.NAME.pin_sha256 of the profile names other keys: was the server's key changed, or does somebody stand between?"
	case errors.As(err, &wrong):
		reason, seen = reasonWrongName, fmt.Sprintf("the certificate is for %s, not for %s", listed(namesOf(wrong.Certificate)), name)
		hint = "is the host name right, and does the server look at SNI? A default certificate of a load balancer answers for names that it does not know"
	case errors.As(err, &unknown):
		reason, seen, hint = reasonUnknownCA, "no authority that is trusted here issued it", handmade
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore):
		reason, seen, hint = reasonNotYetValid, fmt.Sprintf("the certificate is good from %s on", invalid.Cert.NotBefore.UTC().Format(time.RFC3339)), "is this machine's clock right?"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason, seen, hint = reasonExpired, "the certificate has expired", "have it renewed; if it was, does every node behind the load balancer have the new one? Is this machine's clock right?"
	case errors.As(err, &invalid):
		reason, seen, hint = reasonUnfit, "the certificate may not stand for a server: "+failure.Seen, handmade
	case errors.As(err, &record):
		reason, seen, hint = reasonNoTLS, "the server does not speak TLS on this port", "is it http, or is the port of another service?"
	case wanted:
		seen, hint = "the server asks for a client certificate and got none: "+failure.Seen, "name it in the profile: request_tls and tls.NAME with client_cert and client_key"
	case failure.Reason != provider.ReasonTLS:
		reason, hint = failure.Reason, transportHint(failure.Reason)
	}
	h.fail(reason, expectedHandshake, seen, hint)
}

// namesOf returns for which hosts a certificate is.
func namesOf(c *x509.Certificate) []string {
	if c == nil {
		return nil
	}
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) > 5 {
		names = append(names[:5:5], "…")
	}
	return names
}
