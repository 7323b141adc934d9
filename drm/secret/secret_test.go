package secret_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/onsi/gomega/format"

	"keyflow/drm/secret"
)

var canary = []byte("\x9fCANARY+/=\x00\xfe&\"key")

type holder struct {
	Name      string
	Key       secret.Bytes
	Ptr       *secret.Bytes
	List      []secret.Bytes
	hidden    secret.Bytes // reflection reaches unexported fields without asking their methods
	hiddenPtr *secret.Bytes
	Device    secret.RSAKey
	device    secret.RSAKey
}

// TestBytesPrintsAsPlaceholder prints a secret in every way that output is made and looks for it by value.
func TestBytesPrintsAsPlaceholder(t *testing.T) {
	s := secret.New(canary)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	device := secret.NewRSAKey(key)
	held := holder{Name: "n", Key: s, Ptr: &s, List: []secret.Bytes{s}, hidden: s, hiddenPtr: &s, Device: device, device: device}
	vault := secret.NewVault()
	vault.Add("canary", s)
	for _, part := range device.Parts() {
		vault.Add("device", part)
	}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%08b"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", held)
	}
	out.WriteString(format.Object(held, 1))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "key", s, "held", held)
	}
	j, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	x, err := xml.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(x)
	if names := vault.Names(out.Bytes()); names != nil {
		t.Errorf("the secret %v is in the output:\n%s", names, out.String())
	}
	if !strings.Contains(out.String(), secret.Placeholder) {
		t.Error("no placeholder in the output: nothing was printed")
	}
}

func TestVaultFindsEveryEncoding(t *testing.T) {
	u16 := func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	jsonText, _ := json.Marshal(string(canary))
	ints, _ := json.Marshal(func() (is []int) {
		for _, c := range canary {
			is = append(is, int(c))
		}
		return is
	}())
	forms := map[string]string{
		"raw":             string(canary),
		"hex":             hex.EncodeToString(canary),
		"upper hex":       strings.ToUpper(hex.EncodeToString(canary)),
		"spaced hex":      fmt.Sprintf("% x", canary),
		"percent":         url.QueryEscape(string(canary)),
		"path":            url.PathEscape(string(canary)),
		"json":            string(jsonText),
		"json numbers":    string(ints),
		"utf-16le":        u16("plain-token-123"),
		"utf-16le hex":    u16(hex.EncodeToString(canary)),
		"base64 std":      base64.StdEncoding.EncodeToString(canary),
		"base64 url":      base64.URLEncoding.EncodeToString(canary),
		"base64 shift 1":  base64.StdEncoding.EncodeToString(append([]byte("a"), canary...)),
		"base64 shift 2":  base64.StdEncoding.EncodeToString(append([]byte("ab"), canary...)),
		"base64 embedded": base64.URLEncoding.EncodeToString(append(append([]byte("abcd"), canary...), "tail"...)),
		"base64 percent":  url.QueryEscape(base64.StdEncoding.EncodeToString(canary)),
	}
	vault := secret.NewVault()
	if !vault.Add("canary", secret.New(canary)) || !vault.Add("canary", secret.New([]byte("plain-token-123"))) {
		t.Fatal("the vault refused a long secret")
	}
	for name, form := range forms {
		text := "before " + form + " after"
		if got := vault.Names([]byte(text)); len(got) != 1 || got[0] != "canary" {
			t.Errorf("%s: found %v", name, got)
		}
		redacted := vault.Redact(text)
		if vault.Names([]byte(redacted)) != nil || !strings.Contains(redacted, "‹redacted:canary:") {
			t.Errorf("%s: not redacted: %q", name, redacted)
		}
		if !strings.HasPrefix(redacted, "before ") || !strings.HasSuffix(redacted, " after") {
			t.Errorf("%s: redaction ate its neighbours: %q", name, redacted)
		}
	}
}

func TestVaultLeavesOthersAlone(t *testing.T) {
	vault := secret.NewVault()
	vault.Add("canary", secret.New(canary))
	for _, text := range []string{"", "nothing here", hex.EncodeToString(canary[1:]), "ÄÖÜ ſ K"} {
		if got := vault.Redact(text); got != text {
			t.Errorf("Redact(%q) = %q", text, got)
		}
	}
	if vault.Add("short", secret.New([]byte("1234567"))) {
		t.Error("a secret shorter than MinLen was accepted for search by value")
	}
	if vault.Add("zero", secret.New(make([]byte, 16))) {
		t.Error("a uniform secret was accepted for search by value: every run of zeros would match")
	}
}

func TestFingerprint(t *testing.T) {
	a, b := secret.New([]byte("one key")), secret.New([]byte("another key"))
	if a.Fingerprint() == b.Fingerprint() || len(a.Fingerprint()) != 16 {
		t.Errorf("fingerprints %q and %q", a.Fingerprint(), b.Fingerprint())
	}
	if (secret.Bytes{}).Fingerprint() != "" {
		t.Error("the empty secret has a fingerprint")
	}
}

func TestVaultRedactsOverlappingSecretsTogether(t *testing.T) {
	token := "token=" + hex.EncodeToString(canary) + ";end"
	vault := secret.NewVault()
	vault.Add("key", secret.New(canary))
	vault.Add("token", secret.New([]byte(token)))
	vault.Add("tail", secret.New([]byte(token[10:]+" and more")))
	text := token + " and more, then " + strings.ToUpper(hex.EncodeToString(canary)) + hex.EncodeToString(canary) + "."
	if got, want := vault.Names([]byte(text)), []string{"key", "tail", "token"}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	got := vault.Redact(text)
	if vault.Names([]byte(got)) != nil || strings.Count(got, "‹redacted:key:") != 2 || strings.Count(got, "‹redacted:") != 3 ||
		!strings.Contains(got, "›, then ‹") || !strings.HasSuffix(got, "›.") {
		t.Errorf("redacted to %q", got)
	}
}
