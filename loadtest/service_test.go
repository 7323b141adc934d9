package loadtest_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/loadtest"
)

// service is a fake license server of both systems, the devices that it trusts, and an asset whose keys it has.
type service struct {
	fake    *fakes.Server
	asset   fixtures.Asset
	devices map[drm.System][]device
}

type device interface {
	drm.Platform
	drm.Judge
	Device() drm.Fingerprint
}

// authority makes RSA keys, which takes a while: all tests share it.
var authority = sync.OnceValues(func() (*fakes.Authority, error) {
	return fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{})
})

func startService(t testing.TB, o fakes.Options) *service {
	t.Helper()
	a, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	asset, err := fixtures.Open("cenc-1key")
	if err != nil {
		t.Fatal(err)
	}
	o.Authority, o.Keys = a, asset.Keys()
	s := &service{asset: asset, devices: map[drm.System][]device{}}
	if s.fake, err = fakes.Start(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.fake.Close() }) // nothing depends on how it ends
	for _, id := range a.Devices() {
		s.devices[drm.Widevine] = append(s.devices[drm.Widevine], widevine.NewPlatform(id, s.fake.Clock()).WithRoot(a.RootKey()))
	}
	for _, id := range a.PlayReadyDevices() {
		p := playready.NewPlatform(id, s.fake.Clock()).WithRoot(a.PlayReadyRoot()).WithServerKey(a.PlayReadyServerKey())
		s.devices[drm.PlayReady] = append(s.devices[drm.PlayReady], p)
	}
	return s
}

// settings reads faults as a command line has them.
func settings(t testing.TB, texts ...string) []fakes.Setting {
	t.Helper()
	var list []fakes.Setting
	for _, text := range texts {
		s, err := fakes.ParseSetting(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// shares are fresh key requests for both systems, as many of each.
func (s *service) shares(t testing.TB) []loadtest.Share {
	t.Helper()
	var shares []loadtest.Share
	for _, text := range []string{s.fake.Profile(), s.fake.PlayReadyProfile()} {
		p, err := provider.Parse("fake", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, loadtest.Share{Profile: p, Weight: 1, Source: s.source(t, p), Clock: s.fake.Clock()})
	}
	return shares
}

func (s *service) source(t testing.TB, p *provider.Profile) loadtest.Source {
	t.Helper()
	box, err := pssh.Select(boxes(t, s.asset), p.DRM)
	if err != nil {
		t.Fatal(err)
	}
	need := provider.Need{Asset: s.asset.Name, KIDs: s.asset.KIDs(), Keys: s.asset.Keys(), Box: box}
	devices := s.devices[p.DRM]
	var n atomic.Uint64
	return func(ctx context.Context) (loadtest.Fresh, error) {
		lease, err := p.Lease(ctx, need)
		if err != nil {
			return loadtest.Fresh{}, err
		}
		session, err := devices[n.Add(1)%uint64(len(devices))].Open(ctx, box, drm.Options{CustomData: lease.CustomData})
		if err != nil {
			return loadtest.Fresh{}, err
		}
		m, err := session.Request(ctx, drm.KindLicense)
		return loadtest.Fresh{Message: m, Lease: lease}, err
	}
}

func boxes(t testing.TB, a fixtures.Asset) []drm.Box {
	t.Helper()
	sources, err := a.Sources()
	if err != nil {
		t.Fatal(err)
	}
	var all []drm.Box
	for _, source := range sources {
		found, err := pssh.Find(source.Name, source.Data)
		if err != nil && !errors.Is(err, drm.ErrNoBox) {
			t.Fatal(err)
		}
		all = append(all, found.Boxes()...)
	}
	return all
}

// judge verifies an answer with the device that made the request.
func (s *service) judge(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
	for _, device := range s.devices[m.Ticket.System] {
		if device.Device() == m.Ticket.Device {
			return device.Judge(m.Ticket, m.Body, answer, d)
		}
	}
	panic("a request of no device")
}

// config is a run on the service that verifies every answer.
func (s *service) config(t testing.TB, p loadtest.Plan) loadtest.Config {
	t.Helper()
	expect := map[drm.KID]drm.Fingerprint{}
	for kid, key := range s.asset.Keys() {
		expect[kid] = key.Fingerprint()
	}
	return loadtest.Config{Plan: p, Shares: s.shares(t), Judge: s.judge, Expect: expect, Seed: 1}
}

// counted is the number of requests that the fake itself has received.
func (s *service) counted() int64 {
	total, _ := s.fake.Count()
	return int64(total.Received)
}
