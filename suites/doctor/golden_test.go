package doctor_test

import (
	"slices"
	"strings"
	"testing"

	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/fixtures"
	"keyflow/suites/doctor"
)

// edited returns an embedded profile with a text in it replaced.
func edited(t *testing.T, id, old, replacement string) *provider.Profile {
	t.Helper()
	source, err := fixtures.Profile(id)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), old) {
		t.Fatalf("%s does not hold %q", id, old)
	}
	p, err := provider.Parse("mine.yaml", []byte(strings.ReplaceAll(string(source), old, replacement)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCompareGolden finds a change of a profile by the field that it changes, also within a token.
func TestCompareGolden(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ id, old, new, variant, field, want, have string }{
		{"axinom-widevine", "X-AxDRM-Message", "X-AxDRM-Massage", "token-in-header", "license: header X-AxDRM-Message, JWT claims $.com_key_id", "cc36e85d-2fdf-462c-b395-030907447afc", ""},
		{"axinom-widevine", "duration: 7200", "duration: 60", "token-in-query", "license: query AxDrmMessage, JWT claims $.message.license.duration", "7200", "60"},
		{"axinom-widevine", "/AcquireLicense", "/acquirelicense", "token-in-query", "license: path", "/AcquireLicense", "/acquirelicense"},
		{"expressplay-widevine-test", "kid: \"${input.kid | hex}\"", "kid: \"${input.kid | b64}\"", "token-in-query", "token: form kid, decoded", "", "qwAAAAAAAAAAAAAAAAAAAQ=="},
		{"expressplay-playready-test", "format: text", "format: b64", "token-in-customdata", "custom data: text", "FAKE+token/with=every&character %", "RkFLRSt0b2tlbi93aXRoPWV2ZXJ5JmNoYXJhY3RlciAl"},
		{"google-widevine-uat", "allowed_track_types: SD_UHD1", "allowed_track_types: SD_HD", "", "license: body $.request (base64) $.allowed_track_types", "SD_UHD1", "SD_HD"},
	} {
		p, err := edited(t, test.id, test.old, test.new).WithVariant(test.variant)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := doctor.CompareGolden(t.Context(), p, secret.NewVault())
		i := slices.IndexFunc(c.Differences, func(d doctor.Difference) bool { return d.Request+": "+d.Field == test.field })
		if !ok || c.Same() || i < 0 || c.Differences[i].Want != test.want || c.Differences[i].Have != test.have {
			t.Errorf("%s with %s: %+v", test.id, test.new, c)
		}
	}
	if _, ok := doctor.CompareGolden(t.Context(), edited(t, "plain-widevine", "id: plain-widevine", "id: my-widevine"), nil); ok {
		t.Error("golden requests for a profile of the user's")
	}
}

// TestCompareHidesFiles: what a token in a file holds is not decoded into the differences.
func TestCompareHidesFiles(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/token"
	writeFile(t, file, jwt(`{"sub":"canary-subject"}`))
	p, err := provider.Parse("mine.yaml", []byte("profile: 1\nid: plain-widevine\ndrm: widevine\ntokens: [{id: t, source: file, file: {path: \""+file+"\", format: text}}]\n"+
		"request: {url: \"https://license.example/path?q=1\", headers: {X-Token: \"${token.t.value}\"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, ok := doctor.CompareGolden(t.Context(), p, secret.NewVault())
	if !ok || c.Same() {
		t.Fatalf("%+v", c)
	}
	for _, d := range c.Differences {
		if strings.Contains(d.Have, "canary") || strings.Contains(d.Have, "eyJ") {
			t.Errorf("%+v", d)
		}
	}
}
