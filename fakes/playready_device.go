package fakes

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
)

// playReadyDevice is who asks for a license.
type playReadyDevice struct {
	sign, encrypt ecc.PublicKey
	level         int             // of security
	fingerprint   drm.Fingerprint // of the leaf certificate
}

// deviceOf returns what the leaf of a chain says, whoever signed it, and false if it lacks a key.
func deviceOf(chain *bcert.Chain) (playReadyDevice, bool) {
	leaf := chain.Leaf()
	sign, signs := leaf.Key(bcert.UsageSign)
	encrypt, encrypts := leaf.Key(bcert.UsageEncrypt)
	return playReadyDevice{sign, encrypt, int(leaf.SecurityLevel), secret.FingerprintOf(leaf.Raw)}, signs && encrypts
}

// playReadyDevice finds out who asks and whether they may (sheet playready.md §11, steps 3 to 5). Whatever is wrong with the
// encrypted data, the refusal is the same to the byte, and comes after the same steps: an answer that told bad padding from
// bad content would let anybody who recorded a challenge decrypt it piece by piece (sheet §14.5, PR-SEC-13).
func (x *exchange) playReadyDevice() (playReadyDevice, *refusal) {
	c := x.challenge
	announced, err := ecc.ParsePublicKey(c.PublicKey)
	if (err != nil || !c.Verifies(announced)) && !x.acts(faultPRSignatureIgnored) {
		return playReadyDevice{}, x.fault(reasonSignature, soap.CodeInvalidMessage, "the signature of the challenge does not verify")
	}
	chain, err := x.server.authority.playReady.decrypt(c.LA)
	switch {
	case err == nil:
	case x.acts(faultPRDataUnread):
		return playReadyDevice{}, &refusal{status: http.StatusOK, reason: reasonEncrypted, page: &answer{status: http.StatusOK, contentType: soap.ContentType}}
	case errors.Is(err, soap.ErrPadding) && x.acts(faultPRPaddingOracle):
		return playReadyDevice{}, x.fault(reasonEncrypted, soap.CodeInternalError, "decrypt challenge: the padding is not valid")
	default:
		return playReadyDevice{}, x.fault(reasonEncrypted, soap.CodeInvalidMessage, "the encrypted data of the challenge cannot be used")
	}
	device, refused := x.verifyDeviceChain(chain)
	if refused != nil {
		return playReadyDevice{}, refused
	}
	if device.sign != announced && !x.acts(faultPRBindingIgnored) {
		return playReadyDevice{}, x.fault(reasonSigningKey, soap.CodeInvalidMessage, "the challenge is not signed by the key of the device certificate")
	}
	return device, nil
}

// verifyDeviceChain judges a chain that could be parsed.
func (x *exchange) verifyDeviceChain(chain *bcert.Chain) (playReadyDevice, *refusal) {
	device, err := x.server.playReadyChains.verify(chain.Raw, x.now)
	if expired(err) && x.on(faultPRExpiryIgnored) {
		if late, lateErr := x.server.playReadyChains.verify(chain.Raw, time.Time{}); lateErr == nil { // at a time before all expiry
			x.acted(faultPRExpiryIgnored)
			device, err = late, nil
		}
	}
	if err == nil {
		x.record.Device = device.fingerprint
		return device, x.verifyNotRevoked(chain)
	}
	if expired(err) {
		return playReadyDevice{}, x.fault(reasonExpired, soap.CodeInvalidMessage, "the device certificate has expired")
	}
	if device, ok := deviceOf(chain); ok && x.acts(faultPRChainIgnored) {
		return device, nil
	}
	return playReadyDevice{}, x.fault(reasonChain, soap.CodeInvalidMessage, "the device certificate is not trusted")
}

// verifyNotRevoked looks for every certificate of a verified chain in the revocation list (sheet playready.md §10, rule 9). It is
// done for each request, whether the chain is remembered or not.
func (x *exchange) verifyNotRevoked(chain *bcert.Chain) *refusal {
	revoked := slices.ContainsFunc(chain.Certificates, func(c *bcert.Certificate) bool { return x.server.revoked[c.Digest] })
	if revoked && !x.acts(faultPRRevocationIgnored) {
		return x.fault(reasonRevoked, soap.CodeDeviceRevoked, "a certificate of the device is revoked")
	}
	return nil
}

func expired(err error) bool {
	var why *bcert.VerifyError
	return errors.As(err, &why) && why.Reason == bcert.ReasonExpired
}

// newPlayReadyChains returns a cache that verifies device chains under the authority's root.
func newPlayReadyChains(a *Authority) *chainCache[playReadyDevice] {
	return playReadyChainsUnder(a.PlayReadyRoot())
}

func playReadyChainsUnder(root ecc.PublicKey) *chainCache[playReadyDevice] {
	return newChainCache(maxChains, func(raw []byte, now time.Time) (playReadyDevice, time.Time, error) {
		chain, err := bcert.Parse(raw)
		if err != nil {
			return playReadyDevice{}, time.Time{}, err
		}
		if _, _, err := chain.VerifyDevice(root, now); err != nil {
			return playReadyDevice{}, time.Time{}, err
		}
		var until time.Time
		for _, c := range chain.Certificates {
			if !c.Expires.IsZero() && (until.IsZero() || c.Expires.Before(until)) {
				until = c.Expires
			}
		}
		device, _ := deviceOf(chain) // it has both keys
		return device, until, nil
	})
}

// decrypt returns the certificate chain of a challenge (sheet playready.md §7.3, §7.4). A session key that cannot be decrypted
// is replaced by a random one, so that the steps that follow are gone through all the same.
func (p playReadyAuthority) decrypt(la soap.LA) (*bcert.Chain, error) {
	x, keyErr := p.server.Decrypt(la.EncryptedKey)
	if keyErr != nil {
		x = secret.New(random(ecc.CoordinateLen))
	}
	key, err := soap.NewSessionKey(x)
	if err != nil {
		return nil, err
	}
	plain, dataErr := key.Decrypt(la.EncryptedData)
	raw, parseErr := soap.ParseClientData(bytes.TrimSpace(plain))
	chain, chainErr := bcert.Parse(raw)
	return chain, cmp.Or(keyErr, dataErr, parseErr, chainErr)
}
