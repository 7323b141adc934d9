package fakes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestNoExpressPlaySecretGetsOut looks for authenticators, right and wrong, tokens and content keys, given and wrapped, in
// all that the server says of them under every fault of ExpressPlay: error bodies, history, log and management. The token
// service's own answer has a token in it, which shows that it would be found.
func TestNoExpressPlaySecretGetsOut(t *testing.T) {
	t.Parallel()
	const wrongAuthenticator, contentKey = "31337,c0ffee00c0ffee11c0ffee22c0ffee33", "ca5e0123ca5e4567ca5e89abca5ecdef"
	var logged journal
	var said, answered bytes.Buffer
	s := start(t, fakes.Options{Log: logged.add})
	vault := secret.NewVault()
	s.AddTo(vault)
	vault.Add("wrong authenticator", secret.New([]byte(wrongAuthenticator)))
	vault.Add("wrong authenticator", secret.New([]byte("c0ffee00c0ffee11c0ffee22c0ffee33")))
	vault.Add("content key", secret.New(unhex(t, contentKey)))
	vault.Add("wrapped content key", secret.New(unhex(t, keyWraps[0].key)))
	vault.Add("kek", secret.New(unhex(t, kekDigits)))
	tokens := []string{
		mint(t, s, map[string]string{"contentKey": contentKey}),
		mint(t, s, map[string]string{"kek": kekDigits, "ek": keyWraps[2].wrapped}),
		mint(t, s, map[string]string{"kid": hexKID(kid1)}),
	}
	for i, token := range tokens {
		vault.Add("token", secret.New([]byte(token)))
		tokens = append(tokens, altered(token, -2), altered(token, 30), token[:100])
		vault.Add("wrong token", secret.New([]byte(tokens[len(tokens)-2])))
		vault.Add("cut token", secret.New([]byte(token[:100])))
		isTrue(t, len(tokens) == 3+3*(i+1))
	}
	keep := func(r reply) {
		into := &said
		if r.status == http.StatusOK && r.header.Get("Content-Type") == "text/uri-list" {
			into = &answered
		}
		fmt.Fprintf(into, "%d %v %s\n", r.status, r.header, r.body)
	}
	for _, name := range []string{"", "ep-authenticator-ignored", "auth-not-enforced", "token-signature-ignored", "expired-accepted", "kid-not-bound"} {
		s.ClearFaults()
		if name != "" {
			must(t, s.SetFaults(fakes.Named(name)...))
		}
		for _, with := range []map[string]string{
			{"customerAuthenticator": wrongAuthenticator}, {"contentKey": contentKey}, {"contentKey": contentKey, "kid": "x"},
			{"contentKey": contentKey + "0"}, {"contentKey": contentKey, "kek": kekDigits, "ek": keyWraps[2].wrapped},
			{"kek": kekDigits, "ek": keyWraps[1].wrapped}, {"errorFormat": contentKey},
			{"cookie": contentKey + contentKey, "errorFormat": "html"}, {"securityLevel": contentKey},
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				keep(askToken(t, s, method, parameters(s, with)))
			}
		}
		for _, token := range tokens {
			for _, body := range [][]byte{both(t).body, {8, 4}, []byte(token), nil} {
				keep(redeem(t, s, token, body))
			}
		}
	}
	seekSecrets(t, s, vault, said.String(), logged.String())
	isTrue(t, len(vault.Names([]byte(tokens[0]))) > 0 && answered.Len() > 0)
}

// seekSecrets looks for the secrets of a vault in all that a server said, answers without tokens and log lines among it.
func seekSecrets(t *testing.T, s *fakes.Server, vault *secret.Vault, said, logged string) {
	t.Helper()
	history, err := json.Marshal(s.Requests())
	must(t, err)
	for _, path := range []string{"/healthz", "/requests", "/faults"} {
		r, err := send(t.Context(), http.MethodGet, s.ManagementURL()+path, nil, "")
		must(t, err)
		said += string(r.body) + "\n"
	}
	for what, text := range map[string]string{
		"answers": said, "log": logged, "history": string(history), "values": fmt.Sprintf("%v %+v %#v", s, s, s.Requests()),
	} {
		if len(text) < 1000 && what != "values" {
			t.Errorf("%s: only %d bytes to look at", what, len(text))
		}
		if names := vault.Names([]byte(text)); len(names) > 0 {
			t.Errorf("%s hold %v", what, names)
		}
	}
}

// TestNoPRTokenGetsOut does the same for PlayReady: tokens, right and wrong, in each carrier, under the faults of ExpressPlay and of
// what SOAP faults say. Licenses are looked through too.
func TestNoPRTokenGetsOut(t *testing.T) {
	t.Parallel()
	const wrongAuthenticator, contentKey = "31337,c0ffee00c0ffee11c0ffee22c0ffee44", "ca5e0123ca5e4567ca5e89abca5ecdee"
	var logged journal
	var said bytes.Buffer
	s := startPlayReady(t, fakes.Options{Log: logged.add})
	vault := secret.NewVault()
	s.AddTo(vault)
	for name, text := range map[string]string{"wrong authenticator": wrongAuthenticator, "its secret": wrongAuthenticator[6:]} {
		vault.Add(name, secret.New([]byte(text)))
	}
	vault.Add("content key", secret.New(unhex(t, contentKey)))
	vault.Add("wrapped content key", secret.New(unhex(t, keyWraps[0].key)))
	vault.Add("kek", secret.New(unhex(t, kekDigits)))
	var tokens []string
	for _, with := range []map[string]string{
		{"contentKey": contentKey}, {"kek": kekDigits, "ek": keyWraps[2].wrapped}, rental(map[string]string{"kid": hexKID(kid1)}),
	} {
		token := mintPR(t, s, with)
		tokens = append(tokens, token, altered(token, -2), altered(token, 30), token[:100])
		vault.Add("token", secret.New([]byte(token)))
		vault.Add("wrong token", secret.New([]byte(altered(token, 30))))
		vault.Add("cut token", secret.New([]byte(token[:100])))
	}
	keep := func(r reply) { fmt.Fprintf(&said, "%d %v %s\n", r.status, r.header, r.body) }
	for _, name := range []string{
		"auth-not-enforced", "token-signature-ignored", "expired-accepted", "kid-not-bound", "pr-fault-stack-trace", "pr-fault-200",
		"pr-fault-always-600", "pr-digest-not-verified", "pr-redirect", "",
	} {
		s.ClearFaults()
		if name != "" {
			must(t, s.SetFaults(fakes.Named(name)...))
		}
		for _, with := range []map[string]string{
			{"customerAuthenticator": wrongAuthenticator}, {"contentKey": contentKey, "kid": "x"}, {"contentKey": contentKey + "0"},
			{"contentKey": contentKey, "kek": kekDigits, "ek": keyWraps[2].wrapped}, {"kek": kekDigits, "ek": keyWraps[1].wrapped},
			{"errorFormat": contentKey}, {"rightsType": contentKey}, {"generalFlags": contentKey}, {"analogVideoOPL": contentKey}, {"unknownOutputBehavior": contentKey},
		} {
			got := askPRToken(t, s, http.MethodPost, prParameters(s, with))
			isTrue(t, got.status != http.StatusOK)
			keep(got)
		}
		for _, token := range tokens {
			for _, carrier := range carriers {
				_, got := redeemPR(t, s, carrier, token, prAsk{})
				keep(got)
			}
			_, got := redeemPR(t, s, "query", token, prAsk{body: func(string) string { return token }})
			keep(got)
		}
	}
	seekSecrets(t, s, vault, said.String(), logged.String())
	isTrue(t, len(vault.Names([]byte(tokens[0]))) > 0 && bytes.Contains(said.Bytes(), []byte("<License>")))
}
