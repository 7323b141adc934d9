package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyflow/drm/provider"
)

// authority is a certificate authority with its certificate in a file.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), dir: t.TempDir()}
	a.cert = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "FAKE CA"}}, a.key)
	a.write(t, "ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

// sign makes a certificate; the first is its own.
func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// leaf returns a certificate of a server or a client with its key, which stand in files too.
func (a *authority) leaf(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", cert.Raw)
	a.write(t, name+".key", "PRIVATE KEY", der)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func pinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// withTLS is an [provider.Environment.HTTPWith].
func withTLS(c *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}}
}

func tlsProfile(url, keys string) string {
	return head + "tokens: [{id: t, source: http, http: {method: GET, url: '" + url + "', tls: svc, outputs: {value: {}}}}]\n" +
		"request: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\ntls: {svc: {" + keys + "}}\n"
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	certificate := ca.leaf(t, "svc.example")
	ca.leaf(t, "client")
	other.leaf(t, "client")
	foreign := other.leaf(t, "foreign.example")
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	plain := &tls.Config{Certificates: []tls.Certificate{certificate}}
	stapled := certificate
	stapled.Certificate = append(stapled.Certificate, foreign.Leaf.Raw)
	trust := "ca_file: '" + ca.dir + "/ca.pem'"
	pin := func(c *x509.Certificate) string { return ", pin_sha256: ['" + pinOf(c) + "']" }
	client := func(a *authority) string {
		return fmt.Sprintf(", client_cert: '%s/client.pem', client_key: '%s/client.key'", a.dir, a.dir)
	}
	mutual := &tls.Config{Certificates: plain.Certificates, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	for name, c := range map[string]struct {
		server *tls.Config
		keys   string
		want   string // of the error
	}{
		"system's roots":           {plain, "min: '1.2'", "unclassified: tls: "},
		"ca_file":                  {plain, trust, ""},
		"another CA":               {plain, "ca_file: '" + other.dir + "/ca.pem'", "unclassified: tls: "},
		"server name":              {plain, trust + ", server_name: svc.example", ""},
		"another name":             {plain, trust + ", server_name: other.example", "unclassified: tls: "},
		"pin of the leaf":          {plain, trust + pin(certificate.Leaf), ""},
		"pin of the CA":            {plain, trust + pin(ca.cert), ""},
		"wrong pin":                {plain, trust + pin(other.cert), "tls: no certificate of the chain is pinned by the profile"},
		"pin of a stray":           {&tls.Config{Certificates: []tls.Certificate{stapled}}, trust + pin(foreign.Leaf), "tls: no certificate of the chain is pinned by the profile"},
		"one of two pins":          {plain, trust + ", pin_sha256: ['" + pinOf(other.cert) + "', '" + pinOf(ca.cert) + "']", ""},
		"client":                   {mutual, trust + client(ca), ""},
		"no client":                {mutual, trust, "unclassified: tls: "},
		"client of another CA":     {mutual, trust + client(other), "unclassified: tls: "},
		"1.3 for 1.2":              {&tls.Config{Certificates: plain.Certificates, MaxVersion: tls.VersionTLS12}, trust + ", min: '1.3'", "unclassified: tls: "},
		"1.2 for 1.2":              {&tls.Config{Certificates: plain.Certificates, MaxVersion: tls.VersionTLS12}, trust + ", min: '1.2'", ""},
		"1.1 is never spoken":      {&tls.Config{Certificates: plain.Certificates, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, trust, "unclassified: tls: "},
		"insecure trusts everyone": {plain, "insecure: true", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewUnstartedServer(say(200, "text/plain", "FAKE-token-value"))
			hush(s)
			s.TLS = c.server.Clone()
			s.StartTLS()
			defer s.Close()
			p, err := parsed(t, tlsProfile(s.URL, c.keys)).Bind(provider.Environment{HTTPWith: withTLS, Insecure: strings.Contains(c.keys, "insecure")})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Lease(t.Context(), testNeed())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestTLSErrors(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	ca.leaf(t, "client")
	other.leaf(t, "client")
	for name, c := range map[string]struct {
		keys string
		env  provider.Environment
		want string
	}{
		"no client for it": {"min: '1.3'", provider.Environment{}, "token t has tls of its own, which cannot be had here"},
		"client is nil":    {"min: '1.3'", provider.Environment{HTTPWith: func(*tls.Config) *http.Client { return nil }}, "there is no client for it"},
		"insecure":         {"insecure: true", provider.Environment{HTTPWith: withTLS}, "tls: insecure: true: certificates are not verified; --insecure allows it"},
		"no file":          {"ca_file: '" + ca.dir + "/none.pem'", provider.Environment{HTTPWith: withTLS}, "tls.svc: read ca_file: "},
		"no certificate":   {"ca_file: '" + ca.dir + "/client.key'", provider.Environment{HTTPWith: withTLS}, "holds no certificate in PEM"},
		"another's key":    {"client_cert: '" + ca.dir + "/client.pem', client_key: '" + other.dir + "/client.key'", provider.Environment{HTTPWith: withTLS}, "client_cert and client_key are no certificate in PEM with its key"},
		"no client key":    {"client_cert: '" + ca.dir + "/client.pem', client_key: '" + ca.dir + "/none.key'", provider.Environment{HTTPWith: withTLS}, "read client_key"},
		"no client cert":   {"client_cert: '" + ca.dir + "/none.pem', client_key: '" + ca.dir + "/client.key'", provider.Environment{HTTPWith: withTLS}, "read client_cert"},
	} {
		_, err := parsed(t, tlsProfile("https://token.example/", c.keys)).Bind(c.env)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	parsed(t, tlsProfile("https://token.example/", "insecure: true"))
}

// TestClientTLS is what license requests are sent with.
func TestClientTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.leaf(t, "client")
	text := head + "request: {url: 'https://license.example/'}\nrequest_tls: own\ntls: {own: {"
	p := parsed(t, text+"ca_file: '"+ca.dir+"/ca.pem', client_cert: '"+ca.dir+"/client.pem', client_key: '"+ca.dir+"/client.key', server_name: x.example, min: '1.3'}}\n")
	c, err := p.ClientTLS()
	if err != nil || c.RootCAs == nil || len(c.Certificates) != 1 || c.ServerName != "x.example" || c.MinVersion != tls.VersionTLS13 || c.InsecureSkipVerify || p.Unverified() {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := parsed(t, head+"request: {url: 'https://license.example/'}\n").ClientTLS(); c != nil || err != nil {
		t.Errorf("a profile that says nothing: %v, %v", c, err)
	}
	if _, err := parsed(t, text+"ca_file: none.pem}}\n").ClientTLS(); err == nil || !strings.Contains(err.Error(), "p.yaml: tls.own: read ca_file") {
		t.Errorf("no file: %v", err)
	}
	insecure := parsed(t, text+"insecure: true}}\n")
	if c, err := insecure.ClientTLS(); err != nil || !c.InsecureSkipVerify || !insecure.Unverified() {
		t.Errorf("insecure: %+v, %v", c, err)
	}
	if _, err := insecure.Bind(provider.Environment{}); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("insecure without leave: %v", err)
	}
	bind(t, insecure, provider.Environment{Insecure: true})
}
