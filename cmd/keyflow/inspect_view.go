package main

import (
	"encoding/hex"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

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
		Place     string              `json:"place"`
		Offset    int64               `json:"offset"`
		System    string              `json:"system"`
		SystemID  drm.SystemID        `json:"system_id"`
		Version   uint8               `json:"version"`
		Bytes     int                 `json:"bytes"`
		KIDs      []drm.KID           `json:"kids,omitempty"`
		Data      int                 `json:"data_bytes"`
		Widevine  *inspectedWidevine  `json:"widevine,omitempty"`
		PlayReady *inspectedPlayReady `json:"playready,omitempty"`
		Problem   string              `json:"problem,omitempty"`
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
	// inspectedPlayReady has the header's fields, and what else the object holds; without a version there is no header that can
	// be read.
	inspectedPlayReady struct {
		HeaderVersion    string               `json:"header_version,omitempty"`
		KIDs             []inspectedHeaderKID `json:"kids,omitempty"`
		LAURL            string               `json:"la_url,omitempty"`
		LUIURL           string               `json:"lui_url,omitempty"`
		DomainServiceID  string               `json:"ds_id,omitempty"`
		LicenseRequested string               `json:"license_requested,omitempty"` // absent is true
		DecryptorSetup   string               `json:"decryptor_setup,omitempty"`
		CustomAttributes int                  `json:"custom_attributes_bytes,omitempty"` // in UTF-8
		OtherRecords     []inspectedRecord    `json:"other_records,omitempty"`
		Notes            []string             `json:"notes,omitempty"`
	}
	inspectedHeaderKID struct {
		KID      drm.KID `json:"kid"`
		ALGID    string  `json:"algid,omitempty"`
		Checksum []byte  `json:"checksum,omitempty"` // base64, as the header has it
	}
	inspectedRecord struct {
		Type  uint16 `json:"type"`
		Bytes int    `json:"bytes"`
	}
)

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
	if len(f.Box.Data) == 0 {
		return b
	}
	var err error
	switch system, _ := pssh.SystemOf(f.Box.SystemID); system {
	case drm.Widevine:
		b.Widevine, err = widevineView(f.Box)
	case drm.PlayReady:
		b.PlayReady, err = playReadyView(f.Box)
	}
	if err != nil {
		b.Problem = err.Error()
	}
	return b
}

func widevineView(box pssh.Box) (*inspectedWidevine, error) {
	d, err := pssh.ParseWidevineData(box.Data)
	if err != nil {
		return nil, err
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
	return w, nil
}

// playReadyView takes the forms of an object that clients need not accept, too: the notes say so. An object whose header cannot be
// read comes with an error.
func playReadyView(box pssh.Box) (*inspectedPlayReady, error) {
	h, object, err := pssh.ReadPlayReadyBox(box, pssh.Lenient)
	if err != nil && len(object.Records) == 0 {
		return nil, err
	}
	p := &inspectedPlayReady{}
	for _, r := range object.Records {
		if r.Type != pssh.RecordHeader {
			p.OtherRecords = append(p.OtherRecords, inspectedRecord{r.Type, len(r.Value)})
		}
	}
	if err != nil {
		return p, err
	}
	others := p.OtherRecords
	p = headerView(h)
	p.OtherRecords = others
	return p, nil
}

func headerView(h *pssh.WRMHeader) *inspectedPlayReady {
	p := &inspectedPlayReady{
		HeaderVersion: h.Version, LAURL: h.LAURL, LUIURL: h.LUIURL, DomainServiceID: h.DomainServiceID,
		LicenseRequested: h.LicenseRequested, DecryptorSetup: h.DecryptorSetup, CustomAttributes: len(h.CustomAttributes), Notes: h.Notes,
	}
	for _, k := range h.KIDs {
		p.KIDs = append(p.KIDs, inspectedHeaderKID{k.KID, k.Algorithm, k.Checksum})
	}
	return p
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
