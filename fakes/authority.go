package fakes

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

const (
	// SystemID is the system id of every harness device: outside the range of real device families.
	SystemID = 900001

	authoritySecretLen = 32 // bytes
	rootBits           = 3072
	deviceBits         = 2048
	defaultDevices     = 2
)

// MaxDevices is the largest number of devices of each system that an authority has.
const MaxDevices = 1000

// Authority is a root of trust that the fakes trust and nobody else: for Widevine a root key, a license service, a device
// model and devices, for PlayReady the same in its own terms (see playReadyAuthority), and for both a secret that the content
// keys of the fakes follow from. No real license server accepts its devices, and no real client its roots. It is immutable
// and safe for concurrent use.
type Authority struct {
	root      secret.RSAKey
	rootCert  *wire.SignedDrmCertificate
	model     secret.RSAKey
	modelCert *wire.SignedDrmCertificate
	service   service
	devices   []widevine.Identity
	playReady playReadyAuthority
	secret    secret.Bytes
}

// AuthorityOptions say how an authority is made.
type AuthorityOptions struct {
	Devices  int       // of each system, 1 to 1000; 0 is 2
	RootBits int       // of the Widevine root's RSA key: 2048 or 3072; 0 is 3072
	Clock    drm.Clock // dates the Widevine certificates; nil is the machine's clock
}

// NewAuthority makes an authority with fresh keys. Generating a Widevine device key takes some 60 ms of one core, the root's
// four times that; ctx is looked at between keys. PlayReady's keys take next to no time.
func NewAuthority(ctx context.Context, o AuthorityOptions) (*Authority, error) {
	if o.Devices == 0 {
		o.Devices = defaultDevices
	}
	if o.RootBits == 0 {
		o.RootBits = rootBits
	}
	if o.Clock == nil {
		o.Clock = drm.SystemClock
	}
	if o.Devices < 1 || o.Devices > MaxDevices {
		return nil, fmt.Errorf("make authority: %d devices, want 1 to %d", o.Devices, MaxDevices)
	}
	if o.RootBits != rootBits && o.RootBits != deviceBits {
		return nil, fmt.Errorf("make authority: a root key of %d bits, want %d or %d", o.RootBits, deviceBits, rootBits)
	}
	keys, err := generateKeys(ctx, append([]int{o.RootBits, deviceBits, deviceBits}, slices.Repeat([]int{deviceBits}, o.Devices)...))
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	a := &Authority{root: keys[0], model: keys[1], secret: secret.New(random(authoritySecretLen))}
	created := uint32(o.Clock.Now().Unix()) // the certificate's field has 32 bits, enough until 2106
	if err := a.certify(keys[2], keys[3:], created); err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	if a.playReady, err = newPlayReadyAuthority(o.Devices); err != nil {
		return nil, fmt.Errorf("make authority: PlayReady: %w", err)
	}
	return a, nil
}

// generateKeys makes RSA keys of the given sizes in parallel.
func generateKeys(ctx context.Context, bits []int) ([]secret.RSAKey, error) {
	keys, errs := make([]secret.RSAKey, len(bits)), make([]error, len(bits))
	var group sync.WaitGroup
	turns := make(chan struct{}, 8) // more would only compete for the cores
	for i, n := range bits {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if errs[i] = ctx.Err(); errs[i] != nil {
				return
			}
			key, err := rsa.GenerateKey(rand.Reader, n)
			if err != nil {
				errs[i] = fmt.Errorf("generate an RSA key of %d bits: %w", n, err)
				return
			}
			keys[i] = secret.NewRSAKey(key)
		})
	}
	group.Wait()
	return keys, errors.Join(errs...)
}

// certify issues the certificates: root ← service, root ← model ← devices (sheet widevine.md §15).
func (a *Authority) certify(service secret.RSAKey, devices []secret.RSAKey, created uint32) error {
	var err error
	a.rootCert, err = chain.Issue(&wire.DrmCertificate{
		Type: wire.DrmCertificate_ROOT.Enum(), SerialNumber: []byte{0}, CreationTimeSeconds: &created,
	}, a.root.Public(), a.root, nil)
	if err != nil {
		return fmt.Errorf("root certificate: %w", err)
	}
	a.modelCert, err = chain.Issue(&wire.DrmCertificate{
		Type: wire.DrmCertificate_DEVICE_MODEL.Enum(), SerialNumber: random(16), CreationTimeSeconds: &created,
		SystemId: proto.Uint32(SystemID),
	}, a.model.Public(), a.root, nil)
	if err != nil {
		return fmt.Errorf("model certificate: %w", err)
	}
	if a.service, err = issueService(service, a.root, created); err != nil {
		return fmt.Errorf("service certificate: %w", err)
	}
	for i, key := range devices {
		identity, err := a.issueDevice(key, created)
		if err != nil {
			return fmt.Errorf("device %d: %w", i+1, err)
		}
		a.devices = append(a.devices, identity)
	}
	return nil
}

func (a *Authority) issueDevice(key secret.RSAKey, created uint32) (widevine.Identity, error) {
	cert, err := chain.Issue(&wire.DrmCertificate{
		Type: wire.DrmCertificate_DEVICE.Enum(), SerialNumber: random(16), CreationTimeSeconds: &created,
		SystemId: proto.Uint32(SystemID),
	}, key.Public(), a.model, a.modelCert)
	if err != nil {
		return widevine.Identity{}, err
	}
	token, err := marshal.Marshal(cert)
	if err != nil {
		return widevine.Identity{}, err
	}
	clientID, err := marshal.Marshal(clientIdentification(token))
	if err != nil {
		return widevine.Identity{}, err
	}
	return widevine.NewIdentity(clientID, key)
}

// clientIdentification returns what a harness device says of itself: the names and capabilities of an Android-like client
// (sheet §6.4) with values that belong to no real make.
func clientIdentification(token []byte) *wire.ClientIdentification {
	id := &wire.ClientIdentification{
		Type:  wire.ClientIdentification_DRM_DEVICE_CERTIFICATE.Enum(),
		Token: token,
		ClientCapabilities: &wire.ClientIdentification_ClientCapabilities{
			SessionToken:                proto.Bool(true),
			MaxHdcpVersion:              wire.HDCP_HDCP_NONE.Enum(),
			OemCryptoApiVersion:         proto.Uint32(13),
			AntiRollbackUsageTable:      proto.Bool(false),
			CanUpdateSrm:                proto.Bool(false),
			SupportedCertificateKeyType: []wire.ClientIdentification_ClientCapabilities_CertificateKeyType{wire.ClientIdentification_ClientCapabilities_RSA_2048},
			AnalogOutputCapabilities:    wire.ClientIdentification_ClientCapabilities_ANALOG_OUTPUT_UNKNOWN.Enum(),
		},
	}
	for _, nv := range [][2]string{
		{"company_name", "Harness"},
		{"model_name", "keyflow"},
		{"architecture_name", "harness"},
		{"device_name", "keyflow"},
		{"product_name", "keyflow"},
		{"build_info", "keyflow test device, trusted by no real server"},
	} {
		id.ClientInfo = append(id.ClientInfo, &wire.ClientIdentification_NameValue{Name: &nv[0], Value: &nv[1]})
	}
	return id
}

// Devices returns the Widevine devices, at least one.
func (a *Authority) Devices() []widevine.Identity { return slices.Clone(a.devices) }

// RootKey returns the public key that Widevine device chains end at, and that service certificates verify under.
func (a *Authority) RootKey() *rsa.PublicKey { return a.root.Public() }

// Fingerprint names the authority, by its Widevine root's public key.
func (a *Authority) Fingerprint() drm.Fingerprint {
	return secret.FingerprintOf(x509.MarshalPKCS1PublicKey(a.RootKey()))
}

// ContentKey returns the 16-byte content key that a KID has under this authority: the first half of HMAC-SHA256 over
// label and KID with the authority's secret.
func (a *Authority) ContentKey(kid drm.KID) secret.Bytes {
	return secret.New(a.derive("content key", kid[:])[:contentKeyLen])
}

// derive returns 32 bytes that follow from the authority's secret, a label and data.
func (a *Authority) derive(label string, data []byte) []byte {
	h := hmac.New(sha256.New, a.secret.Reveal())
	h.Write([]byte("keyflow " + label + "\x00"))
	h.Write(data)
	return h.Sum(nil)
}

// signed reports whether the signature is one of any Widevine device of the authority.
func (a *Authority) signed(msg, signature []byte) bool {
	return slices.ContainsFunc(a.devices, func(d widevine.Identity) bool {
		return ladder.Verify(d.PublicKey(), msg, signature) == nil
	})
}

// AddTo makes all private material of the authority known to the vault: its secret, and every private key by its numbers
// and by what its PEM form has on a line of its own.
func (a *Authority) AddTo(vault *secret.Vault) {
	vault.Add("authority-secret", a.secret)
	addKey(vault, "authority-root-key", a.root)
	addKey(vault, "authority-model-key", a.model)
	addKey(vault, "authority-service-key", a.service.key)
	for i, d := range a.devices {
		addKey(vault, fmt.Sprintf("device-%d-key", i+1), d.Key())
	}
	a.playReady.addTo(vault)
}

func addKey(vault *secret.Vault, name string, key secret.RSAKey) {
	for _, part := range key.Parts() {
		vault.Add(name, part)
	}
	vault.Add(name, pemLine(key))
}
