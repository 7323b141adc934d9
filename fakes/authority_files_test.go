package fakes

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWriteFilesCleansUp: what could not be written as a whole is not left behind in parts.
func TestWriteFilesCleansUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := writeFiles(dir, []file{
		{fileReadme, []byte("x")},
		{deviceFile(0, fileDeviceKey), []byte("x")},
		{filepath.Join(dirPlayReady, deviceFile(0, "signing_key.pem")), []byte("x")},
		{fileReadme, []byte("there already")},
		{fileManifest, []byte("not reached")},
	})
	entries, readErr := os.ReadDir(dir)
	if err == nil || readErr != nil || len(entries) > 0 {
		t.Errorf("%v, %v: %v are left", err, readErr, entries)
	}
}
