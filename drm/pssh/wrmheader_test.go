package pssh_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyflow/drm/pssh"
)

const (
	valueA   = `VALUE="PV1LM/VEVk+kEOB8qqcWDg=="`
	valueB   = `VALUE="q5HgCTj40kGeNVhTH9Gexw=="`
	aesCTR   = `ALGID="AESCTR" `
	checksum = `CHECKSUM="w+OZVr8vzrQ=" `
	guid40   = `<KID>q5HgCTj40kGeNVhTH9Gexw==</KID>`
	info40   = `<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO>`
)

// headerOf returns a header of the version, such as 4.3, with the children of DATA.
func headerOf(version, children string) string {
	return `<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="` + version + `.0.0"><DATA>` + children + `</DATA></WRMHEADER>`
}

// kidsElement returns PROTECTINFO with the KIDs of the versions 4.2 and 4.3.
func kidsElement(attrs ...string) string {
	var b strings.Builder
	for _, a := range attrs {
		b.WriteString("<KID " + a + "></KID>")
	}
	return "<PROTECTINFO><KIDS>" + b.String() + "</KIDS></PROTECTINFO>"
}

func TestHeadersRefused(t *testing.T) {
	t.Parallel()
	many := make([]string, 129)
	for i := range many {
		many[i] = aesCTR + valueA
	}
	for name, c := range map[string]struct{ text, want string }{
		"doctype":               {`<!DOCTYPE x [<!ENTITY e "x">]>` + headerOf("4.3", ""), "no document type declaration"},
		"newer version":         {headerOf("4.9", ""), "version 4.0.0.0"},
		"no version":            {strings.Replace(headerOf("4.3", ""), ` version="4.3.0.0"`, "", 1), `version 4.0.0.0, 4.1.0.0, 4.2.0.0, 4.3.0.0, seen ""`},
		"other namespace":       {strings.Replace(headerOf("4.3", ""), "2007", "2008", 1), "the root element"},
		"other root":            {strings.ReplaceAll(headerOf("4.3", ""), "WRMHEADER", "WrmHeader"), "the root element"},
		"cut":                   {strings.TrimSuffix(headerOf("4.3", ""), "</WRMHEADER>"), "well-formed XML"},
		"two roots":             {headerOf("4.3", "") + headerOf("4.3", ""), "one root"},
		"text after":            {headerOf("4.3", "") + "x", "nothing outside"},
		"two declarations":      {`<?xml version="1.0"?><?xml version="1.0"?>` + headerOf("4.3", ""), "the root element WRMHEADER"},
		"stylesheet":            {`<?xml-stylesheet href="x"?>` + headerOf("4.3", ""), "the root element WRMHEADER"},
		"two byte order marks":  {"\ufeff\ufeff" + headerOf("4.3", ""), "the root element WRMHEADER"},
		"undeclared prefix":     {headerOf("4.3", "<p:x></p:x>"), "a declared prefix"},
		"deep":                  {headerOf("4.3", strings.Repeat("<a>", 50)+strings.Repeat("</a>", 50)), "levels"},
		"empty":                 {"", "an element, seen none"},
		"two DATA":              {headerOf("4.3", "</DATA><DATA>"), "one element DATA"},
		"two PROTECTINFO":       {headerOf("4.3", "<PROTECTINFO></PROTECTINFO><PROTECTINFO></PROTECTINFO>"), "one element PROTECTINFO"},
		"two KIDS":              {headerOf("4.3", "<PROTECTINFO><KIDS></KIDS><KIDS></KIDS></PROTECTINFO>"), "one element KIDS"},
		"empty KIDS":            {headerOf("4.2", kidsElement()), "one or more KID elements"},
		"checksum with CBC":     {headerOf("4.3", kidsElement(`ALGID="AESCBC" `+checksum+valueA)), "no CHECKSUM with AESCBC"},
		"empty checksum":        {headerOf("4.3", kidsElement(`ALGID="AESCBC" CHECKSUM="" `+valueA)), `a CHECKSUM, seen ""`},
		"checksum of 7 bytes":   {headerOf("4.3", kidsElement(aesCTR+`CHECKSUM="w+OZVr8vzg==" `+valueA)), "a CHECKSUM of 8 bytes, seen 7 bytes"},
		"COCKTAIL, 8 bytes":     {headerOf("4.2", kidsElement(`ALGID="COCKTAIL" `+checksum+valueA)), "a CHECKSUM of 7 bytes, seen 8 bytes"},
		"checksum, no base64":   {headerOf("4.3", kidsElement(aesCTR+`CHECKSUM="w+OZVr8vzrQ" `+valueA)), "a CHECKSUM in base64"},
		"no value":              {headerOf("4.3", kidsElement(aesCTR)), `a KID, base64 of 16 bytes, seen ""`},
		"KID of 15 bytes":       {headerOf("4.3", kidsElement(aesCTR+`VALUE="PV1LM/VEVk+kEOB8qqcW"`)), "a KID, base64 of 16 bytes"},
		"algorithm":             {headerOf("4.3", kidsElement(`ALGID="ROT13" `+valueA)), "an ALGID of version 4.3"},
		"empty algorithm":       {headerOf("4.3", kidsElement(`ALGID="" `+valueA)), `an ALGID, seen ""`},
		"algorithm, lower case": {headerOf("4.3", kidsElement(`ALGID="aesctr" `+valueA)), "an ALGID of version 4.3"},
		"CBC in 4.2":            {headerOf("4.2", kidsElement(`ALGID="AESCBC" `+valueA)), "an ALGID of version 4.2"},
		"no algorithm, 4.2":     {headerOf("4.2", kidsElement(valueA)), "an ALGID, which only version 4.3.0.0 may leave out"},
		"no algorithm, 4.1":     {headerOf("4.1", `<PROTECTINFO><KID `+valueA+`></KID></PROTECTINFO>`), "an ALGID, which only"},
		"mixed algorithms":      {headerOf("4.3", kidsElement(aesCTR+valueA, `ALGID="AESCBC" `+valueB)), "one ALGID for all KIDs"},
		"ALGID partly missing":  {headerOf("4.3", kidsElement(valueA, aesCTR+valueB)), "one ALGID for all KIDs"},
		"content in KID":        {headerOf("4.3", `<PROTECTINFO><KIDS><KID `+valueA+`>x</KID></KIDS></PROTECTINFO>`), "an empty element KID"},
		"element in KID":        {headerOf("4.3", `<PROTECTINFO><KIDS><KID `+valueA+`><a></a></KID></KIDS></PROTECTINFO>`), "an empty element KID"},
		"white space in KID":    {headerOf("4.3", `<PROTECTINFO><KIDS><KID `+valueA+"> </KID></KIDS></PROTECTINFO>"), "an empty element KID"},
		"too many KIDs":         {headerOf("4.2", kidsElement(many...)), "at most 128 KIDs"},
		"two KIDs in 4.1":       {headerOf("4.1", `<PROTECTINFO><KID `+aesCTR+valueA+`></KID><KID `+aesCTR+valueB+`></KID></PROTECTINFO>`), "at most one KID"},
		"empty LA_URL":          {headerOf("4.3", `<LA_URL></LA_URL>`), "content in LA_URL"},
		"blank LUI_URL":         {headerOf("4.1", `<LUI_URL> </LUI_URL>`), "content in LUI_URL"},
		"empty DS_ID":           {headerOf("4.2", `<DS_ID/>`), "content in DS_ID"},
		"empty attributes":      {headerOf("4.1", `<CUSTOMATTRIBUTES></CUSTOMATTRIBUTES>`), "content in CUSTOMATTRIBUTES"},
		"two LA_URLs":           {headerOf("4.3", `<LA_URL>https://a.example</LA_URL><LA_URL>https://b.example</LA_URL>`), "one element LA_URL"},
		"two CUSTOMATTRIBUTES":  {headerOf("4.3", `<CUSTOMATTRIBUTES>a</CUSTOMATTRIBUTES><CUSTOMATTRIBUTES xmlns="">b</CUSTOMATTRIBUTES>`), "one element CUSTOMATTRIBUTES"},
		"element in LA_URL":     {headerOf("4.3", `<LA_URL><b>x</b>y</LA_URL>`), "text alone in LA_URL"},
		"DECRYPTORSETUP":        {headerOf("4.1", `<DECRYPTORSETUP>ALWAYS</DECRYPTORSETUP>`), "DECRYPTORSETUP ONDEMAND"},
		"empty DECRYPTORSETUP":  {headerOf("4.2", `<DECRYPTORSETUP></DECRYPTORSETUP>`), "content in DECRYPTORSETUP"},
		"LICENSEREQUESTED":      {headerOf("4.3", `<PROTECTINFO LICENSEREQUESTED="yes"></PROTECTINFO>`), "LICENSEREQUESTED true or false"},
		"LICENSEREQUESTED, ''":  {headerOf("4.3", `<PROTECTINFO LICENSEREQUESTED=""></PROTECTINFO>`), "LICENSEREQUESTED true or false"},
		"4.0 without DATA":      {strings.NewReplacer("<DATA>", "", "</DATA>", "").Replace(headerOf("4.0", "")), "an element DATA"},
		"4.0, no PROTECTINFO":   {headerOf("4.0", guid40), "an element PROTECTINFO"},
		"4.0 without KID":       {headerOf("4.0", info40), "an element KID"},
		"4.0, two KIDs":         {headerOf("4.0", info40+guid40+guid40), "one element KID"},
		"4.0, KID of 15 bytes":  {headerOf("4.0", info40+`<KID>PV1LM/VEVk+kEOB8qqcW</KID>`), "a KID, base64 of 16 bytes"},
		"4.0 without ALGID":     {headerOf("4.0", strings.Replace(info40, "<ALGID>AESCTR</ALGID>", "", 1)+guid40), "an ALGID, which only"},
		"4.0 without KEYLEN":    {headerOf("4.0", strings.Replace(info40, "<KEYLEN>16</KEYLEN>", "", 1)+guid40), "KEYLEN 16 with ALGID AESCTR"},
		"4.0, KEYLEN":           {headerOf("4.0", strings.Replace(info40, "16", "7", 1)+guid40), "KEYLEN 16 with ALGID AESCTR"},
		"4.0, COCKTAIL":         {headerOf("4.0", strings.Replace(info40, "AESCTR", "COCKTAIL", 1)+guid40), "KEYLEN 7 with ALGID COCKTAIL"},
		"4.0, two CHECKSUMs":    {headerOf("4.0", info40+guid40+"<CHECKSUM>w+OZVr8vzrQ=</CHECKSUM><CHECKSUM>w+OZVr8vzrQ=</CHECKSUM>"), "one element CHECKSUM"},
	} {
		for form, parse := range map[string]func() (*pssh.WRMHeader, error){
			"UTF-16": func() (*pssh.WRMHeader, error) { return pssh.ParseWRMHeader(utf16le(c.text)) },
			"UTF-8":  func() (*pssh.WRMHeader, error) { return pssh.ParseWRMHeaderXML(c.text) },
		} {
			h, err := parse()
			var refused *pssh.Error
			if h != nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || refused.Where != "WRMHEADER" {
				t.Errorf("%s, %s: %v, want %q", name, form, err, c.want)
			}
		}
	}
	for name, text := range map[string][]byte{
		"an odd number of bytes": {'<', 0, 0}, "half a pair": cat(utf16le("<a>"), []byte{0x3d, 0xd8}, utf16le("</a>")), "half a pair at the end": {0x3d, 0xd8},
		"the other half": {0x42, 0xde, '<', 0}, "too long": make([]byte, 1<<16+2),
	} {
		if h, err := pssh.ParseWRMHeader(text); h != nil || err == nil || !strings.Contains(err.Error(), "UTF-16") && name != "too long" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHeadersTaken reads what is odd, or only looks odd, and the notes on it.
func TestHeadersTaken(t *testing.T) {
	t.Parallel()
	const url = "<LA_URL>https://license.example/?a=1&amp;b=2</LA_URL>"
	kid := kidsElement(aesCTR + valueA)
	for name, c := range map[string]struct {
		text  string
		kids  int
		notes string // their beginnings
	}{
		"no DATA":              {strings.NewReplacer("<DATA>", "", "</DATA>", "").Replace(headerOf("4.1", "")), 0, ""},
		"no PROTECTINFO":       {headerOf("4.2", ""), 0, ""},
		"empty PROTECTINFO":    {headerOf("4.1", "<PROTECTINFO></PROTECTINFO>"), 0, ""},
		"no ALGID":             {headerOf("4.3", kidsElement(valueA, valueB)), 2, ""},
		"checksum, no ALGID":   {headerOf("4.3", kidsElement(checksum+valueA)), 1, ""},
		"COCKTAIL":             {headerOf("4.2", kidsElement(`ALGID="COCKTAIL" CHECKSUM="XQp3VdZaaw==" `+valueA)), 1, ""},
		"4.0, COCKTAIL":        {headerOf("4.0", `<PROTECTINFO><KEYLEN>7</KEYLEN><ALGID>COCKTAIL</ALGID></PROTECTINFO>`+guid40+"<CHECKSUM>XQp3VdZaaw==</CHECKSUM>"), 1, ""},
		"4.0, empty":           {headerOf("4.0", info40+guid40+"<CHECKSUM></CHECKSUM><LA_URL></LA_URL><CUSTOMATTRIBUTES></CUSTOMATTRIBUTES>"), 1, ""},
		"4.0, order":           {headerOf("4.0", "<LA_URL>https://a.example</LA_URL>"+guid40+info40), 1, ""},
		"4.0, wrapped":         {headerOf("4.0", info40+"<KID>\n q5HgCTj40kGe\n NVhTH9Gexw==</KID>"), 1, ""},
		"unknown":              {headerOf("4.3", kid+`<NEW a="1">x</NEW><o:LA_URL xmlns:o="urn:o"></o:LA_URL>`), 1, ""},
		"custom, undeclared":   {headerOf("4.1", `<CUSTOMATTRIBUTES xmlns=""><a>1</a></CUSTOMATTRIBUTES>`), 0, ""},
		"marks in a value":     {headerOf("4.3", kid+`<CUSTOMATTRIBUTES><a b="/>" c="x='y'>" d="&lt;?"></a></CUSTOMATTRIBUTES>`), 1, ""},
		"marks in text":        {headerOf("4.3", kid+`<LA_URL>https://a.example/?q='/&gt;</LA_URL>`), 1, ""},
		"KID in 4.2":           {headerOf("4.2", "<PROTECTINFO><KID "+valueA+"></KID></PROTECTINFO>"), 0, "KID in PROTECTINFO is not of version 4.2.0.0"},
		"KIDS in 4.1":          {headerOf("4.1", kid), 0, "KIDS in PROTECTINFO is not of version 4.1.0.0"},
		"KIDS in 4.0":          {headerOf("4.0", strings.Replace(info40, "</P", "<KIDS></KIDS></P", 1)+guid40), 1, "KIDS in PROTECTINFO is not of version"},
		"4.0's in 4.3":         {headerOf("4.3", info40+guid40+"<CHECKSUM></CHECKSUM>"), 0, "KID in DATA|CHECKSUM in DATA|KEYLEN in PROTECTINFO|ALGID in PROTECTINFO"},
		"DECRYPTORSETUP, 4.0":  {headerOf("4.0", info40+guid40+"<DECRYPTORSETUP>x</DECRYPTORSETUP>"), 1, "DECRYPTORSETUP in DATA is not of version"},
		"requested, 4.2":       {headerOf("4.2", strings.Replace(kid, "INFO>", `INFO LICENSEREQUESTED="x">`, 1)), 1, "LICENSEREQUESTED is not of version 4.2"},
		"requested, 4.0":       {headerOf("4.0", strings.Replace(info40, "INFO>", `INFO LICENSEREQUESTED="x">`, 1)+guid40), 1, "LICENSEREQUESTED is not of version 4.0"},
		"relative URLs":        {headerOf("4.3", "<LA_URL>/license</LA_URL><LUI_URL>mailto:a@b.example</LUI_URL>"), 0, `LA_URL "/license" is no absolute URL|LUI_URL`},
		"DS_ID":                {headerOf("4.3", "<DS_ID>AAAA</DS_ID>"), 0, "DS_ID \"AAAA\" is not base64 of a GUID"},
		"the same KID":         {headerOf("4.2", kidsElement(aesCTR+valueA, aesCTR+valueA)), 2, "KID 334b5d3d-44f5-4f56-a410-e07caaa7160e is there more than once"},
		"self-closing":         {headerOf("4.3", strings.ReplaceAll(kid, "></KID>", "/>")), 1, "an element without an end tag"},
		"self-closing, custom": {headerOf("4.3", "<CUSTOMATTRIBUTES><a /></CUSTOMATTRIBUTES>"), 0, "an element without an end tag"},
		"single quotes":        {headerOf("4.3", strings.ReplaceAll(kid, `"`, "'")), 1, "an attribute in single quotes"},
		"single quotes behind": {headerOf("4.3", `<NEW a="it's" b='1'></NEW>`), 0, "an attribute in single quotes"},
		"raw >":                {headerOf("4.3", "<LA_URL>https://a.example/>b</LA_URL>"), 0, "a > that is not escaped"},
		"CR":                   {headerOf("4.3", url+"\r\n"), 0, "a carriage return"},
		"CR in a value":        {headerOf("4.3", "<NEW a=\"\r\"></NEW>"), 0, "a carriage return"},
		"comment":              {headerOf("4.3", "<!-- /> -->"), 0, "a comment"},
		"CDATA":                {headerOf("4.3", "<LA_URL><![CDATA[https://a.example/?a>b]]></LA_URL>"), 0, "a CDATA section"},
		"order":                {headerOf("4.3", kidsElement(valueA+" "+aesCTR)), 1, "attributes that are not in order"},
		"declaration behind":   {headerOf("4.3", `<NEW a="1" xmlns:b="urn:b"></NEW>`), 0, "attributes that are not in order"},
		"space in a tag":       {headerOf("4.3", url+"<NEW ></NEW >"), 0, "white space in tags"},
		"other escapes":        {headerOf("4.3", "<LA_URL>https://a.example/?a=&quot;</LA_URL>"), 0, "white space in tags, or characters escaped"},
		"prolog":               {"\ufeff" + `<?xml version="1.0" encoding="utf-16"?>` + "\n" + headerOf("4.3", kid), 1, "a byte order mark|an XML declaration"},
		"space around":         {" " + headerOf("4.3", kid) + "\n", 1, "white space or comments around"},
	} {
		for form, parse := range map[string]func() (*pssh.WRMHeader, error){
			"UTF-16": func() (*pssh.WRMHeader, error) { return pssh.ParseWRMHeader(utf16le(c.text)) },
			"UTF-8":  func() (*pssh.WRMHeader, error) { return pssh.ParseWRMHeaderXML(c.text) },
		} {
			h, err := parse()
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			var want []string
			if c.notes != "" {
				want = strings.Split(c.notes, "|")
			}
			ok := len(want) == len(h.Notes) && len(h.KIDs) == c.kids && strings.HasPrefix(h.XML, "<WRMHEADER ") && strings.HasSuffix(h.XML, "</WRMHEADER>")
			for i := 0; ok && i < len(want); i++ {
				ok = strings.HasPrefix(h.Notes[i], want[i])
			}
			if !ok {
				t.Errorf("%s, %s: %d KIDs, notes %q, want %d, %q", name, form, len(h.KIDs), h.Notes, c.kids, want)
			}
		}
	}
}

// TestHeaderFields reads all fields of a header of sheet playready.md §4.
func TestHeaderFields(t *testing.T) {
	t.Parallel()
	text := headerOf("4.3", `<PROTECTINFO LICENSEREQUESTED="false"><KIDS><KID `+aesCTR+checksum+valueB+`></KID></KIDS></PROTECTINFO><LA_URL> https://a.example/?a=1&amp;b=2 </LA_URL>`+
		`<LUI_URL>https://a.example/é</LUI_URL><DS_ID>AH+03juKbUGbHl1V/QIwRA==</DS_ID><DECRYPTORSETUP>ONDEMAND</DECRYPTORSETUP><CUSTOMATTRIBUTES xmlns="">`+
		`<a>&lt;1</a></CUSTOMATTRIBUTES>`)
	h, err := pssh.ParseWRMHeaderXML(text)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s|%s %s %x|%s|%s|%s|%s|%s|%s", h.Version, h.KIDs[0].KID, h.KIDs[0].Algorithm, h.KIDs[0].Checksum, h.LAURL, h.LUIURL, h.DomainServiceID,
		h.DecryptorSetup, h.LicenseRequested, h.CustomAttributes)
	const want = "4.3.0.0|09e091ab-f838-41d2-9e35-58531fd19ec7 AESCTR c3e39956bf2fceb4|https://a.example/?a=1&b=2|https://a.example/é|AH+03juKbUGbHl1V/QIwRA==|ONDEMAND|false|<a>&lt;1</a>"
	if got != want || h.XML != text || len(h.Notes) != 0 {
		t.Errorf("%s\nwant\n%s\nnotes %v", got, want, h.Notes)
	}
}

// TestBuildRefused has fields that a header cannot state.
func TestBuildRefused(t *testing.T) {
	t.Parallel()
	kid := pssh.HeaderKID{KID: kidOf(t, kidA), Algorithm: pssh.AlgorithmAESCTR}
	one, two := []pssh.HeaderKID{kid}, []pssh.HeaderKID{kid, {KID: kidOf(t, kidB), Algorithm: pssh.AlgorithmAESCTR}}
	for name, h := range map[string]pssh.WRMHeader{
		"no version":               {KIDs: one},
		"a version with markup":    {Version: `4.3.0.0" x="`, KIDs: one},
		"4.0 without KID":          {Version: pssh.Header40},
		"4.0, two KIDs":            {Version: pssh.Header40, KIDs: two},
		"4.1, two KIDs":            {Version: pssh.Header41, KIDs: two},
		"4.0, DECRYPTORSETUP":      {Version: pssh.Header40, KIDs: one, DecryptorSetup: "ONDEMAND"},
		"DECRYPTORSETUP":           {Version: pssh.Header43, KIDs: one, DecryptorSetup: "x"},
		"4.2, requested":           {Version: pssh.Header42, KIDs: one, LicenseRequested: "true"},
		"requested":                {Version: pssh.Header43, KIDs: one, LicenseRequested: "maybe"},
		"4.2, no algorithm":        {Version: pssh.Header42, KIDs: []pssh.HeaderKID{{KID: kid.KID}}},
		"checksum too short":       {Version: pssh.Header42, KIDs: []pssh.HeaderKID{{KID: kid.KID, Algorithm: pssh.AlgorithmAESCTR, Checksum: []byte{1}}}},
		"empty checksum":           {Version: pssh.Header42, KIDs: []pssh.HeaderKID{{KID: kid.KID, Algorithm: pssh.AlgorithmAESCTR, Checksum: []byte{}}}},
		"white space around":       {Version: pssh.Header43, LAURL: " https://a.example "},
		"NUL":                      {Version: pssh.Header43, LAURL: "https://a.example/\x00"},
		"no UTF-8":                 {Version: pssh.Header43, LAURL: "https://a.example/\xff"},
		"attributes, no XML":       {Version: pssh.Header43, CustomAttributes: "<a>"},
		"attributes with siblings": {Version: pssh.Header43, CustomAttributes: "a</CUSTOMATTRIBUTES><LA_URL>x</LA_URL><CUSTOMATTRIBUTES>b"},
		"attributes with cousins":  {Version: pssh.Header43, CustomAttributes: "a</CUSTOMATTRIBUTES><LA_URL>x</LA_URL><NEW>b</NEW><o:CUSTOMATTRIBUTES xmlns:o='u'>"},
		"too long":                 {Version: pssh.Header43, LAURL: "https://a.example/" + strings.Repeat("x", 1<<15)},
	} {
		var refused *pssh.Error
		if _, err := pssh.PlayReadyBox(h); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, h := range []pssh.WRMHeader{{Version: pssh.Header41}, {Version: pssh.Header42}, {Version: pssh.Header43, LicenseRequested: "true"}} {
		if text, err := h.Build(); err != nil || strings.Contains(string(text), "K\x00I\x00D\x00") {
			t.Errorf("version %s without KIDs: %v", h.Version, err)
		}
	}
	quoted := pssh.WRMHeader{Version: pssh.Header43, LAURL: `https://a.example/?a="1">&b='2'`}
	text, err := quoted.Build()
	if err != nil {
		t.Fatal(err)
	}
	if h, err := pssh.ParseWRMHeader(text); err != nil || h.LAURL != quoted.LAURL || len(h.Notes) != 0 {
		t.Errorf("%+v, %v: what is built must be canonical", h, err)
	}
}
