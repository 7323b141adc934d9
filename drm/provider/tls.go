package provider

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"keyflow/drm/nearest"
)

// maxPEM bounds a file with certificates or a key, in bytes.
const maxPEM = 1 << 20

// ErrPin says that no certificate of a server's chain is one that the profile pins.
var ErrPin = errors.New("no certificate of the chain is pinned by the profile")

// Config returns the configuration of a client. It reads the files.
func (t TLS) Config() (*tls.Config, error) {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.ServerName,
		InsecureSkipVerify: t.Insecure, //nolint:gosec // the user's express will, see Environment.Insecure
	}
	if t.Min == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if t.CAFile != "" {
		text, err := readBounded(t.CAFile, maxPEM)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca_file %s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.ClientCert != "" {
		certificate, err := t.clientCertificate()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{certificate}
	}
	if len(t.PinSHA256) > 0 {
		c.VerifyConnection = t.pinned
	}
	return c, nil
}

func (t TLS) clientCertificate() (tls.Certificate, error) {
	chain, err := readBounded(t.ClientCert, maxPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client_cert: %w", err)
	}
	key, err := readBounded(t.ClientKey, maxPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read client_key: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, errors.New("client_cert and client_key are no certificate in PEM with its key")
	}
	return certificate, nil
}

// pinned accepts a connection if a certificate of its chain is pinned. Only the chain that was verified counts (RFC 7469 §2.6): a
// server can send any certificate beside it.
func (t TLS) pinned(s tls.ConnectionState) error {
	for _, c := range slices.Concat(s.VerifiedChains...) {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		if slices.Contains(t.PinSHA256, base64.StdEncoding.EncodeToString(sum[:])) {
			return nil
		}
	}
	return ErrPin
}

// ClientTLS returns how license requests are sent, nil if the profile does not say. It reads the files that it names.
func (p *Profile) ClientTLS() (*tls.Config, error) {
	if p.RequestTLS == "" {
		return nil, nil
	}
	c, err := p.TLS[p.RequestTLS].Config()
	if err != nil {
		return nil, fmt.Errorf("%s: tls.%s: %w", p.Origin, p.RequestTLS, err)
	}
	return c, nil
}

// Unverified reports whether certificates of the license or a token service are not verified.
func (p *Profile) Unverified() bool {
	for _, name := range p.tlsNames() {
		if p.TLS[name].Insecure {
			return true
		}
	}
	return false
}

// Insecurities says what of a bound profile's traffic is not encrypted or not verified; each needs the run's leave, see
// [Environment].
func (p *Profile) Insecurities() []string {
	var all []string
	if !p.Secure() {
		all = append(all, p.ID+": plain http to another machine")
	}
	if p.Unverified() {
		all = append(all, p.ID+": certificates are not verified")
	}
	return all
}

// tlsNames are the configurations that are used.
func (p *Profile) tlsNames() []string {
	var used []string
	if p.RequestTLS != "" {
		used = append(used, p.RequestTLS)
	}
	for _, t := range p.Tokens {
		if t.HTTP != nil && t.HTTP.TLS != "" {
			used = append(used, t.HTTP.TLS)
		}
	}
	return used
}

func (v *validator) tls() {
	p := v.p
	for _, name := range keysSorted(p.TLS) {
		t, path := p.TLS[name], join("tls", name)
		if t.Min != "" {
			oneOf(v, path+".min", t.Min, "1.2", "1.3")
		}
		if (t.ClientCert == "") != (t.ClientKey == "") {
			v.bad(path, "client_cert and client_key belong together")
		}
		for i, pin := range t.PinSHA256 {
			if b, err := base64.StdEncoding.DecodeString(pin); err != nil || len(b) != sha256.Size {
				v.bad(fmt.Sprintf("%s.pin_sha256[%d]", path, i), "want the base64 of a SHA-256 digest, 44 characters, seen %q", pin)
			}
		}
		if t.Insecure && (t.CAFile != "" || len(t.PinSHA256) > 0) {
			v.bad(path+".insecure", "makes ca_file and pin_sha256 worthless")
		}
		if !slices.Contains(p.tlsNames(), name) {
			v.bad(path, "is used nowhere")
		}
	}
	if p.RequestTLS != "" {
		v.knownTLS("request_tls", p.RequestTLS)
	}
}

func (v *validator) knownTLS(path, name string) {
	if _, known := v.p.TLS[name]; !known {
		v.bad(path, "tls has no %q: %s", name, nearest.Hint(name, keysSorted(v.p.TLS)))
	}
}
