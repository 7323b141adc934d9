package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keyflow": main})
}

// TestScripts runs the command lines of testdata as a user would. Beside testscript's own commands there is
//
//	exits CODE COMMAND [ARG...]   run a command that must end with this exit code
//	foreign-asset                 make a DASH asset with KIDs of its own in asset/, and its keys in keys.txt
//	expressplay DIR               set EP_TOKEN_URL and EP_CUSTOMER_AUTHENTICATOR from a fake's export
//	lines FILE N                  wait until a file has so many lines
//	running PATTERN               wait until a command in the background has written a file of this name
//	spoil HOW FILE OUT            copy a file: flip a bit in its middle, cut it there, or give it another version
//	record SYSTEM DIR OUT [HOW]   record what a browser sees of a license of an exported fake: plain, no-answer, late or lost
//	capture SYSTEM DIR OUT        make a key request with a device of an exported authority; with base64 after OUT as text
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":         exits,
			"document":      document,
			"foreign-asset": foreignAsset,
			"running":       running,
			"lines":         lines,
			"spoil":         spoil,
			"capture":       capturing,
			"record":        recordSession,
			"expressplay":   expressPlay,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

var mpdBox = regexp.MustCompile(`(?s)<cenc:pssh>.*?</cenc:pssh>|<mspr:pro>.*?</mspr:pro>`)

// foreignAsset turns the embedded asset into one that keyflow does not know: other KIDs, no manifest, and so neither keys
// nor hashes. The MPD keeps its default_KIDs and loses its boxes, those of the init segments remain: in PlayReady headers a KID
// is base64 of its GUID order, and the checksum follows from it.
func foreignAsset(ts *testscript.TestScript, _ bool, _ []string) {
	source := filepath.Join(sourceDir, "../../fixtures/assets/cenc-3key")
	var manifest struct {
		Tracks []struct{ KID, Key string }
	}
	text, err := os.ReadFile(filepath.Join(source, "manifest.json"))
	ts.Check(err)
	ts.Check(json.Unmarshal(text, &manifest))
	var keys strings.Builder
	replace := func(b []byte) []byte { return mpdBox.ReplaceAll(b, nil) }
	for _, t := range manifest.Tracks {
		old, err := drm.ParseKID(t.KID)
		ts.Check(err)
		kid := old
		kid[15] ^= 0xff
		fmt.Fprintf(&keys, "%s:%s\n", kid, t.Key)
		before, key := replace, secret.New(unhex(ts, t.Key))
		replace = func(b []byte) []byte {
			b = bytes.ReplaceAll(before(b), old[:], kid[:])
			b = bytes.ReplaceAll(b, []byte(old.String()), []byte(kid.String()))
			for _, text := range []func(drm.KID) string{headerKID, func(k drm.KID) string { return headerChecksum(ts, k, key) }} {
				b = bytes.ReplaceAll(b, utf16LE(text(old)), utf16LE(text(kid)))
			}
			return b
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs("keys.txt"), []byte(keys.String()), 0o600))
	ts.Check(os.Mkdir(ts.MkAbs("asset"), 0o700))
	files, err := os.ReadDir(source)
	ts.Check(err)
	for _, f := range files {
		if f.Name() == "manifest.json" {
			continue
		}
		content, err := os.ReadFile(filepath.Join(source, f.Name()))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs("asset/"+f.Name()), replace(content), 0o600))
	}
}

func unhex(ts *testscript.TestScript, s string) []byte {
	b, err := hex.DecodeString(s)
	ts.Check(err)
	return b
}

func headerKID(k drm.KID) string {
	guid := pssh.GUID(k)
	return base64.StdEncoding.EncodeToString(guid[:])
}

func headerChecksum(ts *testscript.TestScript, k drm.KID, key secret.Bytes) string {
	sum, err := pssh.Checksum(pssh.AlgorithmAESCTR, k, key)
	ts.Check(err)
	return base64.StdEncoding.EncodeToString(sum)
}

func utf16LE(ascii string) []byte {
	var b []byte
	for i := range len(ascii) {
		b = append(b, ascii[i], 0)
	}
	return b
}

// sourceDir is the folder of this package: tests start in it, scripts leave it.
var sourceDir, _ = os.Getwd()

// running polls, because the script's background command cannot tell when it is ready.
func running(ts *testscript.TestScript, _ bool, args []string) {
	for range 300 {
		if found, err := filepath.Glob(ts.MkAbs(args[0])); err == nil && len(found) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s did not appear within 15 s", args[0])
}

// lines polls as running does.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for range 600 {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && bytes.Count(text, []byte("\n")) >= want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s did not have %d lines within 30 s", args[0], want)
}

// expressPlay gives a profile's variables the values that an integrator would have from the provider.
func expressPlay(ts *testscript.TestScript, _ bool, args []string) {
	var endpoints struct {
		ExpressPlay struct {
			Token string `json:"token_url"`
		}
	}
	text := ts.ReadFile(filepath.Join(args[0], fakes.EndpointsFile))
	ts.Check(json.Unmarshal([]byte(text), &endpoints))
	ts.Setenv("EP_TOKEN_URL", endpoints.ExpressPlay.Token)
	ts.Setenv("EP_CUSTOMER_AUTHENTICATOR", strings.TrimSpace(ts.ReadFile(filepath.Join(args[0], fakes.AuthenticatorFile))))
}
