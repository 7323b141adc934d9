package main

import (
	"fmt"
	"strings"

	"keyflow/drm/secret"
)

func (a *app) printWV(v *inspectedWV) {
	if v.Envelope != nil {
		a.printEnvelope(v.Envelope)
	}
	switch {
	case v.Request != nil:
		a.printWVRequest(v.Request)
	case v.License != nil:
		a.printWVLicense(v.License)
	case v.Error != nil:
		a.printLine("error code", orElse(v.Error.Code, "none"))
		a.printLine("meaning", v.Error.Meaning)
	case v.Client != nil:
		a.printClient(v.Client, false)
	case v.Certificate != nil:
		a.printLine("form", v.Certificate.Form)
	}
	for _, u := range v.Unknown {
		a.printLine("unknown field", fmt.Sprintf("%s (%s), %s", u.Field, u.Type, plural(u.Bytes, "byte")))
	}
	switch {
	case v.Request != nil && v.Request.Client != nil:
		a.printChain(v.Request.Client.Chain)
	case v.Client != nil:
		a.printChain(v.Client.Chain)
	case v.License != nil:
		a.printKeys(v.License)
	case v.Certificate != nil:
		a.printChain(v.Certificate.Chain)
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// orDefault is a text, or what is read in its place if it is not stated.
func orDefault(text, reads string) string {
	return orElse(text, "not stated, reads as "+reads)
}

func fingerprinted(n int, f secret.Fingerprint) string {
	text := plural(n, "byte")
	if f != "" {
		text += ", fingerprint " + string(f)
	}
	return text
}

func (a *app) printEnvelope(e *inspectedEnvelope) {
	a.printLine("message type", orDefault(e.Type, "1 (LICENSE_REQUEST)"))
	a.printBytes("message", e.Message)
	a.printBytes("signature", e.Signature)
	if e.SessionKey > 0 {
		a.printLine("session key", fingerprinted(e.SessionKey, e.SessionKeyFingerprint)+", wrapped")
	}
	a.printLine("session key type", e.SessionKeyType)
	a.printBytes("core message", e.Core)
	a.printBytes("remote attestation", e.Attestation)
	a.printTold("license SDK", e.SDK)
	a.printTold("license service", e.Service)
	for _, m := range e.Metrics {
		a.printLine("metric", told(m.Stage)+": "+strings.Join(m.Values, ", "))
	}
}

func (a *app) printWVRequest(r *inspectedWVRequest) {
	if !r.Partly || r.Type != "" {
		a.printLine("request type", orDefault(r.Type, "1 (NEW)"))
	}
	if r.Content != nil {
		a.printContent(r.Content)
	} else if !r.Partly {
		a.printLine("content", "none: the request does not say what it asks for")
	}
	a.printTime("request time", r.Time)
	if !r.Partly || r.Protocol != "" {
		a.printLine("protocol version", orDefault(r.Protocol, "20 (VERSION_2_0)"))
	}
	if !r.Partly || r.Nonce {
		a.printLine("nonce", yesNo(r.Nonce))
	}
	a.printBytes("old nonce", r.OldNonce)
	if r.Client != nil {
		a.printClient(r.Client, r.Partly)
	}
	if e := r.Encrypted; e != nil {
		a.printLine("client", "encrypted (privacy mode)")
		a.printTold("provider id", e.Provider)
		a.printSerial("service cert serial", e.Serial, e.SerialFingerprint)
		a.printBytes("encrypted client", e.ClientID)
		a.printBytes("IV", e.IV)
		a.printBytes("privacy key", e.PrivacyKey)
	}
	if r.SignatureVerifies == nil {
		return
	}
	verifies := "does not verify under the device's key"
	if *r.SignatureVerifies {
		verifies = "verifies under the device's key, over " + r.SignatureCovers
	}
	a.printLine("request signature", verifies)
}

func (a *app) printContent(c *inspectedContent) {
	a.printLine("content", c.Form)
	for _, d := range c.Widevine {
		a.printLine("pssh data", plural(d.Bytes, "byte"))
		if d.Data != nil {
			a.printWidevine(d.Data)
		}
		a.printLine("problem", d.Problem)
	}
	for _, b := range c.Boxes {
		a.printLine("box", fmt.Sprintf("%s, version %d, %s", b.System, b.Version, plural(b.Bytes, "byte")))
		if b.Widevine != nil {
			a.printWidevine(b.Widevine)
		}
		a.printLine("problem", b.Problem)
	}
	a.printLine("init data type", c.InitData)
	a.printBytes("init data", c.Bytes)
	a.printTold("key id", c.WebM)
	if c.License != nil {
		a.printLicenseID(c.License)
	} else if c.Form != contentExisting {
		a.printLine("license type", orDefault(c.LicenseType, "1 (STREAMING)"))
	}
	a.printTold("request id", c.RequestID)
	a.printWords("since started", c.Started)
	a.printWords("since last played", c.LastPlayed)
	a.printBytes("usage entry", c.UsageEntry)
}

// printWords prints a time that has passed.
func (a *app) printWords(name string, n *int64) {
	switch {
	case n == nil:
	case *n <= 0:
		a.printLine(name, fmt.Sprintf("%d s", *n))
	default:
		a.printLine(name, seconds(*n))
	}
}

func (a *app) printTime(name string, t *inspectedTime) {
	if t != nil {
		a.printLine(name, timeText(t))
	}
}

func timeText(t *inspectedTime) string {
	if t.UTC == nil {
		return fmt.Sprintf("%d (no date)", t.Unix)
	}
	return fmt.Sprintf("%d (%s)", t.Unix, t.UTC.Format("2006-01-02T15:04:05Z"))
}

func (a *app) printSerial(name, serial string, f secret.Fingerprint) {
	text := serial
	if f != "" {
		text = strings.TrimPrefix(serial+", fingerprint "+string(f), ", ")
	}
	a.printLine(name, text)
}
