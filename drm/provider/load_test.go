package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

const plain = `profile: 1
id: plain-widevine
drm: widevine
request:
  url: http://127.0.0.1:8080/widevine/license
  content_type: application/octet-stream
response:
  ok_status: [200]
  content_types: [application/octet-stream]
  max_bytes: 65536
`

func TestParse(t *testing.T) {
	p, err := provider.Parse("plain.yaml", []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "plain-widevine" || p.DRM != drm.Widevine || p.Response.MaxBytes != 65536 || p.Address() != "127.0.0.1:8080" || !p.Loopback() || !p.Secure() {
		t.Errorf("parsed %+v", p)
	}
	short, err := provider.Parse("short.yaml", []byte("profile: 1\nid: x\ndrm: widevine\nrequest: {url: 'http://license.example'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if short.Request.ContentType != provider.DefaultContentType || short.Response.OKStatus[0] != 200 || short.Response.MaxBytes != provider.DefaultMaxBytes {
		t.Errorf("defaults are missing: %+v", short)
	}
	if short.Secure() || short.Loopback() || short.Address() != "license.example:80" {
		t.Error("plain http to another host counts as secure")
	}
}

// TestParseErrors holds one broken profile a row, and what its message must say.
func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"unknown key", "content_type:", "contnet_type:", []string{"p.yaml:6:", `unknown key "request.contnet_type"`, `did you mean "content_type"?`}},
		{"unknown top key", "response:", "respnse:", []string{"p.yaml:7:", `did you mean "response"?`}},
		{"two unknown keys", "id: plain-widevine\ndrm:", "idd: plain-widevine\ndmr:", []string{"p.yaml:2:", "p.yaml:3:"}},
		{"schema version", "profile: 1", "profile: 2", []string{"p.yaml:1:", "version"}},
		{"id", "plain-widevine", "Plain Widevine", []string{"p.yaml:2:", "id:"}},
		{"system", "drm: widevine", "drm: fairplay", []string{"p.yaml:3:", "widevine or playready"}},
		{"relative URL", "http://127.0.0.1:8080/widevine/license", "/license", []string{"p.yaml:5:", "absolute"}},
		{"password in URL", "http://127.0.0.1:8080", "http://u:hunter22@127.0.0.1:8080", []string{"p.yaml:5:", "password"}},
		{"status", "[200]", "[2000]", []string{"p.yaml:8:", "HTTP status"}},
		{"type of value", "[200]", "often", []string{"p.yaml:8:"}},
		{"size", "65536", "-1", []string{"p.yaml:10:", "max_bytes"}},
		{"not a mapping", "request:\n  url: http://127.0.0.1:8080/widevine/license\n  content_type: application/octet-stream", "request: yes", []string{"p.yaml:4:", "want keys and values"}},
		{"tabs", "  url:", "\turl:", []string{"p.yaml:"}},
		{"key twice", "drm: widevine", "drm: widevine\ndrm: widevine", []string{"p.yaml:", "drm"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(plain, c.old, c.new, 1)
			if text == plain {
				t.Fatal("the row changes nothing")
			}
			_, err := provider.Parse("p.yaml", []byte(text))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter22") {
				t.Error("the error prints a password")
			}
		})
	}
	for _, text := range []string{"", "---\n---\n", "[]", "just text"} {
		if _, err := provider.Parse("p.yaml", []byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	if _, err := provider.Load(path); err == nil || !strings.Contains(err.Error(), "p.yaml") {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("# \n", 1<<19)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Load(path); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("oversized file: %v", err)
	}
	if err := os.WriteFile(path, []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Load(path); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte("profile: {"))
	f.Add([]byte("&a [*a]"))
	names, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(names, "../../fixtures/profiles/expressplay-widevine-test.yaml", "../../fixtures/profiles/google-widevine-uat.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		p, err := provider.Parse("fuzz.yaml", text)
		if err == nil && (p.ID == "" || p.Request.URL == "") {
			t.Errorf("accepted a profile without id or URL: %+v", p)
		}
		if err == nil {
			return
		}
		lines := map[string]bool{}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "fuzz.yaml:") || lines[line] {
				t.Errorf("%q names no place, or stands twice in\n%v", line, err)
			}
			lines[line] = true
		}
	})
}
