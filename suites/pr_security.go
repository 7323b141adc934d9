package suites

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
	"keyflow/reports"
)

// playReadySecurity are the checks of how challenges are authenticated (sheet playready.md §14.5). Each asks for the untampered
// twin of its challenge first: it must be granted.
func playReadySecurity() []Check {
	const (
		hint   = "A challenge that must be refused was granted: anybody can get keys. Is verification switched off, or does its result go unused?"
		source = "protocol necessity; sheet playready.md §14.5"
	)
	return []Check{
		{
			ID: "PR-SEC-01", Title: "A challenge with a flipped signature bit is refused", Level: reports.Must, Source: source,
			Why: "Without it, any challenge with a known certificate chain is granted.", Hint: hint,
			Kills: []Kill{{"pr-signature-not-verified", reports.Fail, reasonAccepted}},
			Run: func(e *Env) {
				e.mustRefuseChallenge(
					playready.Forge{Sign: func(b []byte) []byte { b[ecc.CoordinateLen-1] ^= 1; return b }},
					playready.Forge{Sign: func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
				)
			},
		},
		{
			ID: "PR-SEC-02", Title: "A challenge that was changed after it was signed is refused", Level: reports.Must, Source: source,
			Why: "Content, nonce, time and custom data must all be covered, or a recorded challenge buys other content.", Hint: hint,
			Kills: []Kill{{"pr-digest-not-verified", reports.Fail, reasonAccepted}},
			Run:   challengeChanged,
		},
		{
			ID: "PR-SEC-03", Title: "A challenge that is signed by another key than the certificate's is refused", Level: reports.Must, Source: source,
			Why: "The signature must prove possession of the key in the certificate that is shown; the key that it names itself proves nothing.", Hint: hint,
			Needs: []Need{NeedSecondDevice},
			Kills: []Kill{{"pr-signing-key-not-bound", reports.Fail, reasonAccepted}},
			Run: func(e *Env) {
				second, ok := e.Second.(*playready.Platform)
				if !ok {
					e.NotApplicable("the second device's key is not at hand")
				}
				e.mustRefuseChallenge(playready.Forge{Key: second.Identity().SigningKey()})
			},
		},
		{
			ID: "PR-SEC-05", Title: "Degenerate signatures are refused", Level: reports.Must, Source: source,
			Why: "Zeros, numbers beyond the group's order, other lengths and forms have fooled verifiers before.", Hint: hint,
			Kills: []Kill{{"pr-signature-not-verified", reports.Fail, reasonAccepted}},
			Run:   degenerateSignatures,
		},
		{
			ID: "PR-SEC-06", Title: "A certificate chain under a foreign root is refused", Level: reports.Must, Source: source,
			Why: "Everybody can make a certificate chain; only the root tells a device.", Hint: hint,
			Kills:  []Kill{{"pr-chain-not-verified", reports.Fail, reasonAccepted}},
			Leaves: leavesRoot,
			Run:    foreignChain,
		},
		{
			ID: "PR-SEC-09", Title: "An expired certificate is refused", Level: reports.Should, Source: source,
			Why: "A device whose time is over must ask for a new certificate, not for more keys.", Hint: hint,
			Needs: []Need{NeedIssuer},
			Kills: []Kill{{"pr-expiry-ignored", reports.Warn, reasonAccepted}},
			Run: func(e *Env) {
				Require(e, HaveLicense)
				how := e.refused(e.issued(e.playReadyDevice().Identity().SecurityLevel(), e.clock().Now().Add(-time.Hour)), Require(e, HaveBox))
				e.Note("device without expiry granted; expired one refused with %s", how)
			},
		},
		{
			ID: "PR-SEC-13", Title: "Encrypted data that cannot be read is refused, always in the same way", Level: reports.Must, Source: source,
			Why:   "Answers that tell bad padding from bad content give the device's certificates away, byte by byte.",
			Hint:  "Give every failure of decryption and of parsing behind it one status, one code and one text.",
			Kills: []Kill{{"pr-padding-told", reports.Fail, reasonNotUniform}, {"pr-encrypted-data-unread", reports.Fail, reasonUnclear}},
			Run:   garbageData,
		},
		{
			ID: "PR-SEC-14", Title: "A challenge that is encrypted for another server is refused", Level: reports.Must, Source: source,
			Why:   "It happens whenever a player is configured for another environment, and must say so instead of breaking.",
			Hint:  "Is a session key that cannot be decrypted a refusal, or an exception that ends in an empty answer?",
			Kills: []Kill{{"pr-encrypted-data-unread", reports.Fail, reasonUnclear}},
			Run: func(e *Env) {
				other, err := ecc.GenerateKey()
				if err != nil {
					e.block("make a server key", &HarnessError{err})
				}
				e.mustRefuseChallenge(playready.Forge{ServerKey: other.Public()})
			},
		},
	}
}

func challengeChanged(e *Env) {
	nonce := random16()
	e.mustRefuseChallenge(
		playready.Forge{Tampered: func(la *soap.LA) { la.Nonce = base64.StdEncoding.EncodeToString(nonce[:]) }},
		playready.Forge{Tampered: func(la *soap.LA) { la.ClientTime = laterBySecond(la.ClientTime) }},
		playready.Forge{Tampered: func(la *soap.LA) { la.CustomData = secret.New([]byte("changed after it was signed")) }},
	)
}

func laterBySecond(seconds string) string {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return "0"
	}
	return strconv.FormatInt(n+1, 10)
}

func random16() [16]byte {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return b
}

func degenerateSignatures(e *Env) {
	replaced := func(b []byte) playready.Forge {
		return playready.Forge{Sign: func([]byte) []byte { return bytes.Clone(b) }}
	}
	zero := make([]byte, ecc.CoordinateLen)
	order := elliptic.P256().Params().N.Bytes() // no valid r or s is as large
	e.mustRefuseChallenge(
		replaced(append(bytes.Clone(zero), zero...)),
		playready.Forge{Sign: func(b []byte) []byte { return append(bytes.Clone(zero), b[ecc.CoordinateLen:]...) }},
		playready.Forge{Sign: func(b []byte) []byte { return append(b[:ecc.CoordinateLen:ecc.CoordinateLen], zero...) }},
		replaced(append(bytes.Clone(order), order...)),
		playready.Forge{Sign: func(b []byte) []byte { return b[:len(b)-1] }},
		playready.Forge{Sign: func(b []byte) []byte { return append(b, 0) }},
		replaced([]byte{}),
	)
}

// foreignChain makes a device of a root that no server knows and asks with it.
func foreignChain(e *Env) {
	e.requireLicense()
	identity, err := e.foreignPlayReady()
	if err != nil {
		e.block("make a foreign device", &HarnessError{err})
	}
	for _, key := range []ecc.PrivateKey{identity.SigningKey(), identity.EncryptionKey()} {
		e.Vault.Add("foreign-device-key", key.Scalar())
	}
	how := e.refused(e.playReadyDevice().WithIdentity(identity), Require(e, HaveBox))
	e.Note("%sforeign device refused with %s", e.beside("device of the known root granted; "), how)
}

// issued makes a device under the server's own root.
func (e *Env) issued(level int, expires time.Time) drm.Platform {
	p, err := e.Issue(level, expires)
	if err != nil {
		e.block("issue a device", &HarnessError{err})
	}
	return p
}

// foreignPlayReady makes a device of this one's level under a root and an issuer of its own.
func (e *Env) foreignPlayReady() (playready.Identity, error) {
	var keys [4]ecc.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecc.GenerateKey(); err != nil {
			return playready.Identity{}, err
		}
	}
	root, issuerKey, sign, encrypt := keys[0], keys[1], keys[2], keys[3]
	level := uint32(e.playReadyDevice().Identity().SecurityLevel())
	issuer, err := bcert.NewIssuer(random16(), level, issuerKey.Public(), bcert.UsageIssuerDevice).Issue(root)
	if err != nil {
		return playready.Identity{}, err
	}
	leaf, err := bcert.NewDevice(random16(), level, sign.Public(), encrypt.Public(), time.Time{}).Issue(issuerKey)
	if err != nil {
		return playready.Identity{}, err
	}
	chain, err := bcert.Join(leaf, issuer)
	if err != nil {
		return playready.Identity{}, err
	}
	return playready.NewIdentity(chain.Raw, sign, encrypt)
}

func garbageData(e *Env) {
	parts := []struct {
		name  string
		forge playready.Forge
	}{
		{"a session key off the curve", playready.Forge{Session: func(b []byte) []byte { b[40] ^= 1; return b }}},
		{"a session key of zeros", playready.Forge{Session: func(b []byte) []byte { return make([]byte, len(b)) }}},
		{"a session key of 127 bytes", playready.Forge{Session: func(b []byte) []byte { return b[:len(b)-1] }}},
		{"a session key of 129 bytes", playready.Forge{Session: func(b []byte) []byte { return append(b, 0) }}},
		// In CBC a bit of a block flips the same bit of the next one: this one makes the last byte of the padding too large.
		{"the padding", playready.Forge{Cipher: func(b []byte) []byte { b[len(b)-17] ^= 0xe0; return b }}},
		{"the first block of the data", playready.Forge{Cipher: func(b []byte) []byte { b[16] ^= 0xff; return b }}},
		{"the plaintext", playready.Forge{Data: func([]byte) []byte { return []byte("<Data></Data>") }}},
		{"the certificate chain", playready.Forge{Chain: func(b []byte) []byte { return b[:len(b)/2] }}},
	}
	forges := make([]playready.Forge, len(parts))
	for i, p := range parts {
		forges[i] = p.forge
	}
	refused := e.mustRefuseChallenge(forges...)
	first := refusalOf(refused[0])
	for i, x := range refused {
		if got := refusalOf(x); got != first {
			e.Fail(Failure{Reason: reasonNotUniform, Step: stepTampered, Expected: "one answer for everything that is wrong with the encrypted data: " + first,
				Seen: fmt.Sprintf("%s for a change of %s", got, parts[i].name)})
		}
	}
}

// refusalOf tells what a client sees of a refusal.
func refusalOf(x *Exchange) string {
	f := x.PlayReady().Fault
	if f == nil {
		return fmt.Sprintf("HTTP %d, body %s", x.Status, secret.FingerprintOf(x.Reply.Body))
	}
	return fmt.Sprintf("HTTP %d, fault %s %q", x.Status, f.Code, f.Text)
}
