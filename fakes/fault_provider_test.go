package fakes_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/fakes"
)

// providerScopes are what the faults of providers' services act on.
var providerScopes = map[string]struct {
	system    drm.System
	operation drm.Kind
}{
	"ep-authenticator-ignored":   {operation: fakes.OperationToken},
	"auth-not-enforced":          {},
	"token-signature-ignored":    {},
	"expired-accepted":           {},
	"ttl-half":                   {},
	"alg-none-ok":                {},
	"zero-skew":                  {},
	"nbf-ignored":                {},
	"aud-ignored":                {},
	"token-reuse-accepted":       {},
	"raw-when-json-asked":        {system: drm.Widevine},
	"kid-not-bound":              {operation: drm.KindLicense},
	"token-consumed-by-cert":     {drm.Widevine, drm.KindCertificate},
	"query-plus-to-space":        {operation: drm.KindLicense},
	"customdata-ignored":         {drm.PlayReady, drm.KindLicense},
	"customdata-missing-generic": {drm.PlayReady, drm.KindLicense},
	"errorcode-ignored":          {drm.PlayReady, drm.KindLicense},
}

// oddity is a fault as it is seen at one provider's services.
type oddity struct {
	fault string
	// seen reports whether the exchange went as it does with the fault alone.
	seen func(*testing.T, lab) bool
}

// oddities are those of a provider's services, and how to start them.
type oddities struct {
	start func(*testing.T) lab
	all   []oddity
}

// providerOddities has those of every provider.
func providerOddities() map[string]oddities {
	return map[string]oddities{
		"expressplay Widevine":  {func(t *testing.T) lab { return lab{Server: start(t, fakes.Options{Clock: early})} }, expressPlayOddities},
		"expressplay PlayReady": {func(t *testing.T) lab { return lab{Server: startPlayReady(t, fakes.Options{})} }, expressPlayPROddities},
		"axinom Widevine":       {func(t *testing.T) lab { return startAxinom(t, drm.Widevine, fakes.Options{}) }, axinomOddities()},
		"axinom PlayReady":      {func(t *testing.T) lab { return startAxinom(t, drm.PlayReady, fakes.Options{}) }, axinomPROddities()},
		"drmtoday Widevine":     {func(t *testing.T) lab { return startDRMtoday(t, drm.Widevine, fakes.Options{}) }, drmTodayOddities()},
		"drmtoday PlayReady":    {func(t *testing.T) lab { return startDRMtoday(t, drm.PlayReady, fakes.Options{}) }, drmTodayPROddities()},
		"microsoft PlayReady":   {func(t *testing.T) lab { return startMicrosoft(t) }, microsoftOddities()},
		"google Widevine":       {func(t *testing.T) lab { return startGoogle(t, fakes.Options{}) }, googleOddities()},
	}
}

// seenAtProvider reports whether a fault has a test.
func seenAtProvider(fault string) bool {
	if _, ok := expressPlayFaults[fault]; ok {
		return true
	}
	for _, o := range providerOddities() {
		if slices.ContainsFunc(o.all, func(o oddity) bool { return o.fault == fault }) {
			return true
		}
	}
	return false
}

// TestProviderFaults sees every fault at every provider that has what it is about, and not without it.
func TestProviderFaults(t *testing.T) {
	t.Parallel()
	for provider, these := range providerOddities() {
		for _, o := range these.all {
			t.Run(provider+" "+o.fault, func(t *testing.T) {
				t.Parallel()
				l := these.start(t)
				s := l.Server
				if o.seen(t, l) {
					t.Error("seen without the fault")
				}
				must(t, s.SetFaults(fakes.Named(o.fault)...))
				if !o.seen(t, l) || s.Exercised(o.fault) == 0 {
					t.Errorf("not seen, exercised %d times, last %+v", s.Exercised(o.fault), lastRecord(t, s))
				}
				acted := s.Exercised(o.fault)
				s.ClearFaults()
				if o.seen(t, l) || s.Exercised(o.fault) != acted {
					t.Error("seen after the fault was cleared")
				}
			})
		}
	}
}

var expressPlayOddities = []oddity{
	{"ttl-half", func(t *testing.T, l lab) bool {
		s := l.Server
		token := mint(t, s, map[string]string{"expirationTime": "+300"})
		defer s.Clock().Advance(-150 * time.Second)
		s.Clock().Advance(150*time.Second - 1)
		isTrue(t, redeem(t, s, token, both(t).body).status == http.StatusOK)
		s.Clock().Advance(1)
		return redeem(t, s, token, both(t).body).status == http.StatusUnauthorized
	}},
	{"token-consumed-by-cert", func(t *testing.T, l lab) bool {
		s := l.Server
		token := mint(t, s, nil)
		isTrue(t, redeem(t, s, token, []byte{8, 4}).status == http.StatusOK)
		return redeem(t, s, token, both(t).body).status == http.StatusUnauthorized
	}},
	{"query-plus-to-space", func(t *testing.T, l lab) bool {
		s := l.Server
		return redeem(t, s, mint(t, s, nil), both(t).body).status == http.StatusUnauthorized
	}},
}

var expressPlayPROddities = []oddity{
	{"ttl-half", func(t *testing.T, l lab) bool {
		s := l.Server
		token := mintPR(t, s, map[string]string{"expirationTime": "+300"})
		defer s.Clock().Advance(-151 * time.Second)
		s.Clock().Advance(151 * time.Second)
		_, got := redeemPR(t, s, "custom data", token, prAsk{})
		return got.status != http.StatusOK
	}},
	{"query-plus-to-space", func(t *testing.T, l lab) bool {
		s := l.Server
		token := mintPR(t, s, nil)
		for _, carrier := range carriers[1:] {
			_, got := redeemPR(t, s, carrier, token, prAsk{})
			isTrue(t, got.status == http.StatusOK)
		}
		_, got := redeemPR(t, s, "query", token, prAsk{})
		return got.status != http.StatusOK
	}},
	{"customdata-ignored", func(t *testing.T, l lab) bool {
		s := l.Server
		token := mintPR(t, s, nil)
		_, header := redeemPR(t, s, "header", token, prAsk{})
		isTrue(t, header.status == http.StatusOK)
		_, got := redeemPR(t, s, "custom data", token, prAsk{})
		return got.status != http.StatusOK && strings.Contains(string(got.body), "Error -2017")
	}},
	{"customdata-missing-generic", func(t *testing.T, l lab) bool {
		s := l.Server
		_, got := redeemPR(t, s, "query", "", prAsk{})
		isTrue(t, got.status == http.StatusInternalServerError && refusedFor(t, s, "token-missing"))
		return !strings.Contains(string(got.body), "missing")
	}},
}
