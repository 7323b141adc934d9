package bcert

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"keyflow/drm/playready/ecc"
)

// Parse reads a chain strictly: every length is exact, and nothing follows. It verifies no signature, see [Chain.Verify].
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
	r := &reader{buf: b}
	if magic := r.take(4, "magic"); r.err == nil && string(magic) != "CHAI" {
		return nil, errors.New("does not begin with CHAI")
	}
	if v := r.u32("version"); r.err == nil && v != 1 {
		return nil, fmt.Errorf("version %d, want 1", v)
	}
	if n := r.u32("length"); r.err == nil && int64(n) != int64(len(b)) {
		return nil, fmt.Errorf("states %d bytes, has %d", n, len(b))
	}
	r.u32("flags")
	n := r.count("certificates", certHeaderLen, MaxCertificates)
	if r.err != nil {
		return nil, r.err
	}
	if n == 0 {
		return nil, errors.New("no certificate")
	}
	chain := &Chain{Raw: bytes.Clone(b)}
	for i := range n {
		c, rest, err := parseCertificate(r.buf)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		chain.Certificates = append(chain.Certificates, c)
		r.buf = rest
	}
	r.end("after the last certificate")
	return chain, r.err
}

// ParseCertificate reads one certificate, as issuers keep it.
func ParseCertificate(b []byte) (*Certificate, error) {
	c, rest, err := parseCertificate(b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes too many", len(rest))
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, nil
}

func parseCertificate(b []byte) (*Certificate, []byte, error) {
	r := &reader{buf: b}
	if magic := r.take(4, "magic"); r.err == nil && string(magic) != "CERT" {
		return nil, nil, errors.New("does not begin with CERT")
	}
	if v := r.u32("version"); r.err == nil && v != 1 {
		return nil, nil, fmt.Errorf("version %d, want 1", v)
	}
	total, signed := r.u32("length"), r.u32("signed length")
	switch {
	case r.err != nil:
		return nil, nil, r.err
	case int64(total) > int64(len(b)) || total < certHeaderLen:
		return nil, nil, fmt.Errorf("states %d bytes, %d are left", total, len(b))
	case signed > total || signed < certHeaderLen:
		return nil, nil, fmt.Errorf("%d of %d bytes are signed", signed, total)
	}
	c := &Certificate{Raw: bytes.Clone(b[:total]), SignedLen: int(signed)}
	if err := c.parseAttributes(); err != nil {
		return nil, nil, err
	}
	return c, b[total:], nil
}

// parseAttributes reads the attributes. The signature begins where the signed part ends; only extended data may follow it.
func (c *Certificate) parseAttributes() error {
	seen := map[uint16]bool{}
	for at := certHeaderLen; at < len(c.Raw); {
		r := &reader{buf: c.Raw[at:]}
		flags, tag, length := r.u16("attribute flags"), r.u16("attribute tag"), r.u32("attribute length")
		if r.err != nil {
			return r.err
		}
		if length < attributeHeaderLen || int64(length) > int64(len(c.Raw)-at) {
			return fmt.Errorf("attribute %04x at byte %d: length %d of %d bytes left", tag, at, length, len(c.Raw)-at)
		}
		switch {
		case seen[tag]:
			return fmt.Errorf("attribute %04x stands twice", tag)
		case len(seen) == maxAttributes:
			return fmt.Errorf("more than %d attributes", maxAttributes)
		case (tag == tagSignature) != (at == c.SignedLen) && !seen[tagSignature]:
			return fmt.Errorf("attribute %04x at byte %d: the signature begins where the signed part ends, at %d", tag, at, c.SignedLen)
		case seen[tagSignature] && c.Flags&flagExtended == 0:
			return fmt.Errorf("attribute %04x follows the signature", tag)
		}
		seen[tag] = true
		if err := c.parseAttribute(flags, tag, c.Raw[at+attributeHeaderLen:at+int(length)]); err != nil {
			return fmt.Errorf("attribute %04x at byte %d: %w", tag, at, err)
		}
		at += int(length)
	}
	for _, tag := range []uint16{tagBasic, tagKeys, tagSignature} {
		if !seen[tag] {
			return fmt.Errorf("attribute %04x is missing", tag)
		}
	}
	return nil
}

func (c *Certificate) parseAttribute(flags, tag uint16, body []byte) error {
	r := &reader{buf: body}
	switch tag {
	case tagBasic:
		c.parseBasic(r)
	case tagDevice:
		c.Device = &Device{r.u32("maximum license"), r.u32("maximum header"), r.u32("maximum chain depth")}
	case tagFeatures:
		for range r.count("features", 4, maxFeatures) {
			c.Features = append(c.Features, r.u32("feature"))
		}
	case tagKeys:
		c.parseKeys(r)
	case tagManufacturer:
		c.Manufacturer = Manufacturer{r.u32("flags"), r.text("name"), r.text("model"), r.text("model number")}
	case tagSignature:
		c.parseSignature(r)
	default:
		if flags&flagMustUnderstand != 0 && (tag < tagFirstKnown || tag > tagLastKnown) {
			return errors.New("must be understood, and is not known")
		}
		c.Unknown = append(c.Unknown, Attribute{flags, tag, bytes.Clone(body)})
		return nil
	}
	r.end("at its end")
	return r.err
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
	for range r.count("keys", 76, maxKeys) {
		if kind, bits := r.u16("key type"), r.u16("key length"); r.err == nil && (kind != keyTypeP256 || bits != keyBits) {
			r.fail("key of type %d with %d bits, want type %d with %d", kind, bits, keyTypeP256, keyBits)
		}
		k := Key{Flags: r.u32("key flags")}
		point := r.take(ecc.PublicLen, "key")
		if r.err == nil {
			var err error
			if k.Public, err = ecc.ParsePublicKey(point); err != nil {
				r.fail("%w", err)
			}
		}
		for range r.count("usages", 4, maxUsages) {
			k.Usages = append(k.Usages, Usage(r.u32("usage")))
		}
		c.Keys = append(c.Keys, k)
	}
	if len(c.Keys) == 0 {
		r.fail("no key")
	}
}

func (c *Certificate) parseSignature(r *reader) {
	if kind, size := r.u16("type"), r.u16("size"); r.err == nil && (kind != signatureECDSA || size != ecc.SignatureLen) {
		r.fail("signature of type %d with %d bytes, want type %d with %d", kind, size, signatureECDSA, ecc.SignatureLen)
	}
	c.Signature = bytes.Clone(r.take(ecc.SignatureLen, "signature"))
	if bits := r.u32("issuer key length"); r.err == nil && bits != keyBits {
		r.fail("issuer key with %d bits, want %d", bits, keyBits)
	}
	point := r.take(ecc.PublicLen, "issuer key")
	if r.err == nil {
		var err error
		if c.Issuer, err = ecc.ParsePublicKey(point); err != nil {
			r.fail("issuer key: %w", err)
		}
	}
}

// text reads a string of the manufacturer attribute: its length counts a NUL, zeros fill it up to a multiple of 4.
func (r *reader) text(what string) string {
	n := int(min(r.u32(what+" length"), MaxChainLen))
	b := r.take((n+3)/4*4, what)
	if r.err != nil {
		return ""
	}
	text, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(text)
}
