package bcert

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyflow/drm/playready/ecc"
)

// Issue returns a copy of the certificate, signed by the issuer: with the digest of its first key, Raw and SignedLen. Unknown
// attributes are left out.
func (c Certificate) Issue(issuer ecc.PrivateKey) (*Certificate, error) {
	if len(c.Keys) == 0 {
		return nil, errors.New("issue certificate: it has no key")
	}
	c.Digest, c.Issuer, c.Unknown = sha256.Sum256(c.Keys[0].Public[:]), issuer.Public(), nil
	c.Raw = c.signedPart()
	c.SignedLen = len(c.Raw)
	binary.BigEndian.PutUint32(c.Raw[8:], uint32(c.SignedLen+attributeHeaderLen+signatureBodyLen))
	binary.BigEndian.PutUint32(c.Raw[12:], uint32(c.SignedLen))
	var err error
	if c.Signature, err = issuer.Sign(c.Raw); err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	body := binary.BigEndian.AppendUint16(nil, signatureECDSA)
	body = binary.BigEndian.AppendUint16(body, ecc.SignatureLen)
	body = append(body, c.Signature...)
	body = binary.BigEndian.AppendUint32(body, keyBits)
	body = append(body, c.Issuer[:]...)
	c.Raw = appendAttribute(c.Raw, flagMustUnderstand, tagSignature, body)
	return &c, nil
}

// signedPart returns header and attributes; the lengths in the header are still to be filled in.
func (c *Certificate) signedPart() []byte {
	b := append([]byte("CERT"), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	b = appendAttribute(b, flagMustUnderstand, tagBasic, c.basic())
	if d := c.Device; d != nil {
		b = appendAttribute(b, flagMustUnderstand, tagDevice, words(d.MaxLicense, d.MaxHeader, d.MaxChainDepth))
	}
	b = appendAttribute(b, flagMustUnderstand, tagFeatures, words(append([]uint32{uint32(len(c.Features))}, c.Features...)...))
	b = appendAttribute(b, flagMustUnderstand, tagKeys, c.keys())
	m := words(c.Manufacturer.Flags)
	for _, text := range []string{c.Manufacturer.Name, c.Manufacturer.Model, c.Manufacturer.Number} {
		m = binary.BigEndian.AppendUint32(m, uint32(len(text)+1))
		m = append(m, text...)
		m = append(m, make([]byte, 1+(3-len(text)%4))...)
	}
	return appendAttribute(b, 0, tagManufacturer, m)
}

func (c *Certificate) basic() []byte {
	expiry := uint32(neverExpires)
	if !c.Expires.IsZero() {
		expiry = uint32(min(max(c.Expires.Unix(), 0), neverExpires-1))
	}
	b := append([]byte(nil), c.ID[:]...)
	b = append(b, words(c.SecurityLevel, c.Flags, uint32(c.Type))...)
	b = append(b, c.Digest[:]...)
	b = append(b, words(expiry)...)
	return append(b, c.ClientID[:]...)
}

func (c *Certificate) keys() []byte {
	b := words(uint32(len(c.Keys)))
	for _, k := range c.Keys {
		b = binary.BigEndian.AppendUint16(b, keyTypeP256)
		b = binary.BigEndian.AppendUint16(b, keyBits)
		b = append(b, words(k.Flags)...)
		b = append(b, k.Public[:]...)
		b = append(b, words(uint32(len(k.Usages)))...)
		for _, u := range k.Usages {
			b = append(b, words(uint32(u))...)
		}
	}
	return b
}

func words(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func appendAttribute(b []byte, flags, tag uint16, body []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, tag)
	b = binary.BigEndian.AppendUint32(b, uint32(attributeHeaderLen+len(body)))
	return append(b, body...)
}

// Join makes a chain of certificates, leaf first.
func Join(certificates ...*Certificate) (*Chain, error) {
	var body []byte
	for _, c := range certificates {
		body = append(body, c.Raw...)
	}
	b := append([]byte("CHAI"), words(1, uint32(chainHeaderLen+len(body)), 0, uint32(len(certificates)))...)
	return Parse(slices.Concat(b, body))
}

// NewIssuer returns the template of a harness's issuer.
func NewIssuer(id [16]byte, level uint32, key ecc.PublicKey, usages ...Usage) Certificate {
	return Certificate{
		ID: id, SecurityLevel: level, Type: TypeIssuer, Keys: []Key{{Public: key, Usages: usages}},
		Manufacturer: Manufacturer{Name: harness, Model: "Issuer", Number: "1"},
	}
}

// NewDevice returns the template of a harness's device, which never expires if expires is zero.
func NewDevice(id [16]byte, level uint32, sign, encrypt ecc.PublicKey, expires time.Time) Certificate {
	return Certificate{
		ID: id, SecurityLevel: level, Type: TypeDevice, ClientID: id, Expires: expires,
		Device: &Device{MaxLicense: 10240, MaxHeader: 15360, MaxChainDepth: 2}, Features: []uint32{4, 9, 13},
		Keys:         []Key{{Public: sign, Usages: []Usage{UsageSign}}, {Public: encrypt, Usages: []Usage{UsageEncrypt}}},
		Manufacturer: Manufacturer{Name: harness, Model: "Client", Number: "1"},
	}
}

// NewServer returns the template of a harness's response signer.
func NewServer(id [16]byte, key ecc.PublicKey) Certificate {
	return Certificate{
		ID: id, SecurityLevel: 3000, Type: TypeServer, Keys: []Key{{Public: key, Usages: []Usage{UsageSignResponse}}},
		Manufacturer: Manufacturer{Name: harness, Model: "Server", Number: "1"},
	}
}

// harness is the manufacturer of all that keyflow issues, so that nobody mistakes it for a vendor's.
const harness = "Harness"
