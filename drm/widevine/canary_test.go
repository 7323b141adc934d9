package widevine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/onsi/gomega/format"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// TestNothingPrintsAKey prints all that a session handles in every way that output is made, and looks for the content
// key, the session key, the derived keys and the device key by value.
func TestNothingPrintsAKey(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	m, pendingOne := request(t, s), request(t, s)
	contentKey, sessionKey := random(16), random(16)
	envelope, _ := parseRequest(t, m.Body)
	keys := derive(t, sessionKey, envelope.GetMsg())
	signingKey := secret.New(random(64))
	body := answerWith(t, m.Body, sessionKey, contentKey, func(l *wire.License) {
		c := &wire.License_KeyContainer{Iv: random(16), Type: wire.License_KeyContainer_SIGNING.Enum()}
		var err error
		if c.Key, err = ladder.WrapKey(keys.Encryption, c.Iv, signingKey); err != nil {
			t.Fatal(err)
		}
		l.Key = append(l.Key, c)
	})

	vault := secret.NewVault()
	add := func(name string, b secret.Bytes) {
		if !vault.Add(name, b) {
			t.Fatalf("%s cannot be searched for", name)
		}
	}
	add("content-key", secret.New(contentKey))
	add("session-key", secret.New(sessionKey))
	add("encryption-key", keys.Encryption)
	add("server-key", keys.Server)
	add("client-key", keys.Client)
	add("signing-key", signingKey)
	add("signing-server-half", secret.New(signingKey.Reveal()[:32]))
	add("signing-client-half", secret.New(signingKey.Reveal()[32:]))
	for _, part := range testKey(t).Parts() {
		add("device-key", part)
	}

	verdict := p.Judge(m.Ticket, m.Body, body, drm.DepthFull)
	sent := s.pending[m.ID]
	o, err := s.Process(context.Background(), m.ID, body)
	if err != nil || len(o.Findings) > 0 || len(s.Licenses()) != 1 || len(verdict.Keys) != 1 {
		t.Fatalf("%v, %+v, %+v", err, o, verdict)
	}
	examined := examine(testKey(t), sent, body, drm.DepthFull)
	renewing := renewal(t, s, drm.KindRenewal)
	for name, held := range map[string]any{
		"session": s, "platform": p, "identity": p.Identity(), "forged platform": p.WithForge(Forge{Key: testKey(t)}),
		"answer": o.Detail, "answer by value": *o.Detail.(*Answer), "observation": o, "licenses": s.Licenses(),
		"message": m, "pending": pendingOne, "renewal": renewing, "holding": s.holdings[0], "existing": s.pending[renewing.ID], "verdict": verdict, "examination": examined, "keys": keys,
	} {
		out := printed(t, held)
		if names := vault.Names(out); names != nil {
			t.Errorf("%s: the output holds %v", name, names)
		}
	}
	// The search itself works: a plain copy is found.
	if names := vault.Names(printed(t, struct{ Key []byte }{contentKey})); len(names) != 1 {
		t.Errorf("a plain key in the output: found %v", names)
	}
}

// printed is the value in every form that output takes.
func printed(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	out.WriteString(format.Object(v, 1))
	if text, err := json.Marshal(v); err == nil {
		out.Write(text)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("held", "value", v)
	slog.New(slog.NewTextHandler(&out, nil)).Info("held", "value", v)
	if out.Len() < 100 {
		t.Fatalf("next to nothing was printed: %s", out.String())
	}
	return out.Bytes()
}
