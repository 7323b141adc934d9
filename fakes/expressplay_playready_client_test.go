package fakes_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// carriers are the places of a token in a license challenge, in the order in which they count.
var carriers = []string{"query", "header", "custom data"}

// prParameters are those of a right token request for PlayReady and kid0, with some set otherwise or, where the value is "-",
// left away. The levels differ, so that none can stand in another's place.
func prParameters(s *fakes.Server, with map[string]string) url.Values {
	return parametersWith(s, map[string]string{
		"rightsType": "BuyToOwn", "analogVideoOPL": "150", "compressedDigitalAudioOPL": "100", "compressedDigitalVideoOPL": "400",
		"uncompressedDigitalAudioOPL": "300", "uncompressedDigitalVideoOPL": "250",
	}, with)
}

func askPRToken(t testing.TB, s *fakes.Server, method string, p url.Values) reply {
	t.Helper()
	return askTokenAt(t, s.ExpressPlayPlayReadyTokenURL(), method, p)
}

// mintPR returns a new token for PlayReady.
func mintPR(t testing.TB, s *fakes.Server, with map[string]string) string {
	t.Helper()
	r := askPRToken(t, s, http.MethodPost, prParameters(s, with))
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	return prTokenIn(t, s.ExpressPlayPlayReadyURL(), r.body)
}

// prTokenIn returns the token of an answer, which must name the license URL and nothing besides.
func prTokenIn(t testing.TB, license string, body []byte) string {
	t.Helper()
	var told map[string]string
	must(t, json.Unmarshal(body, &told))
	if told["licenseAcquisitionUrl"] != license || len(told) != 2 || told["token"] == "" {
		t.Fatalf("no token, or another license URL than %s", license)
	}
	return told["token"]
}

// carrying puts a token into its place: into the ask, which is to be made then, or into the query or header of what is made.
func (a prAsk) carrying(carrier, token string) prAsk {
	if carrier == "custom data" && token != "" {
		before := a.la
		a.la = func(la *soap.LA) {
			if before != nil {
				before(la)
			}
			la.CustomData = secret.New([]byte(token))
		}
	}
	return a
}

func (r prRequest) carrying(s *fakes.Server, carrier, token string) *http.Request {
	to := s.ExpressPlayPlayReadyURL()
	if carrier == "query" && token != "" {
		to += "?ExpressPlayToken=" + url.QueryEscape(token)
	}
	q := httptest.NewRequest(http.MethodPost, to, strings.NewReader(r.body))
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	if carrier == "header" && token != "" {
		q.Header.Set("ExpressPlayToken", token)
	}
	return q
}

// redeemPR has the handler answer a challenge with a token in one of the carriers; "" is none.
func redeemPR(t testing.TB, s *fakes.Server, carrier, token string, a prAsk) (prRequest, reply) {
	t.Helper()
	r := a.carrying(carrier, token).make(t)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r.carrying(s, carrier, token))
	return r, reply{w.Code, w.Header(), w.Body.Bytes()}
}

// redeemedPR opens the licenses that a token gets.
func redeemedPR(t testing.TB, s *fakes.Server, carrier, token string, a prAsk) prOpened {
	t.Helper()
	r, got := redeemPR(t, s, carrier, token, a)
	if got.status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", carrier, got.status, got.body)
	}
	o, err := openPlayReady(r, got.body)
	must(t, err)
	return o
}

// checkPRProblem checks a SOAP fault that names a code of ExpressPlay's in its custom data.
func checkPRProblem(t *testing.T, s *fakes.Server, name string, r reply, code int) {
	t.Helper()
	answer, err := soap.ParseAnswer(r.body)
	if err != nil || answer.Fault == nil {
		t.Errorf("%s: status %d, no SOAP fault: %s", name, r.status, r.body)
		return
	}
	f := answer.Fault
	if r.status != http.StatusInternalServerError || r.header.Get("Content-Type") != soap.ContentType || f.Code != soap.CodeServiceSpecific ||
		!strings.HasPrefix(f.CustomData, "Error "+strconv.Itoa(code)+": ") || f.Actor != s.ExpressPlayPlayReadyURL() {
		t.Errorf("%s: status %d, %v by %s, want the code %d", name, r.status, f, f.Actor, code)
	}
}

// keysOf returns the content keys of the licenses by KID.
func (o prOpened) keysOf() map[drm.KID]secret.Bytes {
	keys := map[drm.KID]secret.Bytes{}
	for _, l := range o.licenses {
		keys[l.KID] = l.content
	}
	return keys
}

// refusedFor reports whether the newest record is of a refused challenge, with its reason.
func refusedFor(t testing.TB, s *fakes.Server, reason drm.Reason) bool {
	t.Helper()
	r := lastRecord(t, s)
	return r.Reason == reason && r.Outcome == fakes.Refused && r.Operation == drm.KindLicense && r.System == drm.PlayReady && len(r.Granted) == 0
}
