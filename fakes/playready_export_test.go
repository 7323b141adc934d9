package fakes

import (
	"strconv"
	"testing"
	"time"

	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

// PlayReadyIssuer returns what the authority issues PlayReady devices with.
func (a *Authority) PlayReadyIssuer() (root, key ecc.PrivateKey, certificate *bcert.Certificate) {
	return a.playReady.root, a.playReady.issuerKey, a.playReady.issuer
}

// WithPlayReadyServerKey returns a copy of the authority for whose other key challenges are encrypted.
func (a *Authority) WithPlayReadyServerKey(key ecc.PrivateKey) *Authority {
	other := *a
	other.playReady.server = key
	return &other
}

// WithPlayReadyRevocations returns a copy of the authority with another revocation list.
func (a *Authority) WithPlayReadyRevocations(list *bcert.RevocationList) *Authority {
	other := *a
	other.playReady.revocations = list
	return &other
}

// TrustPlayReadyRoot has the server verify device chains under another root. No request may be in work.
func (s *Server) TrustPlayReadyRoot(root ecc.PublicKey) {
	s.playReadyChains = playReadyChainsUnder(root)
}

// ForgetPlayReadyChains has the server verify every chain anew. No request may be in work.
func (s *Server) ForgetPlayReadyChains() {
	s.playReadyChains = newChainCache(0, s.playReadyChains.verifyNew)
}

// TestTransactions hands out more ids than are kept: the oldest are forgotten, and memory is bounded.
func TestTransactions(t *testing.T) {
	t.Parallel()
	var all transactions
	if all.take("") || all.take("0") {
		t.Error("an id that was never handed out")
	}
	all.add("")
	if len(all.ring) != 0 {
		t.Error("no id is one")
	}
	const further = 3
	for i := range maxTransactions + further {
		all.add(strconv.Itoa(i))
	}
	if len(all.open) != maxTransactions || len(all.ring) != maxTransactions {
		t.Errorf("%d ids, %d places, want %d", len(all.open), len(all.ring), maxTransactions)
	}
	for i, want := range map[int]bool{0: false, further - 1: false, further: true, maxTransactions: true, maxTransactions + further - 1: true, maxTransactions + further: false} {
		if got := all.take(strconv.Itoa(i)); got != want || all.take(strconv.Itoa(i)) {
			t.Errorf("id %d: %v, want %v once", i, got, want)
		}
	}
	for range 3 * maxTransactions {
		all.add("same")
	}
	if !all.take("same") || all.take("same") || len(all.open) != 0 || len(all.ring) != maxTransactions {
		t.Errorf("%d ids are left", len(all.open))
	}
}

// TestPlayReadyChainCache has a chain that is verified once, until the first of its certificates expires.
func TestPlayReadyChainCache(t *testing.T) {
	t.Parallel()
	p, err := newPlayReadyAuthority(1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	device, err := p.issueDevice(2000, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	chains, verified := playReadyChainsUnder(p.root.Public()), 0
	fresh := chains.verifyNew
	chains.verifyNew = func(raw []byte, now time.Time) (playReadyDevice, time.Time, error) {
		verified++
		return fresh(raw, now)
	}
	for i, c := range []struct {
		chain    []byte
		at       time.Time
		verified int
		expired  bool
	}{
		{device.Chain().Raw, now, 1, false},
		{device.Chain().Raw, now.Add(time.Hour - time.Second), 1, false},
		{device.Chain().Raw, now.Add(time.Hour), 2, true},
		{device.Chain().Raw, now.Add(time.Hour), 3, true}, // failures are not remembered
		{device.Chain().Raw, now, 3, false},
		{p.devices[0].Chain().Raw, now, 4, false},
		{p.devices[0].Chain().Raw, now.AddDate(50, 0, 0), 4, false}, // it never expires
	} {
		got, err := chains.verify(c.chain, c.at)
		if verified != c.verified || expired(err) != c.expired || (err == nil) == c.expired {
			t.Errorf("%d: verified %d times, want %d; error %v", i, verified, c.verified, err)
		}
		if err == nil && (got.level != 2000 || got.fingerprint == "" || got.sign == got.encrypt) {
			t.Errorf("%d: device %+v", i, got)
		}
	}
}
