package bcert

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyflow/drm/playready/ecc"
)

// Parse reads a chain strictly: every length is exact, and nothing follows. It verifies no signature, see [Verifier]. Its errors
// name the certificate, counted from the leaf, 0, the attribute and the byte: of the certificate if they name one, otherwise
// of the chain.
func Parse(b []byte) (*Chain, error) {
	chain, err := parseChain(b)
	if err != nil {
		return nil, fmt.Errorf("certificate chain: %w", err)
	}
	return chain, nil
}

func parseChain(b []byte) (*Chain, error) {
	if len(b) > MaxChainLen {
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(b), MaxChainLen)
	}
	r := &reader{buf: bytes.Clone(b)}
	r.magic("CHAI")
	r.exactly(1, "version")
	r.exactly(uint32(len(b)), "length in bytes")
	r.exactly(0, "flags")
	n := r.count("certificates", certHeaderLen, MaxCertificates)
	if n == 0 {
		r.fail("no certificate")
	}
	if r.err != nil {
		return nil, r.err
	}
	chain := &Chain{Raw: r.buf, Certificates: make([]*Certificate, n)}
	for i := range n {
		c, err := parseCertificate(r.buf[r.at:])
		if err != nil {
			return nil, fmt.Errorf("certificate %d, which begins at byte %d: %w", i, r.at, err)
		}
		chain.Certificates[i] = c
		r.at += len(c.Raw)
	}
	r.end()
	return chain, r.err
}

// ParseCertificate reads one certificate, as issuers keep it, as strictly as [Parse].
func ParseCertificate(b []byte) (*Certificate, error) {
	if len(b) > MaxChainLen {
		return nil, fmt.Errorf("certificate: %d bytes, at most %d are read", len(b), MaxChainLen)
	}
	c, err := parseCertificate(bytes.Clone(b))
	if err == nil && len(c.Raw) < len(b) {
		err = fmt.Errorf("byte %d: %d bytes too many", len(c.Raw), len(b)-len(c.Raw))
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

// parseCertificate reads the certificate at the beginning of b and keeps parts of b.
func parseCertificate(b []byte) (*Certificate, error) {
	r := &reader{buf: b}
	r.magic("CERT")
	r.exactly(1, "version")
	total, signed := r.u32("length"), r.u32("signed length")
	if int64(total) > int64(len(b)) || total < certHeaderLen {
		r.failAt(8, "states %d bytes, %d are left", total, len(b))
	}
	if signed > total || signed < certHeaderLen {
		r.failAt(12, "states that %d of %d bytes are signed", signed, total)
	}
	if r.err != nil {
		return nil, r.err
	}
	c := &Certificate{Raw: b[:total:total], SignedLen: int(signed)}
	return c, c.parseAttributes()
}

// parseAttributes reads the attributes, in any order. The signature begins where the signed part ends; only extended data may
// follow it, and only if the basic information announces it: what follows is not signed.
func (c *Certificate) parseAttributes() error {
	seen := make([]uint16, 0, 8)
	for at := certHeaderLen; at < len(c.Raw); {
		r := &reader{buf: c.Raw, at: at}
		a := Attribute{Flags: r.u16("attribute flags"), Tag: r.u16("attribute tag")}
		length := r.u32("attribute length")
		if r.err != nil {
			return r.err
		}
		if err := c.place(a.Tag, at, length, seen); err != nil {
			return fmt.Errorf("attribute %04x at byte %d: %w", a.Tag, at, err)
		}
		at += int(length)
		r.buf = c.Raw[:at:at]
		a.Body = r.buf[r.at:]
		c.parseAttribute(a, r, slices.Contains(seen, tagSignature))
		if r.err != nil {
			return fmt.Errorf("attribute %04x at byte %d: %w", a.Tag, at-int(length), r.err)
		}
		seen = append(seen, a.Tag)
	}
	for _, tag := range []uint16{tagBasic, tagKeys, tagSignature} {
		if !slices.Contains(seen, tag) {
			return fmt.Errorf("attribute %04x is missing", tag)
		}
	}
	return nil
}

// place reports why an attribute of a length may not stand at the offset, after those that were seen.
func (c *Certificate) place(tag uint16, at int, length uint32, seen []uint16) error {
	switch signed := slices.Contains(seen, tagSignature); {
	case length < attributeHeaderLen || int64(length) > int64(len(c.Raw)-at):
		return fmt.Errorf("states %d bytes, %d are left", length, len(c.Raw)-at)
	case slices.Contains(seen, tag):
		return errors.New("stands twice")
	case len(seen) == maxAttributes:
		return fmt.Errorf("more than %d attributes", maxAttributes)
	case signed && (c.Flags&flagExtended == 0 || tag < tagExtendedFirst || tag > tagExtendedLast):
		return errors.New("may not follow the signature")
	case !signed && (tag == tagSignature) != (at == c.SignedLen):
		return fmt.Errorf("the signature begins where the signed part ends, at byte %d", c.SignedLen)
	}
	return nil
}

// parseAttribute reads the body, at which the reader stands.
func (c *Certificate) parseAttribute(a Attribute, r *reader, extended bool) {
	switch a.Tag {
	case tagBasic:
		c.parseBasic(r)
	case tagDevice:
		c.Device = &Device{MaxLicense: r.u32("maximum license"), MaxHeader: r.u32("maximum header"), MaxChainDepth: r.u32("maximum chain depth")}
	case tagFeatures:
		for range r.count("features", 4, maxFeatures) {
			c.Features = append(c.Features, r.u32("feature"))
		}
	case tagKeys:
		c.parseKeys(r)
	case tagManufacturer:
		c.Manufacturer = Manufacturer{Flags: r.u32("flags"), Name: r.text("name"), Model: r.text("model name"), Number: r.text("model number")}
	case tagSignature:
		c.parseSignature(r)
	default:
		if extended {
			c.Extended = append(c.Extended, a)
		} else {
			c.Unknown = append(c.Unknown, a)
		}
		return
	}
	r.end()
}

func (c *Certificate) parseBasic(r *reader) {
	c.ID = [16]byte(r.take(16, "id"))
	c.SecurityLevel, c.Flags, c.Type = r.u32("security level"), r.u32("flags"), Type(r.u32("type"))
	c.Digest = [32]byte(r.take(32, "digest"))
	if expiry := r.u32("expiry"); expiry != neverExpires {
		c.Expires = time.Unix(int64(expiry), 0).UTC()
	}
	c.ClientID = [16]byte(r.take(16, "client id"))
}

func (c *Certificate) parseKeys(r *reader) {
	n := r.count("keys", minKeyLen, maxKeys)
	if n == 0 {
		r.fail("no key")
	}
	for range n {
		r.exactly16(keyTypeP256, "key type")
		r.exactly16(keyBits, "key length in bits")
		k := Key{Flags: r.u32("key flags"), Public: r.point("key")}
		for range r.count("usages", 4, maxUsages) {
			k.Usages = append(k.Usages, Usage(r.u32("usage")))
		}
		c.Keys = append(c.Keys, k)
	}
}

func (c *Certificate) parseSignature(r *reader) {
	r.exactly16(signatureECDSA, "signature type")
	r.exactly16(ecc.SignatureLen, "signature length in bytes")
	c.Signature = r.take(ecc.SignatureLen, "signature")
	r.exactly(keyBits, "issuer key's length in bits")
	c.Issuer = r.point("issuer key")
}
