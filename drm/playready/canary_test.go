package playready

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/onsi/gomega/format"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
)

// TestNothingPrintsAKey prints all that a session handles in every way that output is made, and looks for the device's keys, the
// session key, the keys of the licenses and the custom data by value.
func TestNothingPrintsAKey(t *testing.T) {
	t.Parallel()
	everyone, p := everybody(t), testPlatform(t)
	custom := secret.New([]byte("canary-token-7531-9642"))
	s := openBox(t, p, testBox(t, all...), drm.Options{CustomData: custom})
	m, broken, left := request(t, s), request(t, s), request(t, s)
	body := answerTo(t, m.Body, persist)

	vault := secret.NewVault()
	add := func(name string, b secret.Bytes) {
		if !vault.Add(name, b) {
			t.Fatalf("%s cannot be searched for", name)
		}
	}
	add("custom-data", custom)
	for name, k := range map[string]ecc.PrivateKey{"signing-key": everyone.sign, "encryption-key": everyone.encrypt, "forging-key": everyone.stranger} {
		add(name, k.Scalar())
	}
	for _, sent := range []drm.Message{m, broken, left} {
		o, err := open(parseChallenge(t, sent.Body), everyone.server)
		if err != nil {
			t.Fatal(err)
		}
		add("session-key", secret.New(o.x.Reveal()[16:])) // the other half is the IV, which travels in the clear
	}
	for _, kid := range all {
		add("content-key", secret.New(contentKey(kid)))
	}

	verdict := p.Judge(m.Ticket, m.Body, body, drm.DepthFull)
	examined := p.examine(s.pending[m.ID], body, drm.DepthFull)
	o := process(t, s, m.ID, body)
	if len(o.Findings) > 0 || len(s.Licenses()) != 3 || len(verdict.Keys) != 3 {
		t.Fatalf("%+v, %+v", o, verdict)
	}
	answer := o.Detail.(*Answer)
	for _, l := range answer.Licenses {
		integrity, content, err := l.XMR.Unwrap(everyone.encrypt)
		if err != nil || content.Len() != 16 {
			t.Fatal(err)
		}
		add("integrity-key", integrity)
		add("license-point", secret.New(append(bytes.Clone(integrity.Reveal()), content.Reveal()...)))
	}
	found := process(t, s, broken.ID, answerTo(t, broken.Body, func(r *response) {
		r.grants[0].key = contentKey(kidC)
		r.grants[1].KID = kidA
		r.grants[2].tree = func(outer *xmr.Object) { outer.Find(xmr.TypeContentKey).Body[19] = 2 }
	}))
	if len(found.Findings) < 2 {
		t.Fatalf("findings %v", found.Findings)
	}
	for name, held := range map[string]any{
		"session": s, "platform": p, "identity": p.Identity(), "forged platform": p.WithForge(Forge{Key: everyone.stranger}),
		"forge": Forge{Key: everyone.stranger}, "answer": answer, "answer by value": *answer, "license": answer.Licenses[0], "observation": o,
		"body": *answer.Body, "XMR": *answer.Licenses[0].XMR,
		"broken observation": found, "broken answer": found.Detail, "findings": found.Findings, "licenses": s.Licenses(), "pending": s.pending[left.ID],
		"verdict": verdict, "examination": examined, "options": s.options, "errors": errorsOf(t, s, m),
	} {
		if names := vault.Names(printed(t, held)); names != nil {
			t.Errorf("%s: the output holds %v", name, names)
		}
	}
	// The message carries the custom data, escaped, and nothing else that is secret.
	if names := vault.Names(printed(t, m)); len(names) > 1 || len(names) == 1 && names[0] != "custom-data" {
		t.Errorf("message: the output holds %v", names)
	}
	// The search itself works: a plain copy is found.
	if names := vault.Names(printed(t, struct{ Key []byte }{contentKey(kidA)})); len(names) != 1 {
		t.Errorf("a plain key in the output: found %v", names)
	}
}

// errorsOf are the errors of everything that is given a secret.
func errorsOf(t *testing.T, s *session, m drm.Message) []error {
	t.Helper()
	everyone := everybody(t)
	fine, err := MarshalKey(everyone.sign)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	long := append(bytes.Clone(everyone.sign.Scalar().Reveal()), '\n')
	for name, b := range map[string][]byte{FileChain: everyone.deviceChain, FileSigningKey: long, FileEncryptionKey: fine} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, loaded := LoadIdentity(dir)
	_, parsed := ParseKey(bytes.Replace(fine, []byte("PRIVATE"), []byte("SECRET"), 2))
	_, swapped := NewIdentity(everyone.deviceChain, everyone.encrypt, everyone.sign)
	_, opened := s.platform.Open(context.Background(), testBox(t, kidA), drm.Options{CustomData: secret.New([]byte("canary-token-7531-9642\x00"))})
	_, processed := s.Process(context.Background(), m.ID, nil)
	all := []error{loaded, parsed, swapped, opened, processed}
	for i, err := range all {
		if err == nil {
			t.Errorf("error %d is none", i)
		}
	}
	return all
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
