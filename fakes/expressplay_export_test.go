package fakes_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestExportAuthenticator: the stand-in's customer authenticator is a file that nobody else can read.
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
