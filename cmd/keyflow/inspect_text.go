package main

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"keyflow/drm/pssh"
)

func (a *app) printInspected(v inspected) {
	fmt.Fprintf(a.out, "%s: %s, %d pssh boxes, %d default_KIDs\n", v.Name, v.Kind, len(v.Boxes), len(v.Keys))
	for _, k := range v.Keys {
		fmt.Fprintf(a.out, "\ndefault_KID %s %s\n  at %s\n", k.KID, k.Scheme, k.Place)
	}
	for _, b := range v.Boxes {
		a.printBox(b)
	}
	for _, n := range v.Notes {
		fmt.Fprintf(a.out, "\nnote: %s\n", n)
	}
	for _, p := range v.Problems {
		fmt.Fprintf(a.out, "\nproblem: %s\n", p)
	}
}

func (a *app) printBox(b inspectedBox) {
	fmt.Fprintf(a.out, "\n%s (%s), version %d, %d bytes\n  at %s, byte %d\n", b.System, b.SystemID, b.Version, b.Bytes, b.Place, b.Offset)
	for _, k := range b.KIDs {
		a.printLine("KID", k.String())
	}
	if b.Data > 0 {
		a.printLine("data", fmt.Sprintf("%d bytes", b.Data))
	}
	a.printLine("problem", b.Problem)
	if b.Widevine != nil {
		a.printWidevine(b.Widevine)
	}
	if b.PlayReady != nil {
		a.printPlayReady(b.PlayReady)
	}
}

// printLine prints a value of a box that has one.
func (a *app) printLine(name, value string) {
	if value != "" {
		fmt.Fprintf(a.out, "  %-18s %s\n", name, value)
	}
}

func (a *app) printWidevine(w *inspectedWidevine) {
	for _, k := range w.KeyIDs {
		a.printLine("key_id", k.String())
	}
	for _, odd := range w.OddKeyIDs {
		a.printLine("key_id, no KID", odd)
	}
	for _, t := range []struct {
		name string
		text *string
	}{{"provider", w.Provider}, {"track_type", w.TrackType}, {"policy", w.Policy}} {
		if t.text != nil {
			a.printLine(t.name, fmt.Sprintf("%q", *t.text))
		}
	}
	a.printLine("content_id", w.ContentID)
	scheme := string(w.Scheme)
	if !w.SchemeStated {
		scheme += " (not stated)"
	}
	a.printLine("protection_scheme", scheme)
	a.printLine("type", w.Type)
	if w.CryptoPeriod != nil {
		a.printLine("crypto_period", fmt.Sprint(*w.CryptoPeriod))
	}
	if len(w.UnknownFields) > 0 {
		a.printLine("unknown fields", fmt.Sprint(w.UnknownFields))
	}
}

// printPlayReady quotes what the header's author wrote: it may be anything.
func (a *app) printPlayReady(p *inspectedPlayReady) {
	a.printLine("header version", p.HeaderVersion)
	for _, k := range p.KIDs {
		about := ", ALGID " + k.ALGID
		if k.ALGID == "" {
			about = ", no ALGID"
		}
		if k.Checksum != nil {
			about += ", CHECKSUM " + base64.StdEncoding.EncodeToString(k.Checksum)
		}
		a.printLine("header KID", k.KID.String()+about)
	}
	for _, t := range []struct{ name, text string }{{"LA_URL", p.LAURL}, {"LUI_URL", p.LUIURL}, {"DS_ID", p.DomainServiceID}} {
		if t.text != "" {
			a.printLine(t.name, strconv.QuoteToASCII(t.text))
		}
	}
	a.printLine("LICENSEREQUESTED", p.LicenseRequested)
	a.printLine("DECRYPTORSETUP", p.DecryptorSetup)
	if p.CustomAttributes > 0 {
		a.printLine("CUSTOMATTRIBUTES", fmt.Sprintf("%d bytes", p.CustomAttributes))
	}
	for _, r := range p.OtherRecords {
		a.printLine("other record", fmt.Sprintf("type %d (%s), %d bytes", r.Type, recordName(r.Type), r.Bytes))
	}
	for _, n := range p.Notes {
		a.printLine("note", n)
	}
}

func recordName(kind uint16) string {
	if kind == pssh.RecordEmbeddedStore {
		return "embedded license store"
	}
	return "not known"
}
