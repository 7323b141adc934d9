package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"keyflow/drm"
)

// The reasons of transport errors. They are a closed set: no text of an error ever becomes one.
const (
	ReasonTimeout     drm.Reason = "timeout"             // no complete answer within the time allowed
	ReasonRefused     drm.Reason = "connection-refused"  //
	ReasonReset       drm.Reason = "connection-reset"    //
	ReasonClosed      drm.Reason = "connection-closed"   // before the first byte of an answer
	ReasonTruncated   drm.Reason = "truncated"           // the answer's body ended early
	ReasonUnreachable drm.Reason = "unreachable"         // no route to the host or network
	ReasonDNS         drm.Reason = "dns"                 //
	ReasonTLS         drm.Reason = "tls"                 // handshake, certificate or record
	ReasonTransport   drm.Reason = "other-transport"     //
	ReasonExhausted   drm.Reason = "generator-exhausted" // this machine has no port, descriptor or buffer left
	ReasonInterrupted drm.Reason = "interrupted"         // the caller gave up
	ReasonTooLarge    drm.Reason = "too-large"           // the answer has more than max_bytes
)

// TransportError says that no whole answer arrived.
type TransportError struct {
	Reason   drm.Reason
	Expected string
	Seen     string
	Err      error // nil for ReasonTooLarge
}

func (e *TransportError) Error() string { return fmt.Sprintf("%s: %s", e.Reason, e.Seen) }
func (e *TransportError) Unwrap() error { return e.Err }

// Unreachable reports whether the server could not be reached at all, as opposed to misbehaving.
func (e *TransportError) Unreachable() bool {
	return slices.Contains([]drm.Reason{ReasonRefused, ReasonUnreachable, ReasonDNS}, e.Reason)
}

// NewTransportError classifies an error of net/http. reading says that the answer's head had arrived.
func NewTransportError(err error, reading bool) *TransportError {
	var whole *url.Error
	if errors.As(err, &whole) { // its text holds the URL, which may hold a token
		err = whole.Err
	}
	reason := transportReason(err, reading)
	seen, known := said[reason]
	switch {
	case known:
	case strings.Contains(err.Error(), "Location header"): // net/http quotes it
		seen = "the redirect's Location is no URL"
		err = errors.New(seen)
	default:
		seen = clip(err.Error())
	}
	return &TransportError{Reason: reason, Expected: "an answer", Seen: seen, Err: err}
}

// said tells in a few words what net/http tells in many.
var said = map[drm.Reason]string{
	ReasonTimeout:   "no complete answer within the time allowed",
	ReasonReset:     "the server cut the connection",
	ReasonClosed:    "the server closed the connection without an answer",
	ReasonTruncated: "the answer ended before its announced length",
}

func transportReason(err error, reading bool) drm.Reason {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return ReasonInterrupted
	case errors.As(err, &dns):
		return ReasonDNS
	case isOneOf(err, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS):
		return ReasonExhausted
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return ReasonRefused
	case isOneOf(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH):
		return ReasonUnreachable
	case isOneOf(err, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED):
		return ReasonReset
	case isTLS(err):
		return ReasonTLS
	case reading && errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated
	// net/http tells in words only that a kept connection was closed while the request was on its way.
	case isOneOf(err, io.EOF, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "server closed idle connection"):
		return ReasonClosed
	default:
		return ReasonTransport
	}
}

func isOneOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}

func isTLS(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		unknown     x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
	)
	return errors.Is(err, ErrPin) || isAlert(err) || errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

// isAlert reports whether an error is the other side's alert or the library's own: their types are not exported.
func isAlert(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && strings.HasSuffix(remote.Op, " error") || strings.HasPrefix(err.Error(), "tls: ")
}

// maxSeen bounds the text of an error, in bytes.
const maxSeen = 200

func clip(s string) string {
	if len(s) <= maxSeen {
		return s
	}
	return strings.ToValidUTF8(s[:maxSeen], "") + "…"
}

// ReadBody reads the body of an answer, at most MaxBytes of the profile, and closes it. Its error is a [*TransportError].
func (p *Profile) ReadBody(r *http.Response) ([]byte, error) {
	defer func() { _ = r.Body.Close() }()                        // an answer that was read to its end is good whatever closing says
	if r.Request != nil && r.Request.Method == http.MethodHead { // the length is that of GET (RFC 9110 §9.3.2)
		return nil, nil
	}
	limit := p.Response.MaxBytes
	if r.ContentLength > limit {
		return nil, tooLarge(limit, fmt.Sprintf("%d bytes announced", r.ContentLength))
	}
	if r.ContentLength > 0 {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, NewTransportError(err, true)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, NewTransportError(err, true)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(limit, "more")
	}
	return body, nil
}

func tooLarge(limit int64, seen string) *TransportError {
	return &TransportError{Reason: ReasonTooLarge, Expected: fmt.Sprintf("an answer of at most %d bytes", limit), Seen: seen}
}
