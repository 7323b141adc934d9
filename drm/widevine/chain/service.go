package chain

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Errors about service certificates; ErrMalformed, ErrKey, ErrType, ErrSignature and ErrExpired occur as well.
var (
	ErrForm        = errors.New("service certificate has none of the accepted forms")
	ErrMessageType = errors.New("message is not of type 5 (SERVICE_CERTIFICATE)")
	ErrProvider    = errors.New("service certificate lacks its provider_id or its serial_number")
	ErrNotYetValid = errors.New("certificate was created in the future")
)

// ClockTolerance is how far in the future a service certificate may have been created (sheet §18, WV-CRT-04).
const ClockTolerance = 5 * time.Minute

// maxService bounds a service certificate with its envelope, in bytes; real ones have about 700 (sheet §5.1).
const maxService = 64 << 10

// Form is the shape that a service certificate comes in (sheet §5.2).
type Form string

// The forms that a client accepts, in the order of the sheet.
const (
	FormMessage Form = "signed-message"         // SignedMessage of type 5, what a server answers with
	FormBare    Form = "signed-drm-certificate" // SignedDrmCertificate without an envelope
	FormCopies  Form = "identical-copies"       // SignedMessages in a row, all byte-identical
)

// ServiceCertificate is a service certificate as it came; nothing of it is verified.
type ServiceCertificate struct {
	Form     Form
	Envelope *wire.SignedMessage // nil for FormBare
	Token    []byte              // the serialized SignedDrmCertificate, as yet unparsed
}

// ParseServiceCertificate takes a service certificate out of forms 1, 2 and 3 of sheet §5.2. It wraps [ErrMalformed] if b
// is no protobuf message, [ErrMessageType] for an envelope of another type, and [ErrForm] for a DrmCertificate without a
// signature, copies that differ, an empty b and more than 64 KiB.
func ParseServiceCertificate(b []byte) (*ServiceCertificate, error) {
	if len(b) == 0 || len(b) > maxService {
		return nil, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrForm, len(b), maxService)
	}
	o, err := outlineOf(b)
	if err != nil {
		return nil, err
	}
	switch {
	case o.certificates > 0 && o.types > 0:
		return nil, fmt.Errorf("%w: a SignedMessage and a SignedDrmCertificate in a row", ErrForm)
	case o.certificates > 0:
		return &ServiceCertificate{Form: FormBare, Token: bytes.Clone(b)}, nil
	case o.unsigned:
		return nil, fmt.Errorf("%w: a DrmCertificate without a signature", ErrForm)
	case !o.repeats(b):
		return nil, fmt.Errorf("%w: copies that differ", ErrForm)
	}
	envelope := new(wire.SignedMessage)
	if err := proto.Unmarshal(b, envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if envelope.GetType() != wire.SignedMessage_SERVICE_CERTIFICATE {
		return nil, ErrMessageType
	}
	s := &ServiceCertificate{Form: FormMessage, Envelope: envelope, Token: envelope.GetMsg()}
	if o.types > 1 {
		s.Form = FormCopies
	}
	return s, nil
}

// outline counts the fields that tell the forms apart. Their numbers overlap, their wire types do not (sheet §4.2, §4.8).
type outline struct {
	types, messages int  // SignedMessage 1 and 2
	certificates    int  // SignedDrmCertificate 1
	unsigned        bool // DrmCertificate 3 or 4
}

func outlineOf(b []byte) (outline, error) {
	var o outline
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeField(b)
		if n < 0 {
			return o, fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		field := b[:n]
		b = b[n:]
		switch {
		case number == 1 && kind == protowire.VarintType:
			o.types++
		case number == 1 && kind == protowire.BytesType:
			o.certificates++
		case number == 2 && kind == protowire.BytesType:
			o.messages++
		case number == 3 && kind == protowire.VarintType: // creation_time_seconds; a SignedMessage's signature is bytes
			o.unsigned = true
		case number == 4 && kind == protowire.BytesType: // public_key; a SignedMessage's session key is no DER
			o.unsigned = o.unsigned || isPublicKey(field)
		}
	}
	return o, nil
}

func isPublicKey(field []byte) bool {
	_, _, n := protowire.ConsumeTag(field)
	der, _ := protowire.ConsumeBytes(field[n:])
	_, err := x509.ParsePKCS1PublicKey(der)
	return err == nil
}

// repeats reports whether b is one message, or several that are byte-identical. A parser that merges them, last one wins,
// does not see a difference.
func (o outline) repeats(b []byte) bool {
	n := max(o.types, o.messages)
	if n <= 1 {
		return true
	}
	return o.types == o.messages && len(b)%n == 0 && bytes.Equal(b, bytes.Repeat(b[:len(b)/n], n))
}

// DecodeServiceCertificate returns the bytes of a service certificate that a configuration holds as base64 text (sheet
// §5.2 form 4): standard or URL alphabet, padded or not, with white space anywhere. The bytes have one of the forms of
// [ParseServiceCertificate], whose errors it returns; text that is no base64 wraps [ErrForm].
func DecodeServiceCertificate(text string) ([]byte, error) {
	if len(text) > 2*maxService {
		return nil, fmt.Errorf("%w: %d characters", ErrForm, len(text))
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.Join(strings.Fields(text), ""))
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(plain, "="))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if _, err := ParseServiceCertificate(b); err != nil {
		return nil, err
	}
	return b, nil
}

// VerifyService verifies a service certificate in any form of [ParseServiceCertificate]: signed by the root itself, whatever
// signer it names, and what [ServiceCertificate.Verify] says of its content. It returns the first error.
func VerifyService(cert []byte, root *rsa.PublicKey, now time.Time) (*Certificate, error) {
	s, err := ParseServiceCertificate(cert)
	if err != nil {
		return nil, err
	}
	c, errs := s.Verify(root, now)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return c, nil
}

// Verify returns everything that is wrong with the certificate (sheet §5.3): its signature under the root
// ([ErrSignature]), type ([ErrType]), provider and serial number ([ErrProvider]), key of at least 2048 bits in PKCS#1
// ([ErrKey]), creation time ([ErrNotYetValid], see [ClockTolerance]) and expiration ([ErrExpired]). What does not parse is
// an [ErrMalformed] and gives no certificate; a certificate with an ErrKey has no keys.
func (s *ServiceCertificate) Verify(root *rsa.PublicKey, now time.Time) (*Certificate, []error) {
	signed := new(wire.SignedDrmCertificate)
	if err := proto.Unmarshal(s.Token, signed); err != nil {
		return nil, []error{fmt.Errorf("%w: %w", ErrMalformed, err)}
	}
	if len(signed.GetDrmCertificate()) == 0 {
		return nil, []error{fmt.Errorf("%w: no drm_certificate", ErrMalformed)}
	}
	var errs []error
	if err := signedBy(root, signed); err != nil {
		errs = append(errs, err)
	}
	c, err := decode(signed)
	if err != nil {
		return nil, append(errs, err)
	}
	return c, append(errs, c.serviceContent(now)...)
}

func signedBy(root *rsa.PublicKey, s *wire.SignedDrmCertificate) error {
	switch {
	case ladder.Verify(root, s.GetDrmCertificate(), s.GetSignature()) == nil:
		return nil
	case len(s.GetSignature()) == 0:
		return fmt.Errorf("%w: there is none", ErrSignature)
	case ladder.SignedPKCS1v15(root, s.GetDrmCertificate(), s.GetSignature()):
		return fmt.Errorf("%w: it is PKCS#1 v1.5, not PSS", ErrSignature)
	default:
		return ErrSignature
	}
}

func (c *Certificate) serviceContent(now time.Time) []error {
	var errs []error
	switch t := c.Fields.GetType(); {
	case c.Fields.Type == nil:
		errs = append(errs, fmt.Errorf("no type: %w", ErrType))
	case t != wire.DrmCertificate_SERVICE:
		errs = append(errs, fmt.Errorf("type %d (%v): %w", t, t, ErrType))
	}
	if c.Fields.GetProviderId() == "" || len(c.Fields.GetSerialNumber()) == 0 {
		errs = append(errs, fmt.Errorf("provider_id of %d characters, serial_number of %d bytes: %w",
			len(c.Fields.GetProviderId()), len(c.Fields.GetSerialNumber()), ErrProvider))
	}
	if err := c.readKeys(); err != nil {
		errs = append(errs, err)
	}
	if created := time.Unix(int64(c.Fields.GetCreationTimeSeconds()), 0).UTC(); created.After(now.Add(ClockTolerance)) {
		errs = append(errs, fmt.Errorf("created %s: %w", created.Format(time.RFC3339), ErrNotYetValid))
	}
	if c.Expired(now) {
		end := time.Unix(int64(c.Fields.GetExpirationTimeSeconds()), 0).UTC()
		errs = append(errs, fmt.Errorf("expired %s: %w", end.Format(time.RFC3339), ErrExpired))
	}
	return errs
}
