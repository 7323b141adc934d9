package playready

import (
	"bytes"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
)

// Forge says how a license challenge deviates from a right one. Each field changes one signed or encrypted part; the zero value
// changes nothing, so that a forged request and its untampered twin come from the same code. Functions must not keep what they
// are given.
type Forge struct {
	// What stands in the encrypted data (sheet playready.md §7.4), from the inside out.
	Chain     func(chain []byte) []byte     // the certificate chain
	Data      func(plain []byte) []byte     // the plaintext
	Cipher    func(encrypted []byte) []byte // IV and ciphertext
	ServerKey ecc.PublicKey                 // the session key is encrypted for it, in place of the server's
	Session   func(encrypted []byte) []byte // the encrypted session key

	LA       func(la *soap.LA)             // what is signed, before it is written
	Key      ecc.PrivateKey                // signs in place of the device's own key
	Announce ecc.PublicKey                 // the key that the signature names, in place of the one that signs
	Tampered func(la *soap.LA)             // what is sent in place of what was signed
	Text     func(la string) string        // the element LA as text, after it was signed
	Info     func(info string) string      // SignedInfo, before it is signed
	Sign     func(signature []byte) []byte // the signature, r || s
	Body     func(body []byte) []byte      // the whole challenge
}

func change(f func([]byte) []byte, b []byte) []byte {
	if f == nil {
		return b
	}
	return f(bytes.Clone(b)) // f may work in place
}

func changeText(f func(string) string, s string) string {
	if f == nil {
		return s
	}
	return f(s)
}
