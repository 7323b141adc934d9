package fakes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"

	"keyflow/drm"
)

// The life of a run's certificates, by the machine's clock: TLS clients know no other. It allows for clocks of containers.
const (
	certificateSlack = time.Hour
	certificateLife  = 48 * time.Hour
)

// runAuthority makes a certificate authority that lives in memory, as long as the run does, and a certificate under it for
// hosts. It returns what a server serves with and what a client trusts.
func runAuthority(hosts []string) (serving, trust *tls.Config, err error) {
	authority, err := issue(certificateFor("keyflow stand-in, run authority"), nil)
	if err != nil {
		return nil, nil, err
	}
	leaf := certificateFor("keyflow stand-in")
	leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(hostName(h)); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, hostName(h))
		}
	}
	certificate, err := issue(leaf, authority)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority.Leaf)
	serving = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}, NextProtos: []string{"http/1.1"}}
	return serving, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// certificateFor returns a certificate authority's template.
func certificateFor(name string) *x509.Certificate {
	now := drm.SystemClock.Now()
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-certificateSlack), NotAfter: now.Add(certificateLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// issue makes a key and a certificate for it; a nil parent is itself.
func issue(template *x509.Certificate, parent *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of %s: %w", template.Subject.CommonName, err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	signer, by := any(key), template
	chain := [][]byte{}
	if parent != nil {
		signer, by = parent.PrivateKey, parent.Leaf
		chain = append(chain, parent.Certificate...)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make certificate of %s: %w", template.Subject.CommonName, err)
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: append([][]byte{der}, chain...), PrivateKey: key, Leaf: leaf}, err
}
