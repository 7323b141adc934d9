package fakes

import (
	"container/list"
	"crypto/rsa"
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

// chainCache remembers device tokens whose chain has been verified under one root, least recently used out first, so that
// a device's second request costs a hash and not two RSA operations. Failures are not remembered. It is safe for
// concurrent use, and verifies outside its lock.
type chainCache struct {
	root *rsa.PublicKey
	size int

	mu      sync.Mutex
	entries map[[sha256.Size]byte]*list.Element
	order   *list.List // of *verifiedChain, most recently used first
}

type verifiedChain struct {
	token  [sha256.Size]byte
	device *chain.Certificate
	until  time.Time // when the first of its certificates expires; zero: never
}

func newChainCache(root *rsa.PublicKey, size int) *chainCache {
	return &chainCache{root: root, size: size, entries: make(map[[sha256.Size]byte]*list.Element), order: list.New()}
}

// verify does what [chain.VerifyDevice] does.
func (c *chainCache) verify(token []byte, now time.Time) (*chain.Certificate, error) {
	sum := sha256.Sum256(token)
	if device := c.known(sum, now); device != nil {
		return device, nil
	}
	device, err := chain.VerifyDevice(token, c.root, now)
	if err != nil {
		return nil, err
	}
	until, err := chainExpiry(device)
	if err != nil {
		return nil, err
	}
	c.add(&verifiedChain{token: sum, device: device, until: until})
	return device, nil
}

// known returns nil for a chain that isn't there, and for one that has expired since: verifying it again gives the error.
func (c *chainCache) known(token [sha256.Size]byte, now time.Time) *chain.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[token]
	if !ok {
		return nil
	}
	v := e.Value.(*verifiedChain)
	if !v.until.IsZero() && !now.Before(v.until) {
		return nil
	}
	c.order.MoveToFront(e)
	return v.device
}

func (c *chainCache) add(v *verifiedChain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[v.token]; ok {
		return // another request of the same device was faster
	}
	c.entries[v.token] = c.order.PushFront(v)
	if c.order.Len() > c.size {
		oldest := c.order.Back()
		delete(c.entries, c.order.Remove(oldest).(*verifiedChain).token)
	}
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
