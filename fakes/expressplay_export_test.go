package fakes_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestExportAuthenticator: the stand-in's customer authenticator is a file that nobody else can read; where it is to be sent is
// told for both systems.
func TestExportAuthenticator(t *testing.T) {
	t.Parallel()
	s, err := fakes.Start(t.Context(), fakes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "export")
	if err := s.Export(dir); err != nil {
		t.Fatal(err)
	}
	var endpoints struct{ ExpressPlay map[string]string }
	addresses, err := os.ReadFile(filepath.Join(dir, fakes.EndpointsFile))
	must(t, err)
	must(t, json.Unmarshal(addresses, &endpoints))
	if told := endpoints.ExpressPlay; len(told) != 4 || told["playready_token_url"] != s.ExpressPlayPlayReadyTokenURL() || told["playready_license_url"] != s.ExpressPlayPlayReadyURL() {
		t.Errorf("endpoints %v", told)
	}
	path := filepath.Join(dir, fakes.AuthenticatorFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !secret.New(bytes.TrimSpace(text)).Equal(s.ExpressPlayAuthenticator()) {
		t.Error("the file does not hold the server's authenticator")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}
