package fakes

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
)

// maxChains bounds the verified chains that are kept: more devices than a load test uses, some 10 MB.
const maxChains = 4096

// chainCache remembers device chains that have been verified, and what device each is, least recently used out first, so that
// a device's second request costs a hash and not the verification of signatures. Failures are not remembered. It is safe for
// concurrent use, and verifies outside its lock.
type chainCache[Device any] struct {
	// verifyNew returns the device and when the first of its certificates expires, zero for never.
	verifyNew func(chain []byte, now time.Time) (Device, time.Time, error)
	size      int

	mu      sync.Mutex
	entries map[[sha256.Size]byte]*list.Element
	order   *list.List // of *verifiedChain[Device], most recently used first
}

type verifiedChain[Device any] struct {
	digest [sha256.Size]byte
	device Device
	until  time.Time // when the first of its certificates expires; zero: never
}

func newChainCache[Device any](size int, verifyNew func([]byte, time.Time) (Device, time.Time, error)) *chainCache[Device] {
	return &chainCache[Device]{verifyNew: verifyNew, size: size, entries: make(map[[sha256.Size]byte]*list.Element), order: list.New()}
}

// verify returns the device of a chain that is or was verified.
func (c *chainCache[Device]) verify(chain []byte, now time.Time) (Device, error) {
	sum := sha256.Sum256(chain)
	if device, ok := c.known(sum, now); ok {
		return device, nil
	}
	device, until, err := c.verifyNew(chain, now)
	if err == nil {
		c.add(&verifiedChain[Device]{digest: sum, device: device, until: until})
	}
	return device, err
}

// known has no chain that has expired since: verifying it again gives the error.
func (c *chainCache[Device]) known(digest [sha256.Size]byte, now time.Time) (device Device, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[digest]
	if !ok {
		return device, false
	}
	v := e.Value.(*verifiedChain[Device])
	if !v.until.IsZero() && !now.Before(v.until) {
		return device, false
	}
	c.order.MoveToFront(e)
	return v.device, true
}

func (c *chainCache[Device]) add(v *verifiedChain[Device]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[v.digest]; ok {
		return // another request of the same device was faster
	}
	c.entries[v.digest] = c.order.PushFront(v)
	if c.order.Len() > c.size {
		oldest := c.order.Back()
		delete(c.entries, c.order.Remove(oldest).(*verifiedChain[Device]).digest)
	}
}

// newWidevineChains returns a cache that verifies device tokens under the authority's root.
func newWidevineChains(a *Authority) *chainCache[*chain.Certificate] {
	return newChainCache(maxChains, func(token []byte, now time.Time) (*chain.Certificate, time.Time, error) {
		device, err := chain.VerifyDevice(token, a.RootKey(), now)
		if err != nil {
			return nil, time.Time{}, err
		}
		until, err := chainExpiry(device)
		return device, until, err
	})
}

// chainExpiry returns the earlier expiration time of the device and the model certificate, zero if neither expires.
func chainExpiry(device *chain.Certificate) (time.Time, error) {
	model := new(wire.DrmCertificate)
	if err := proto.Unmarshal(device.Signed.GetSigner().GetDrmCertificate(), model); err != nil {
		return time.Time{}, fmt.Errorf("model certificate: %w: %w", chain.ErrMalformed, err)
	}
	var first time.Time
	for _, seconds := range []uint32{device.Fields.GetExpirationTimeSeconds(), model.GetExpirationTimeSeconds()} {
		end := time.Unix(int64(seconds), 0)
		if seconds != 0 && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first, nil
}
