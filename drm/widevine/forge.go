package widevine

import (
	"bytes"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// Forge says how a key request deviates from a right one. Each field changes one signed or encrypted part; the zero value
// changes nothing, so that a forged request and its untampered twin come from the same code. Functions must not keep what
// they are given. A service certificate request has an envelope and nothing else that could be forged.
type Forge struct {
	ClientID func(id []byte) []byte // the client identification, before it is put into the request
	// The parts of the encrypted client identification (sheet widevine.md §4.7), before they are put into the request;
	// without effect in the clear. Encrypted gets them all, with provider and serial number, after the others.
	EncryptedClientID func(encrypted []byte) []byte
	ClientIDIV        func(iv []byte) []byte
	PrivacyKey        func(wrapped []byte) []byte
	Encrypted         func(e *wire.EncryptedClientIdentification)

	Request  func(r *wire.LicenseRequest)       // the request, before it is serialized and signed
	Key      secret.RSAKey                      // signs in place of the device's own key
	Tampered func(r *wire.LicenseRequest)       // the request, after it was signed
	Msg      func(msg []byte) []byte            // the serialized request, after it was signed
	Sign     func(signature []byte) []byte      // the signature
	Envelope func(envelope *wire.SignedMessage) // the envelope, before it is serialized
}

func change(f func([]byte) []byte, b []byte) []byte {
	if f == nil {
		return b
	}
	return f(bytes.Clone(b)) // f may work in place, and the identity's bytes are shared
}
