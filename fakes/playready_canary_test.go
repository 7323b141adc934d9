package fakes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestNoPlayReadySecretGetsOut looks for private keys, content keys and tokens, by value and in any encoding, in all that the
// PlayReady server says under every fault: answers, history, log and management. A token goes the three ways of sheet
// playready.md §6.
func TestNoPlayReadySecretGetsOut(t *testing.T) {
	t.Parallel()
	const token = "token-canary-0123456789"
	vault := secret.NewVault()
	canary := secret.New([]byte("canary! 16 bytes"))
	var logged journal
	s := startPlayReady(t, fakes.Options{
		Keys: map[drm.KID]secret.Bytes{kid0: canary}, DeriveKIDs: []drm.KID{kid1},
		Tracks: map[drm.KID]fakes.Track{kid1: {PlayReady: fakes.PlayReadyTrack{
			Persistent: true, FirstPlay: time.Hour, Output: &prOutput,
		}}},
		PlayReady: fakes.PlayReadyOptions{SignAll: true, Acknowledgements: true, RevocationInfo: true},
		Log:       logged.add,
	})
	s.AddTo(vault)
	vault.Add("token", secret.New([]byte(token)))
	low := issuePlayReady(t, 150, time.Time{})
	for _, key := range []ecc.PrivateKey{low.SigningKey(), low.EncryptionKey()} {
		vault.Add("issued-device-key", key.Scalar())
	}
	isTrue(t, len(vault.Names([]byte("… canary! 16 bytes … "+token))) == 2) // they would be found
	signing := firstPlayReady(t).SigningKey().Scalar()
	isTrue(t, len(vault.Names(signing.Reveal())) == 1)

	var said bytes.Buffer
	tell := func(method, url string, header map[string]string, body string) {
		answer, _ := send(t.Context(), method, url, header, body) // the client's own errors name the URL
		fmt.Fprintf(&said, "%v\n", answer.header)
		said.Write(answer.body)
	}
	custom := func(a prAsk) prRequest {
		before := a.la
		a.la = func(la *soap.LA) {
			la.CustomData = secret.New([]byte(token))
			if before != nil {
				before(la)
			}
		}
		r := a.make(t)
		r.header["Authorization"] = "Bearer " + token
		return r
	}
	wrong := wrongEncryption(t)
	requests := []prRequest{
		custom(prAsk{}), custom(prAsk{header: header40(kid0, "")}), custom(prAsk{header: header43("AESCBC", kid0)}), custom(prAsk{header: header42(unknown)}),
		custom(prAsk{header: header41(kid0, wrongChecksum)}), custom(prAsk{header: header40(kid1, checksumOf(t, kid1))}),
		custom(prAsk{device: low}), custom(prAsk{device: authority(t, foreign).PlayReadyDevices()[0]}), custom(badSignature(t)),
		custom(prAsk{sent: func(la string) string { return strings.Replace(la, "10.0.", "10.1.", 1) }}),
		custom(wrong["padding of 17"]), custom(wrong["random key"]), custom(wrong["no XML"]), custom(wrong["chain cut"]),
		custom(prAsk{body: func(b string) string { return b[:len(b)*3/4] }}), custom(prAsk{action: `"` + token + `"`}),
		custom(laWith(func(la *soap.LA) { la.Version = token })), custom(laWith(func(la *soap.LA) { la.Nonce = "AAAA" })),
		custom(laWith(func(la *soap.LA) { la.ClientTime = token })),
		custom(prAsk{device: s.Authority().RevokedPlayReadyDevice()}), custom(prAsk{acknowledges: "unknown"}),
		custom(prAsk{header: strings.Replace(header42(kid0), `"4.2.0.0"`, `"`+token+`"`, 1)}), custom(prAsk{media: "text/" + token}),
	}
	for _, f := range append(fakes.Catalogue(), fakes.Fault{}) {
		switch {
		case f.Name == "never-answers" || f.Name == "malformed-hangs" || f.Name == "endless-body" || strings.HasPrefix(f.Name, "wv-"):
			continue // nothing to see, the same zero for 1 GiB, or the other server's
		case f.Name == "":
			s.ClearFaults()
		default:
			must(t, s.SetFaults(fakes.Named(f.Name)...))
		}
		for _, r := range requests {
			tell(http.MethodPost, s.PlayReadyURL()+"?token="+token, r.header, r.body)
		}
	}
	for _, path := range []string{"/healthz", "/requests", "/faults", "/clock"} {
		tell(http.MethodGet, s.ManagementURL()+path, nil, "")
	}
	history, err := json.Marshal(s.Requests())
	must(t, err)
	answered := 0
	for _, r := range s.Requests() {
		if r.Outcome == fakes.Answered {
			answered++
		}
	}
	isTrue(t, answered > 200)
	for what, text := range map[string][]byte{
		"answers": said.Bytes(), "log": []byte(logged.String()), "history": history, "values": fmt.Appendf(nil, "%v %+v %#v", s, s.Authority(), s.Requests()),
	} {
		if len(text) < 10_000 {
			t.Errorf("%s: only %d bytes to look at", what, len(text))
		}
		if names := vault.Names(text); len(names) > 0 {
			t.Errorf("%s hold %v", what, names)
		}
	}
}
