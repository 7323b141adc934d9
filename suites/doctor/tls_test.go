package doctor_test

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
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/doctor"
)

// issued is a certificate under an authority of its own.
type issued struct {
	serving tls.Certificate
	caFile  string // PEM
	pin     string // of the leaf's key
}

func issue(t *testing.T, change func(*x509.Certificate)) issued {
	t.Helper()
	sign := func(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-100 * 24 * time.Hour), NotAfter: now.Add(100 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "license service"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(leaf)
	rootKey, leafKey := newKey(), newKey()
	rootDER := sign(root, root, rootKey, rootKey)
	leafDER := sign(leaf, root, leafKey, rootKey)
	parsed, err := x509.ParseCertificate(leafDER)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(parsed.RawSubjectPublicKeyInfo)
	return issued{tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, file, base64.StdEncoding.EncodeToString(sum[:])}
}

func (i issued) serve(t *testing.T, change func(*tls.Config)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnauthorized) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{i.serving}}
	change(s.TLS)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL + "/license"
}

// TestHandshake tells apart what can be wrong with TLS.
func TestHandshake(t *testing.T) {
	t.Parallel()
	same := func(*x509.Certificate) {}
	plainly := func(*tls.Config) {}
	tests := map[string]struct {
		certificate func(*x509.Certificate)
		server      func(*tls.Config)
		tls         string // of the profile; CA and PIN are filled in
		reason      drm.Reason
		says        string
	}{
		"unknown authority": {same, plainly, "", "tls-unknown-authority", "issued by test authority"},
		"expired": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
		}, plainly,
			"{ca_file: \"CA\"}", "tls-expired", "has expired"},
		"not yet valid": {func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, plainly, "{ca_file: \"CA\"}", "tls-not-yet-valid", "clock"},
		"wrong name": {func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} }, plainly, "{ca_file: \"CA\"}", "tls-wrong-name",
			"for other.example, not for 127.0.0.1"},
		"no server": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, plainly, "{ca_file: \"CA\"}", "tls-certificate", "may not stand"},
		"other pin": {same, plainly, "{ca_file: \"CA\", pin_sha256: [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]}", "tls-pin", "pinned"},
		"client certificate": {same, func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, "{ca_file: \"CA\"}", "tls-handshake",
			"asks for a client certificate and got none"},
		"too old": {same, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, "{ca_file: \"CA\", min: \"1.3\"}", "tls-handshake", "openssl"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := issue(t, test.certificate)
			hops := doctor.Walk(t.Context(), newCase(t, i.profile(i.serve(t, test.server), test.tls)))
			f := doctor.FirstFailing(hops)
			if f == nil || f.ID != doctor.HopTLS || f.Reason != test.reason || f.Hint == "" || !strings.Contains(text(*f), test.says) || doctor.Exit(hops) != reports.ExitUnreachable {
				t.Errorf("first failing hop %+v, want %s saying %q", f, test.reason, test.says)
			}
		})
	}
}

func (i issued) profile(url, config string) string {
	if config == "" {
		return plain(url, "")
	}
	config = strings.NewReplacer("CA", i.caFile, "PIN", i.pin).Replace(config)
	return plain(url, "request_tls: own\ntls: {own: "+config+"}\n")
}

// TestGoodHandshake tells version, issuer and end, and what of the profile's configuration was at work.
func TestGoodHandshake(t *testing.T) {
	t.Parallel()
	i := issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(5 * 24 * time.Hour) })
	c := newCase(t, i.profile(i.serve(t, func(c *tls.Config) { c.ClientAuth = tls.RequestClientCert }), "{ca_file: \"CA\", pin_sha256: [\"PIN\"]}"))
	c.Client = suites.ProfileClient(c.Profile, nil, c.TLS)
	hops := doctor.Walk(t.Context(), c)
	h := find(hops, doctor.HopTLS)
	for _, says := range []string{"TLS 1.3, ALPN http/1.1", "issued by test authority", "days left: 4", "ends soon", "trusts the roots", "are pinned", "asks for a client certificate, and the profile has none"} {
		if !strings.Contains(text(h), says) {
			t.Errorf("%q is not said: %+v", says, h)
		}
	}
	if f := doctor.FirstFailing(hops); f == nil || f.ID != doctor.HopLicense {
		t.Errorf("first failing %+v", f)
	}
	c = newCase(t, i.profile(i.serve(t, func(*tls.Config) {}), "{insecure: true}"))
	if h := find(doctor.Walk(t.Context(), c), doctor.HopTLS); h.Outcome != doctor.OK || !strings.Contains(text(h), "not verified") {
		t.Errorf("insecure: %+v", h)
	}
}
