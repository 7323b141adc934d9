package bcert

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyflow/drm/playready/ecc"
)

// Issue returns the certificate, signed by the issuer: with the digest of its first key, and with what [ParseCertificate]
// reads of it. It writes the attributes in the order of sheet playready.md §10, the unknown ones after them, and extended
// data after the signature. What [Parse] would refuse is an error; what only a [Verifier] refuses is issued.
func (c Certificate) Issue(issuer ecc.PrivateKey) (*Certificate, error) {
	issued, err := c.issue(issuer)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return issued, nil
}

func (c Certificate) issue(issuer ecc.PrivateKey) (*Certificate, error) {
	if len(c.Keys) == 0 {
		return nil, errors.New("it has no key")
	}
	if m := c.Manufacturer; strings.Contains(m.Name+m.Model+m.Number, "\x00") {
		return nil, errors.New("a text of the manufacturer holds a NUL")
	}
	c.Digest = sha256.Sum256(c.Keys[0].Public[:])
	if len(c.Extended) > 0 {
		c.Flags |= flagExtended
	}
	raw, err := c.signedPart()
	if err != nil {
		return nil, err
	}
	var extended []byte
	for _, a := range c.Extended {
		extended = appendAttribute(extended, a.Flags, a.Tag, a.Body)
	}
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)+attributeHeaderLen+signatureBodyLen+len(extended)))
	binary.BigEndian.PutUint32(raw[12:], uint32(len(raw)))
	signature, err := signatureBody(raw, issuer)
	if err != nil {
		return nil, err
	}
	raw = appendAttribute(raw, flagMustUnderstand, tagSignature, signature)
	return ParseCertificate(append(raw, extended...))
}

// signatureBody returns the body of the signature attribute.
func signatureBody(signed []byte, issuer ecc.PrivateKey) ([]byte, error) {
	signature, err := issuer.Sign(signed)
	if err != nil {
		return nil, err
	}
	public := issuer.Public()
	b := binary.BigEndian.AppendUint16(nil, signatureECDSA)
	b = binary.BigEndian.AppendUint16(b, ecc.SignatureLen)
	b = append(b, signature...)
	b = binary.BigEndian.AppendUint32(b, keyBits)
	return append(b, public[:]...), nil
}

// signedPart returns header and attributes; the lengths in the header are still to be filled in.
func (c *Certificate) signedPart() ([]byte, error) {
	basic, err := c.basic()
	if err != nil {
		return nil, err
	}
	b := append([]byte("CERT"), words(1, 0, 0)...)
	b = appendAttribute(b, flagMustUnderstand, tagBasic, basic)
	if d := c.Device; d != nil {
		b = appendAttribute(b, flagMustUnderstand, tagDevice, words(d.MaxLicense, d.MaxHeader, d.MaxChainDepth))
	}
	b = appendAttribute(b, flagMustUnderstand, tagFeatures, append(words(uint32(len(c.Features))), words(c.Features...)...))
	b = appendAttribute(b, flagMustUnderstand, tagKeys, c.keys())
	b = appendAttribute(b, 0, tagManufacturer, c.Manufacturer.body())
	for _, a := range c.Unknown {
		b = appendAttribute(b, a.Flags, a.Tag, a.Body)
	}
	return b, nil
}

func (m Manufacturer) body() []byte {
	b := words(m.Flags)
	for _, text := range []string{m.Name, m.Model, m.Number} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)+1))
		b = append(b, text...)
		b = append(b, make([]byte, 4-len(text)%4)...) // the NUL, and zeros up to a multiple of 4
	}
	return b
}

func (c *Certificate) basic() ([]byte, error) {
	expiry := int64(neverExpires)
	if !c.Expires.IsZero() {
		if expiry = c.Expires.Unix(); expiry < 0 || expiry >= neverExpires {
			return nil, fmt.Errorf("it expires at %s, which 32 bits of Unix seconds cannot say", c.Expires.UTC().Format(time.RFC3339))
		}
	}
	b := append([]byte(nil), c.ID[:]...)
	b = append(b, words(c.SecurityLevel, c.Flags, uint32(c.Type))...)
	b = append(b, c.Digest[:]...)
	b = append(b, words(uint32(expiry))...)
	return append(b, c.ClientID[:]...), nil
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

// words returns the numbers, 4 bytes each.
func words(values ...uint32) []byte {
	b := make([]byte, 0, 4*len(values))
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

// Join makes a chain of certificates, leaf first, of which only Raw counts. It reads the chain as [Parse] does and verifies
// nothing.
func Join(certificates ...*Certificate) (*Chain, error) {
	b := append([]byte("CHAI"), words(1, 0, 0, uint32(len(certificates)))...)
	for _, c := range certificates {
		b = append(b, c.Raw...)
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)))
	return Parse(b)
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

// NewCRLSigner returns the template of a harness's signer of revocation lists. As in real chains it states no security level.
func NewCRLSigner(id [16]byte, key ecc.PublicKey) Certificate {
	return Certificate{
		ID: id, Type: TypeCRLSigner, Keys: []Key{{Public: key, Usages: []Usage{UsageSignCRL}}},
		Manufacturer: Manufacturer{Name: harness, Model: "CRL signer", Number: "1"},
	}
}

// harness is the manufacturer of all that keyflow issues, so that nobody mistakes it for a vendor's.
const harness = "Harness"
