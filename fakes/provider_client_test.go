package fakes_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// object is a JSON object in the making.
type object = map[string]any

// with returns a copy with one member set, or without it where the value is nil.
func with(o object, name string, value any) object {
	c := maps.Clone(o)
	if c == nil {
		c = object{}
	}
	c[name] = value
	if value == nil {
		delete(c, name)
	}
	return c
}

// renamed returns a copy in which a member has another name.
func renamed(o object, name string) object { return with(with(o, name+"_", o[name]), name, nil) }

// signJWT makes a JWT by hand (RFC 7515 §7.1). Algorithms other than the three of HMAC sign nothing.
func signJWT(t testing.TB, header, claims object, key []byte) string {
	t.Helper()
	h, err := json.Marshal(header)
	must(t, err)
	c, err := json.Marshal(claims)
	must(t, err)
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	made, known := map[any]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[header["alg"]]
	if !known {
		return text + "."
	}
	mac := hmac.New(made, key)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// texts makes the account of a stand-in.
func texts(account map[string]string) map[string]secret.Bytes {
	m := map[string]secret.Bytes{}
	for name, text := range account {
		m[name] = secret.New([]byte(text))
	}
	return m
}

// lab is a stand-in and a client that reaches it by the provider's names.
type lab struct {
	*fakes.Server
	client *http.Client
}

// startLab starts a provider's stand-in, whose clock stands at requestTime and which knows kid0 and kid1.
func startLab(t testing.TB, o fakes.StandInOptions) lab {
	t.Helper()
	o.Authority, o.DeriveKIDs = authority(t, trusted), []drm.KID{kid0, kid1}
	if o.Clock == nil {
		o.Clock = atRequestTime
	}
	s, err := fakes.StartStandIn(context.Background(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	transport := &http.Transport{DialContext: s.DialContext, TLSClientConfig: s.TLSConfig()}
	t.Cleanup(transport.CloseIdleConnections)
	return lab{s.Server(), &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// post sends a body.
func (l lab) post(t testing.TB, to string, header map[string]string, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, to, strings.NewReader(body))
	must(t, err)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := l.client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return reply{resp.StatusCode, resp.Header, b}
}

// opensOnly reports whether an answer is a license for the request with the keys of these KIDs, all of them the key store's.
func opensOnly(t testing.TB, r request, body []byte, kids ...drm.KID) bool {
	t.Helper()
	o, err := openLicense(r, body)
	if err != nil {
		return false
	}
	keys := o.contentKeys(t)
	for _, kid := range kids {
		if !keys[kid].Equal(authority(t, trusted).ContentKey(kid)) {
			return false
		}
	}
	return len(keys) == len(kids)
}

// at is a time around requestTime, as RFC 3339.
func at(d time.Duration) string {
	return time.Unix(requestTime, 0).Add(d).UTC().Format(time.RFC3339)
}

// refusedWith reports whether the newest record is of a refusal with a reason.
func refusedWith(t testing.TB, s *fakes.Server, reason drm.Reason) bool {
	t.Helper()
	r := lastRecord(t, s)
	if r.Reason != reason || r.Outcome != fakes.Refused || len(r.Granted) > 0 {
		t.Errorf("history %+v, want the reason %s", r, reason)
		return false
	}
	return true
}

// checkAccount starts a stand-in with parts of the account missing or ill-formed: the error names them and no value.
func checkAccount(t *testing.T, provider string, system drm.System, right map[string]string, wrong map[string][]string) {
	t.Helper()
	for name, values := range wrong {
		for _, value := range append(values, "") {
			account := maps.Clone(right)
			account[name] = value
			_, err := fakes.StartStandIn(t.Context(), fakes.StandInOptions{
				Options: fakes.Options{Authority: authority(t, trusted)}, Provider: provider, System: system, Account: texts(account),
			})
			if err == nil || !strings.Contains(err.Error(), name) || value != "" && strings.Contains(err.Error(), value) {
				t.Errorf("%s %q: %v", name, value, err)
			}
		}
	}
}

// seekAccount looks for the secrets of an account in what a server says of exchanges, each of which must have gone wrong or well
// in another way.
func seekAccount(t *testing.T, l lab, account map[string]string, said []reply, logged string) {
	t.Helper()
	vault := secret.NewVault()
	l.AddTo(vault)
	hidden := []string{"COM_KEY", "SECRET", "AES_KEY", "AES_IV"}
	for name, text := range account {
		if found := len(vault.Names([]byte("… "+text+" …"))) > 0; found != slices.Contains(hidden, name) {
			t.Errorf("the vault finds %s: %v", name, found)
		}
	}
	var all strings.Builder
	for _, r := range said {
		fmt.Fprintf(&all, "%d %v %s\n", r.status, r.header, r.body)
	}
	seekSecrets(t, l.Server, vault, all.String(), logged)
}
