package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

// maxInspect bounds what inspect reads, in bytes.
const maxInspect = 64 << 20

// What inspect prints with --json.
type (
	inspected struct {
		Name     string         `json:"name"`
		Kind     pssh.Kind      `json:"kind"`
		Keys     []inspectedKey `json:"default_kids"`
		Boxes    []inspectedBox `json:"boxes"`
		Notes    []string       `json:"notes,omitempty"`
		Problems []string       `json:"problems,omitempty"`
	}
	inspectedKey struct {
		KID    drm.KID    `json:"kid"`
		Scheme drm.Scheme `json:"scheme,omitempty"`
		Place  string     `json:"place"`
	}
	inspectedBox struct {
		Place    string             `json:"place"`
		Offset   int64              `json:"offset"`
		System   string             `json:"system"`
		SystemID drm.SystemID       `json:"system_id"`
		Version  uint8              `json:"version"`
		Bytes    int                `json:"bytes"`
		KIDs     []drm.KID          `json:"kids,omitempty"`
		Data     int                `json:"data_bytes"`
		Widevine *inspectedWidevine `json:"widevine,omitempty"`
		Problem  string             `json:"problem,omitempty"`
	}
	inspectedWidevine struct {
		KeyIDs        []drm.KID  `json:"key_ids,omitempty"`
		OddKeyIDs     []string   `json:"odd_key_ids,omitempty"` // hexadecimal
		Provider      *string    `json:"provider,omitempty"`
		ContentID     string     `json:"content_id,omitempty"` // text, or hexadecimal where it is none
		TrackType     *string    `json:"track_type,omitempty"`
		Policy        *string    `json:"policy,omitempty"`
		Scheme        drm.Scheme `json:"protection_scheme"`
		SchemeStated  bool       `json:"protection_scheme_stated"` // absent is cenc
		CryptoPeriod  *uint32    `json:"crypto_period_index,omitempty"`
		Type          string     `json:"type,omitempty"`
		UnknownFields []int32    `json:"unknown_fields,omitempty"`
	}
)

func (a *app) inspectCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect {FILE | BASE64 | -}",
		Short: "Show the pssh boxes of an MPD, an init or media segment, or of a box in base64 or hex",
		Long: `inspect shows every pssh box and default_KID with its place: MPD (per Period and AdaptationSet), init or media
segment, boxes one after another, raw or as text. Widevine data is decoded, other systems are named. Nothing is
decrypted. An argument that is no file is read as the box itself; - reads standard input.`,
		Example: `  keyflow inspect stream.mpd
  keyflow inspect init.mp4 --json
  keyflow inspect AAAAMnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABISEAABAgMEBQYHCAkKCwwNDg8=`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("inspect takes one argument: a file, a box as text, or -"), "keyflow inspect --help shows examples")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.inspect(c.InOrStdin(), args[0], asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) inspect(stdin io.Reader, arg string, asJSON bool) error {
	name, data, err := readInput(stdin, arg)
	if err != nil {
		return err
	}
	found, err := pssh.Find(name, data)
	view := viewOf(found)
	if asJSON {
		if jsonErr := a.printJSON(view); jsonErr != nil {
			return jsonErr
		}
	} else {
		a.printInspected(view)
	}
	if err != nil {
		hint := "give an MPD, an init or media segment, or a pssh box"
		var p *pssh.Error
		if errors.As(err, &p) && p.Hint != "" {
			hint = p.Hint
		}
		return usage(err, hint)
	}
	return nil
}

// readInput returns the bytes that the argument names: standard input, a file, or its own text.
func readInput(stdin io.Reader, arg string) (string, []byte, error) {
	if arg == "-" {
		data, err := readAll(stdin)
		return "standard input", data, err
	}
	f, err := os.Open(arg)
	switch {
	case err == nil:
		defer f.Close()
		data, err := readAll(f)
		return arg, data, err
	case errors.Is(err, os.ErrNotExist) && looksLikeText(arg):
		return "argument", []byte(arg), nil
	default:
		return "", nil, usage(fmt.Errorf("inspect: %w", err), "name a file, or give a box in base64 or hex")
	}
}

// looksLikeText tells a box as text from the name of a file that is not there: boxes have at least 32 bytes.
func looksLikeText(arg string) bool {
	return len(arg) >= 43 && !strings.ContainsAny(arg, `.\`)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInspect+1))
	switch {
	case err != nil:
		return nil, usage(fmt.Errorf("inspect: %w", err), "name a readable file")
	case len(data) > maxInspect:
		return nil, usage(fmt.Errorf("inspect: input is longer than %d bytes", maxInspect), "give the init segment, or the first bytes of the file")
	}
	return data, nil
}

func viewOf(c *pssh.Content) inspected {
	v := inspected{Name: c.Name, Kind: c.Kind, Keys: []inspectedKey{}, Boxes: []inspectedBox{}}
	for _, k := range c.Keys {
		v.Keys = append(v.Keys, inspectedKey{k.KID, k.Scheme, k.Place.Path})
	}
	for _, f := range c.Found {
		v.Boxes = append(v.Boxes, boxView(f))
	}
	for _, n := range c.Notes {
		v.Notes = append(v.Notes, n.String())
	}
	for _, p := range c.Problems {
		v.Problems = append(v.Problems, p.Error())
	}
	return v
}

func boxView(f pssh.Found) inspectedBox {
	b := inspectedBox{
		Place: f.Place.Path, Offset: f.Place.Offset, System: pssh.SystemName(f.Box.SystemID), SystemID: f.Box.SystemID,
		Version: f.Box.Version, Bytes: len(f.Box.Raw), KIDs: f.Box.KIDs, Data: len(f.Box.Data),
	}
	if b.System == "" {
		b.System = "unknown system"
	}
	if f.Box.SystemID != pssh.IDOf(drm.Widevine) || len(f.Box.Data) == 0 {
		return b
	}
	d, err := pssh.ParseWidevineData(f.Box.Data)
	if err != nil {
		b.Problem = err.Error()
		return b
	}
	w := &inspectedWidevine{
		KeyIDs: d.KeyIDs, Provider: d.Provider, ContentID: readable(d.ContentID), TrackType: d.TrackType, Policy: d.Policy,
		CryptoPeriod: d.CryptoPeriodIndex,
	}
	w.Scheme, w.SchemeStated = d.Scheme()
	for _, odd := range d.OddKeyIDs {
		w.OddKeyIDs = append(w.OddKeyIDs, hex.EncodeToString(odd))
	}
	if d.Type != nil {
		w.Type = d.Type.String()
	}
	for _, u := range d.Unknown {
		w.UnknownFields = append(w.UnknownFields, u.Number)
	}
	b.Widevine = w
	return b
}

// readable returns text as it is and other bytes in hexadecimal digits.
func readable(b []byte) string {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return hex.EncodeToString(b)
		}
	}
	return string(b)
}

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
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.out, "  %-18s %s\n", name, value)
		}
	}
	for _, k := range b.KIDs {
		line("KID", k.String())
	}
	if b.Data > 0 {
		line("data", fmt.Sprintf("%d bytes", b.Data))
	}
	line("problem", b.Problem)
	w := b.Widevine
	if w == nil {
		return
	}
	for _, k := range w.KeyIDs {
		line("key_id", k.String())
	}
	for _, odd := range w.OddKeyIDs {
		line("key_id, no KID", odd)
	}
	for _, t := range []struct {
		name string
		text *string
	}{{"provider", w.Provider}, {"track_type", w.TrackType}, {"policy", w.Policy}} {
		if t.text != nil {
			line(t.name, fmt.Sprintf("%q", *t.text))
		}
	}
	line("content_id", w.ContentID)
	scheme := string(w.Scheme)
	if !w.SchemeStated {
		scheme += " (not stated)"
	}
	line("protection_scheme", scheme)
	line("type", w.Type)
	if w.CryptoPeriod != nil {
		line("crypto_period", fmt.Sprint(*w.CryptoPeriod))
	}
	if len(w.UnknownFields) > 0 {
		line("unknown fields", fmt.Sprint(w.UnknownFields))
	}
}
