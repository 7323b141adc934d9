package widevine

import (
	"bytes"
	"errors"
	"fmt"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Container is one key container of a license (sheet widevine.md §4.10, §8.4).
type Container struct {
	Index    int // position in the license, from 0
	Wire     *wire.License_KeyContainer
	KID      *drm.KID     // nil if the id is not 16 bytes
	Key      secret.Bytes // unwrapped, zero if that did not work
	Unpadded bool         // the key came without PKCS#7 padding
	Usable   bool         // a content key without a finding
}

// Type returns the key type and whether the field is there: an absent type reads as SIGNING.
func (c Container) Type() (wire.License_KeyContainer_KeyType, bool) {
	return c.Wire.GetType(), c.Wire.Type != nil
}

// plainLen are the lengths in bytes of unwrapped keys by type (sheet §8.4).
var plainLen = map[wire.License_KeyContainer_KeyType]int{
	wire.License_KeyContainer_SIGNING:     64,
	wire.License_KeyContainer_CONTENT:     16,
	wire.License_KeyContainer_ENTITLEMENT: 32,
}

// maxContainers bounds the work that one answer makes: each unwrapped key is searched for in the whole answer.
const maxContainers = 1000

// containers decodes and judges every container on its own: one bad container is a finding and leaves the others usable.
func (x *examination) containers() {
	all, signing := x.answer.License.GetKey(), 0
	if len(all) > maxContainers {
		x.fatal(ReasonLicenseParse, stepKeys, fmt.Sprintf("at most %d key containers", maxContainers), fmt.Sprintf("%d", len(all)))
	}
	for i, w := range all[:min(len(all), maxContainers)] {
		c := Container{Index: i, Wire: w}
		if kid, ok := drm.KIDFromBytes(w.GetId()); ok {
			c.KID = &kid
		}
		if t, present := c.Type(); present && t == wire.License_KeyContainer_SIGNING {
			signing++
		}
		before := len(x.findings)
		x.container(&c)
		t, present := c.Type()
		c.Usable = len(x.findings) == before && present && t == wire.License_KeyContainer_CONTENT && c.Key.Len() == plainLen[t]
		x.answer.Containers = append(x.answer.Containers, c)
		x.unknown(fmt.Sprintf("License.key[%d]", i), w)
	}
	if signing > 1 {
		x.keyFinding(nil, ReasonSigningKeys, "at most one SIGNING container", fmt.Sprintf("%d", signing))
	}
	x.conflicts()
}

func (x *examination) container(c *Container) {
	t, present := c.Type()
	if !present {
		x.keyFinding(c, ReasonKeyType, "a key type", "none, which reads as SIGNING")
	} else if _, known := wire.License_KeyContainer_KeyType_name[int32(t)]; !known {
		x.keyFinding(c, ReasonKeyType, "a known key type", fmt.Sprintf("%d", t))
	}
	if present && t == wire.License_KeyContainer_KEY_CONTROL {
		return // no key material in it (sheet §8.4)
	}
	if c.KID == nil && t != wire.License_KeyContainer_SIGNING {
		x.keyFinding(c, ReasonKIDLength, "a KID of 16 bytes", fmt.Sprintf("%d bytes", len(c.Wire.GetId())))
	}
	if x.keys.Encryption.IsZero() {
		return // judged by its shape only, or the session key is missing
	}
	x.unwrap(c)
}

// unwrap undoes the key wrapping and judges padding and length.
func (x *examination) unwrap(c *Container) {
	want, sized := plainLen[c.Wire.GetType()]
	sized = sized && c.Wire.Type != nil // SIGNING by default says nothing of the length that was meant
	key, err := ladder.UnwrapKey(x.keys.Encryption, c.Wire.GetIv(), c.Wire.GetKey())
	switch {
	case errors.Is(err, ladder.ErrPadding) && sized && key.Len() == want:
		c.Unpadded = true
		x.keyFinding(c, ReasonKeyUnpadded, "PKCS#7 padding", fmt.Sprintf("%d bytes without padding", key.Len()))
	case errors.Is(err, ladder.ErrPadding):
		x.keyFinding(c, ReasonKeyPadding, "PKCS#7 padding", fmt.Sprintf("%d decrypted bytes without valid padding", key.Len()))
		return
	case err != nil:
		x.keyFinding(c, ReasonKeyUnwrap, "an IV of 16 bytes and whole blocks of key", err.Error())
		return
	case sized && key.Len() != want:
		x.keyFinding(c, ReasonKeyLength, fmt.Sprintf("a key of %d bytes", want), fmt.Sprintf("%d bytes", key.Len()))
	}
	c.Key = key
	if key.Len() >= secret.MinLen && bytes.Contains(x.body, key.Reveal()) {
		x.keyFinding(c, ReasonKeyInClear, "no unwrapped key in the answer", "the key stands in the answer in clear")
	}
}

// conflicts looks for a KID that has two different content keys (WV-KEY-08).
func (x *examination) conflicts() {
	first, torn := map[drm.KID]int{}, map[drm.KID]bool{}
	for i := range x.answer.Containers {
		c := &x.answer.Containers[i]
		if t, _ := c.Type(); c.KID == nil || t != wire.License_KeyContainer_CONTENT || c.Key.IsZero() {
			continue
		}
		j, seen := first[*c.KID]
		if !seen {
			first[*c.KID] = i
			continue
		}
		if other := &x.answer.Containers[j]; !other.Key.Equal(c.Key) {
			x.keyFinding(c, ReasonKeyConflict, "one content key for a KID", fmt.Sprintf("containers %d and %d differ", j, i))
			torn[*c.KID] = true
		}
	}
	for i := range x.answer.Containers {
		if c := &x.answer.Containers[i]; c.KID != nil && torn[*c.KID] {
			c.Usable = false
		}
	}
}

// anyContentKey notes a license that gives nothing to play with.
func (x *examination) anyContentKey() {
	for _, c := range x.answer.Containers {
		t, present := c.Type()
		if present && (t == wire.License_KeyContainer_CONTENT || t == wire.License_KeyContainer_ENTITLEMENT) {
			return
		}
	}
	x.fatal(ReasonNoContentKeys, stepKeys, "at least one content key", fmt.Sprintf("%d containers, none of them CONTENT", len(x.answer.Containers)))
}

// keyFinding notes a finding about one container; it is not fatal for the others.
func (x *examination) keyFinding(c *Container, reason drm.Reason, expected, seen string) {
	f := drm.Finding{Reason: reason, Step: stepKeys, Expected: expected, Seen: seen}
	if c != nil {
		f.KID = c.KID
		f.Seen = fmt.Sprintf("container %d: %s", c.Index, seen)
	}
	x.findings = append(x.findings, f)
}

// contentKey returns the container's content key if a client may use it.
func (c Container) contentKey() (drm.ContentKey, bool) {
	if !c.Usable || c.KID == nil {
		return drm.ContentKey{}, false
	}
	return drm.ContentKey{
		KID: *c.KID, Key: c.Key, TrackLabel: c.Wire.GetTrackLabel(), SecurityLevel: int(c.Wire.GetLevel()),
	}, true
}
