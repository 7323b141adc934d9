package fakes_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/fakes"
)

// expressPlayFaults has for every fault of ExpressPlay's services an exchange that it lets through, and which code it is
// refused with otherwise. The exchange returns its last answer.
var expressPlayFaults = map[string]struct {
	operation    drm.Kind
	status, code int
	exchange     func(*testing.T, *fakes.Server) reply
}{
	"ep-authenticator-ignored": {fakes.OperationToken, 401, -2018, func(t *testing.T, s *fakes.Server) reply {
		wrong := map[string]string{"customerAuthenticator": "1,00112233445566778899aabbccddeeff"}
		r := askToken(t, s, http.MethodPost, parameters(s, wrong))
		if r.status == http.StatusOK { // what it gets is a token
			redeemed(t, s, mint(t, s, wrong), ask{pssh: [][]byte{psshData(kid0)}})
			missing := map[string]string{"customerAuthenticator": "-"}
			redeemed(t, s, mint(t, s, missing), ask{pssh: [][]byte{psshData(kid0)}})
		}
		return r
	}},
	"auth-not-enforced": {drm.KindLicense, 400, -2017, func(t *testing.T, s *fakes.Server) reply {
		return opensAll(t, redeem(t, s, "", both(t).body), kid0, kid1)
	}},
	"token-signature-ignored": {drm.KindLicense, 401, -4010, func(t *testing.T, s *fakes.Server) reply {
		return opensAll(t, redeem(t, s, altered(mint(t, s, nil), -2), both(t).body), kid0)
	}},
	"expired-accepted": {drm.KindLicense, 401, -2002, func(t *testing.T, s *fakes.Server) reply {
		token := mint(t, s, map[string]string{"expirationTime": "+1"})
		s.Clock().Advance(time.Second)
		return opensAll(t, redeem(t, s, token, both(t).body), kid0)
	}},
	"kid-not-bound": {drm.KindLicense, 401, -4010, func(t *testing.T, s *fakes.Server) reply {
		key := map[string]string{"kid": hexKID(unknown), "contentKey": "00112233445566778899aabbccddeeff"}
		return opensAll(t, redeem(t, s, mint(t, s, key), both(t).body), kid0, kid1)
	}},
}

// prExpressPlayFaults are the same faults at the services for PlayReady; an exchange's token is in one carrier or the other.
var prExpressPlayFaults = map[string]struct {
	operation drm.Kind
	code      int
	exchange  func(*testing.T, *fakes.Server) reply
}{
	"ep-authenticator-ignored": {fakes.OperationToken, -2018, func(t *testing.T, s *fakes.Server) reply {
		wrong := map[string]string{"customerAuthenticator": "1,00112233445566778899aabbccddeeff"}
		r := askPRToken(t, s, http.MethodPost, prParameters(s, wrong))
		if r.status == http.StatusOK { // what it gets is a token
			redeemedPR(t, s, "query", mintPR(t, s, wrong), prAsk{header: header42(kid0)})
			redeemedPR(t, s, "header", mintPR(t, s, map[string]string{"customerAuthenticator": "-"}), prAsk{header: header42(kid0)})
		}
		return r
	}},
	"auth-not-enforced": {drm.KindLicense, -2017, func(t *testing.T, s *fakes.Server) reply {
		return opensPR(t, s, "query", "", kid0, kid1)
	}},
	"token-signature-ignored": {drm.KindLicense, -4010, func(t *testing.T, s *fakes.Server) reply {
		return opensPR(t, s, "custom data", altered(mintPR(t, s, nil), -2), kid0)
	}},
	"expired-accepted": {drm.KindLicense, -2002, func(t *testing.T, s *fakes.Server) reply {
		token := mintPR(t, s, map[string]string{"expirationTime": "+1"})
		s.Clock().Advance(time.Second)
		return opensPR(t, s, "header", token, kid0)
	}},
	"kid-not-bound": {drm.KindLicense, -4010, func(t *testing.T, s *fakes.Server) reply {
		key := map[string]string{"kid": hexKID(unknown), "contentKey": "00112233445566778899aabbccddeeff"}
		return opensPR(t, s, "custom data", mintPR(t, s, key), kid0, kid1)
	}},
}

// opensPR asks for both KIDs and opens the answer, if it is one: it must have the keys of these KIDs, and the key store's.
func opensPR(t *testing.T, s *fakes.Server, carrier, token string, kids ...drm.KID) reply {
	t.Helper()
	r, got := redeemPR(t, s, carrier, token, prAsk{})
	if got.status != http.StatusOK {
		return got
	}
	o, err := openPlayReady(r, got.body)
	must(t, err)
	isTrue(t, sameKIDs(o.kids(), kids...))
	for kid, key := range o.keysOf() {
		isTrue(t, key.Equal(authority(t, trusted).ContentKey(kid)))
	}
	return got
}

// TestPRExpressPlayFaults sees every fault on the wire, and that the same exchange is refused without it and with any other.
func TestPRExpressPlayFaults(t *testing.T) {
	t.Parallel()
	if len(prExpressPlayFaults) != len(expressPlayFaults) {
		t.Errorf("%d faults for PlayReady, %d for Widevine", len(prExpressPlayFaults), len(expressPlayFaults))
	}
	for name, c := range prExpressPlayFaults {
		s := startPlayReady(t, fakes.Options{Faults: fakes.Named(name)})
		if r := c.exchange(t, s); r.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", name, r.status, r.body)
		}
		acted := s.Exercised(name)
		isTrue(t, acted > 0)
		for _, r := range s.Requests() {
			if slices.Contains(r.Faults, name) {
				isTrue(t, r.Operation == c.operation && r.System == drm.PlayReady && r.Outcome == fakes.Answered && slices.Equal(r.Faults, []string{name}))
			}
		}
		redeemedPR(t, s, "query", mintPR(t, s, nil), prAsk{header: header42(kid0)})
		acquire(t, s, prAsk{})
		isTrue(t, s.Exercised(name) == acted) // on what is right it does not act
		for other := range prExpressPlayFaults {
			if other == name {
				s.ClearFaults()
			} else {
				must(t, s.SetFaults(fakes.Named(other)...))
			}
			r := c.exchange(t, s)
			if c.operation == fakes.OperationToken {
				checkProblem(t, name+" with "+other, r, "json", http.StatusUnauthorized, c.code)
			} else {
				checkPRProblem(t, s, name+" with "+other, r, c.code)
			}
		}
		isTrue(t, s.Exercised(name) == acted)
	}
}

// both is a request for both KIDs, always the same.
func both(t *testing.T) request { return ask{}.make(t) }

// opensAll opens the answer, if it is one, to the request of [both]: it must have the keys of these KIDs, and the key store's.
func opensAll(t *testing.T, r reply, kids ...drm.KID) reply {
	t.Helper()
	if r.status != http.StatusOK {
		return r
	}
	o, err := openLicense(both(t), r.body)
	must(t, err)
	keys := o.contentKeys(t)
	isTrue(t, len(keys) == len(kids))
	for _, kid := range kids {
		isTrue(t, keys[kid].Equal(authority(t, trusted).ContentKey(kid)))
	}
	return r
}

// TestExpressPlayFaults sees every fault on the wire, and that the same exchange is refused without it.
func TestExpressPlayFaults(t *testing.T) {
	t.Parallel()
	for name, c := range expressPlayFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Clock: early, Faults: fakes.Named(name)})
			if r := c.exchange(t, s); r.status != http.StatusOK {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			acted := s.Exercised(name)
			isTrue(t, acted > 0)
			records := slices.DeleteFunc(s.Requests(), func(r fakes.Record) bool { return !slices.Contains(r.Faults, name) })
			isTrue(t, uint64(len(records)) == acted)
			for _, r := range records {
				isTrue(t, r.Operation == c.operation && r.Outcome == fakes.Answered && slices.Equal(r.Faults, []string{name}))
			}
			s.ClearFaults()
			checkProblem(t, name, c.exchange(t, s), "json", c.status, c.code)
			isTrue(t, s.Exercised(name) == acted)
		})
	}
}

// TestExpressPlayFaultsLeaveRestAlone: no fault makes the services take what another one would, and none acts on what is right.
func TestExpressPlayFaultsLeaveRestAlone(t *testing.T) {
	t.Parallel()
	for name := range expressPlayFaults {
		for other, c := range expressPlayFaults {
			s := start(t, fakes.Options{Clock: early, Faults: fakes.Named(name)})
			if name == other {
				redeemed(t, s, mint(t, s, nil), ask{pssh: [][]byte{psshData(kid0)}})
				getLicense(t, s, ask{})
				isTrue(t, redeem(t, s, "", []byte{8, 4}).status == http.StatusOK)
				isTrue(t, s.Exercised(name) == 0)
				continue
			}
			checkProblem(t, name+" on "+other, c.exchange(t, s), "json", c.status, c.code)
		}
	}
}

// TestFaultsOnTokenService has faults of the connection in the scope of the token service.
func TestFaultsOnTokenService(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"refuse-with-503@operation=token", "refuse-with-503@kid=" + kid1.String()} {
		setting, err := fakes.ParseSetting(text)
		must(t, err)
		s := start(t, fakes.Options{Faults: []fakes.Setting{setting}})
		isTrue(t, askToken(t, s, http.MethodPost, parameters(s, map[string]string{"kid": hexKID(kid1)})).status == 503)
		getLicense(t, s, ask{pssh: [][]byte{psshData(kid0)}})
	}
	if err := (fakes.Setting{Name: "kid-not-bound", Operation: fakes.OperationToken}).Validate(); err == nil {
		t.Error("a fault of licenses in the scope of tokens")
	}
}
