package provider_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// BenchmarkRead reads an answer whose license is in JSON, of a profile that looks at five places of it.
func BenchmarkRead(b *testing.B) {
	text, err := os.ReadFile("../../fixtures/profiles/google-widevine-uat.yaml")
	if err != nil {
		b.Fatal(err)
	}
	p, err := provider.Parse("google", text)
	if err != nil {
		b.Fatal(err)
	}
	license := base64.StdEncoding.EncodeToString([]byte("\x08\x02" + strings.Repeat("x", 2000)))
	good := []byte(`{"status":"OK","license":"` + license + `","message_type":"LICENSE","internal_status":0}`)
	refused := []byte(`{"status":"INTERNAL_ERROR","status_message":"` + license + `","internal_status":1}`)
	for name, body := range map[string][]byte{"license": good, "refusal": refused} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := p.Read(drm.KindLicense, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, body)
				if (r.Class == provider.ClassOK) != (name == "license") {
					b.Fatal(r.Class)
				}
			}
		})
	}
}
