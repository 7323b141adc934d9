package fakes

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

const (
	responseIDLen      = 32   // bytes (sheet playready.md §8.1)
	responseVersion    = "1"  //
	leastSecurityLevel = 150  // of test devices
	usualSecurityLevel = 2000 // of software devices, and of the authority's
)

// PlayReadyTrack says how the key of one KID is granted to PlayReady clients. The zero value is a license for security level
// 2000, as long as the server's policy says, that stays in memory unless [PlayReadyOptions] say otherwise.
type PlayReadyTrack struct {
	SecurityLevel int           // the least one of a client: 150, 2000 or 3000; 0 is 2000
	Persistent    bool          // the license may be stored, and the response is signed
	InMemory      bool          // the license stays in memory, whatever the server's others do
	Duration      time.Duration // of the license; 0: as the server's policy
	FirstPlay     time.Duration // from the start of playback to the license's end; 0 is no such end
	Output        *xmr.OutputProtection
}

func (t PlayReadyTrack) level() int { return cmp.Or(t.SecurityLevel, usualSecurityLevel) }

func (t PlayReadyTrack) validate() error {
	if levels := []int{0, leastSecurityLevel, usualSecurityLevel, 3000}; !slices.Contains(levels, t.SecurityLevel) {
		return fmt.Errorf("PlayReady security level %d, want 150, 2000 or 3000", t.SecurityLevel)
	}
	if t.Persistent && t.InMemory {
		return errors.New("a PlayReady license that is persistent and stays in memory, want one of the two or neither")
	}
	if t.Duration < 0 || t.FirstPlay < 0 {
		return fmt.Errorf("PlayReady durations %v and %v, want positive ones", t.Duration, t.FirstPlay)
	}
	return nil
}

// playReadyResponse is a license response before it is written, for faults to alter. [playReadyResponse.seal] makes the answer.
type playReadyResponse struct {
	licenses    []*playReadyLicense
	response    soap.Response // without its licenses
	persistent  bool          // a license may be stored
	signed      bool          // the response is
	signer      ecc.PrivateKey
	contentType string
	cache       string // of Cache-Control; "" is no-store

	text     func(licenseResponse string) string // alters what is signed, for faults
	tampered func(licenseResponse string) string // alters what is sent in its place
}

// playReadyLicense is one license of a response.
type playReadyLicense struct {
	kid      drm.KID // asked for
	key      secret.Bytes
	rightsID [16]byte
	grant    xmr.Grant
	device   ecc.PublicKey // the key is encrypted for it

	integrity func() secret.Bytes         // draws the integrity key, faults from here on
	tree      func(outer *xmr.Object)     // alters the objects
	sealed    func(license []byte) []byte // alters the license
	longCMAC  bool                        // the CMAC covers 8 bytes too many
	encrypted *encryptedKey               // nil: it is still to be encrypted
}

// encryptedKey is a content key, encrypted for the device, and the integrity key that it was encrypted with.
type encryptedKey struct {
	bytes     []byte
	integrity secret.Bytes
}

// headerKeys returns a license for every KID of the header that is known and that the device may have (sheet playready.md §11,
// steps 7 and 8). A KID that is not known is left out; if none is left the request is refused.
func (x *exchange) headerKeys(device playReadyDevice) ([]*playReadyLicense, *refusal) {
	h := x.challenge.header
	if h == nil || len(h.KIDs) == 0 {
		return nil, x.fault(reasonHeader, soap.CodeInvalidMessage, "the header of the content cannot be read, or names no KID")
	}
	if slices.ContainsFunc(h.KIDs, func(k pssh.HeaderKID) bool { return k.Algorithm == pssh.AlgorithmCocktail }) {
		return nil, x.fault(reasonHeader, soap.CodeInvalidMessage, "keys for COCKTAIL are not served")
	}
	if refused := x.headerFaults(h); refused != nil {
		return nil, refused
	}
	all, refused := x.termsFor(x.record.KIDs)
	if refused != nil {
		return nil, refused
	}
	var licenses []*playReadyLicense
	var granted []drm.KID
	withheld := false
	for _, t := range all {
		kid, track := t.kid, x.trackOf(t).PlayReady
		asked := h.KIDs[slices.IndexFunc(h.KIDs, func(k pssh.HeaderKID) bool { return k.KID == kid })]
		key, known := x.contentKey(t)
		if !known {
			if !x.actsOn(faultPRUnknownKID, kid) {
				continue
			}
			key = secret.New(x.server.faultBytes("unknown key " + kid.String()))
		}
		if !x.checksumFits(asked, key) {
			if !x.actsOn(faultPRChecksumKey, kid) {
				return nil, x.fault(reasonChecksum, soap.CodeInvalidMessage, "the checksum in the header is of another key")
			}
			key = changedKey(key, asked.Checksum)
		}
		if device.level < track.level() && !x.actsOn(faultPRLevelIgnored, kid) {
			withheld = true
			continue
		}
		if !slices.Contains(granted, kid) {
			granted = append(granted, kid)
		}
		l := x.newLicense(device, asked, key, track)
		if t.grant != nil {
			t.grant(&l.grant)
		}
		licenses = append(licenses, l)
	}
	switch {
	case len(licenses) == 0 && withheld:
		return nil, x.fault(reasonSecurity, soap.CodeServiceSpecific, "no key for a device of this security level")
	case len(licenses) == 0:
		return nil, x.fault(reasonUnknownContent, soap.CodeServiceSpecific, "no key for this content")
	}
	x.record.Granted = granted
	return licenses, nil
}

// checksumFits compares the checksum of a header, if it has one, with the key. One without an algorithm is that of AES-CTR,
// the only one with keys of 16 bytes that has checksums.
func (x *exchange) checksumFits(asked pssh.HeaderKID, key secret.Bytes) bool {
	if asked.Checksum == nil {
		return true
	}
	of := func(kid drm.KID) bool {
		want, err := pssh.Checksum(pssh.AlgorithmAESCTR, kid, key)
		return err == nil && bytes.Equal(want, asked.Checksum)
	}
	fits, swapped := of(asked.KID), of(drm.KID(pssh.GUID(asked.KID)))
	if fits != swapped && x.actsOn(faultPRChecksumSwapped, asked.KID) {
		return swapped
	}
	return fits
}

// newLicense says what the license for a key is to say. A key type that the header does not tell is that of AES-CTR: the fake
// keeps no record of the content's scheme (sheet playready.md §9.4).
func (x *exchange) newLicense(device playReadyDevice, asked pssh.HeaderKID, key secret.Bytes, track PlayReadyTrack) *playReadyLicense {
	keyType, stated := playready.KeyType(asked.Algorithm)
	if !stated {
		keyType = xmr.KeyAESCTR
	}
	persistent := track.Persistent || x.server.playReady.Persistent && !track.InMemory
	l := &playReadyLicense{
		kid: asked.KID, key: key, device: device.encrypt,
		grant: xmr.Grant{
			KID: asked.KID, KeyType: keyType, Device: device.encrypt, CannotPersist: !persistent, SecurityLevel: track.level(),
			Issued: x.now, FirstPlay: track.FirstPlay, Output: track.Output,
		},
	}
	duration := cmp.Or(track.Duration, x.server.policy.License)
	if duration > 0 {
		l.grant.Begin, l.grant.End = x.begin(), x.now.Add(duration)
	}
	// A license in memory ends during playback too (sheet §14.3, PR-POL-08).
	l.grant.RealTimeExpiration = !persistent && (duration > 0 || track.FirstPlay > 0)
	return l
}

// begin is when licenses begin: by the client's clock if it is behind the server's, so that it is not in its future (sheet
// playready.md §9.7).
func (x *exchange) begin() time.Time {
	if client := x.challenge.clientTime; client.Before(x.now) {
		return client
	}
	return x.now
}

// newResponse puts the licenses into a response, with the Rights IDs and the nonce of sheet playready.md §8.1, and what the
// server's options add to it.
func (x *exchange) newResponse(licenses []*playReadyLicense) *playReadyResponse {
	g := &playReadyResponse{
		licenses: licenses, response: soap.Response{Version: responseVersion}, contentType: soap.ContentType,
		persistent: slices.ContainsFunc(licenses, func(l *playReadyLicense) bool { return !l.grant.CannotPersist }),
		signer:     x.server.authority.playReady.signer,
	}
	g.signed = g.persistent || x.server.playReady.SignAll
	for i, l := range licenses {
		l.rightsID = [16]byte(random(16))
		if !g.persistent {
			l.rightsID = nthRightsID(x.challenge.nonce, i)
		}
	}
	if g.signed {
		g.response.Nonce, g.response.ResponseID = x.challenge.Nonce, random(responseIDLen)
		g.response.SigningChain = x.server.authority.playReady.signerChain.Raw
	}
	if x.server.playReady.Acknowledgements {
		g.response.Transaction = newTransaction()
	}
	if x.server.playReady.RevocationInfo {
		list := x.server.authority.playReady.revocations
		g.response.Revocation = []soap.RevocationData{{ID: list.ID.Base64(), Data: list.Raw}}
	}
	return g
}

// nthRightsID adds i to the nonce, one big-endian integer modulo 2^128 (sheet playready.md §8.1, the fake's choice).
func nthRightsID(nonce []byte, i int) (id [16]byte) {
	sum := new(big.Int).Add(new(big.Int).SetBytes(nonce), big.NewInt(int64(i)))
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 8*uint(len(id))))
	sum.FillBytes(id[:])
	return id
}

// seal makes the licenses and writes the response, signed or not.
func (g *playReadyResponse) seal() ([]byte, error) {
	r := g.response
	for _, l := range g.licenses {
		license, err := l.seal()
		if err != nil {
			return nil, fmt.Errorf("license of KID %s: %w", l.kid, err)
		}
		r.Licenses = append(r.Licenses, license)
	}
	text := r.Text(g.signed)
	if g.text != nil {
		text = g.text(text)
	}
	var info string
	var signature []byte
	if g.signed {
		info = soap.SignedInfo(soap.Digest(text))
		var err error
		if signature, err = g.signer.Sign([]byte(info)); err != nil {
			return nil, fmt.Errorf("sign response: %w", err)
		}
	}
	if g.tampered != nil {
		text = g.tampered(text)
	}
	return soap.ResponseBody(text, info, signature), nil
}

// seal makes the XMR license: a fresh integrity key, the content key encrypted with it, the CMAC (sheet playready.md §9).
func (l *playReadyLicense) seal() ([]byte, error) {
	if l.encrypted == nil {
		if err := l.encrypt(); err != nil {
			return nil, err
		}
	}
	integrity, outer := l.encrypted.integrity, l.grant.Tree(l.encrypted.bytes)
	if l.tree != nil {
		l.tree(outer)
	}
	license, err := xmr.Seal(l.rightsID, outer, integrity)
	if err != nil {
		return nil, err
	}
	if l.longCMAC {
		const tag = 16 // at the end of the signature object, behind 4 bytes of type and length
		long, err := xmr.CMAC(integrity, license[:len(license)-tag-4])
		if err != nil {
			return nil, err
		}
		copy(license[len(license)-tag:], long)
	}
	if l.sealed != nil {
		license = l.sealed(license)
	}
	return license, nil
}

// encrypt encrypts the content key, anew if it was before.
func (l *playReadyLicense) encrypt() error {
	e := &encryptedKey{}
	var err error
	if l.integrity == nil {
		e.bytes, e.integrity, err = xmr.EncryptKey(l.device, l.key)
	} else {
		e.integrity = l.integrity()
		e.bytes, err = l.device.EncryptX(secret.New(slices.Concat(e.integrity.Reveal(), l.key.Reveal())))
	}
	if err != nil {
		return err
	}
	l.encrypted = e
	return nil
}
