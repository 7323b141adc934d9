package main

import (
	"context"
	"encoding/base64"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/suites"
)

// spoil copies a file with a defect.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: spoil HOW FILE OUT")
	}
	b := []byte(ts.ReadFile(args[1]))
	switch args[0] {
	case "flip":
		b[len(b)/2] ^= 4
	case "cut":
		b = b[:len(b)/2]
	case "version":
		b[8]++
	default:
		ts.Fatalf("spoil %s: unknown defect", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o600))
}

// capturing writes a key request for the embedded asset cenc-3key.
func capturing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: capture SYSTEM DIR OUT [base64]")
	}
	authority, err := fakes.ReadAuthority(ts.MkAbs(args[1]))
	ts.Check(err)
	opened, err := fixtures.Open("cenc-3key")
	ts.Check(err)
	asset, err := suites.LoadAsset(opened)
	ts.Check(err)
	system := drm.System(args[0])
	box, err := pssh.Select(asset.Boxes, system)
	ts.Check(err)
	s := &setting{authority: authority}
	m, err := request(context.Background(), s.platforms(system, drm.SystemClock, false)[0], suites.Ask{Box: box}, secret.Bytes{}, drm.KindLicense)
	ts.Check(err)
	body := m.Body
	if len(args) > 3 {
		text := base64.StdEncoding.EncodeToString(body)
		body = []byte(strings.Join([]string{text[:60], text[60:]}, "\n") + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), body, 0o600))
}
