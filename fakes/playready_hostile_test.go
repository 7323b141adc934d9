package fakes_test

import (
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"keyflow/drm/playready/soap"
	"keyflow/fakes"
)

// body returns a right challenge with something in place of something else.
func bodyWith(t testing.TB, from, to string) string {
	t.Helper()
	body := prAsk{}.make(t).body
	if !strings.Contains(body, from) {
		t.Fatalf("%q is not in a challenge", from)
	}
	return strings.Replace(body, from, to, 1)
}

// element cuts an element out of a challenge, from its name to its end tag.
func element(t testing.TB, body, name string) string {
	t.Helper()
	from, to := strings.Index(body, "<"+name), strings.Index(body, "</"+name+">")
	if from < 0 || to < from {
		t.Fatalf("no element %s", name)
	}
	return body[from : to+len(name)+3]
}

func utf16Text(text string, order binary.AppendByteOrder) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

const customData = "</CLIENTINFO><CustomData>"

// malformed are bodies that are no challenge (sheet playready.md §11, step 2): rows PR-SEC-04, PR-XML-01 to -03 and -05. Nothing
// may be fetched from the URL.
func malformed(t testing.TB, url string) map[string]string {
	t.Helper()
	good := prAsk{}.make(t).body
	la, signature := element(t, good, "LA"), element(t, good, "Signature")
	other := element(t, prAsk{header: header42(kid1)}.make(t).body, "LA")
	prolog, rest, _ := strings.Cut(good, "?>")
	prolog += "?>"
	operation := element(t, good, "AcquireLicense")
	declared := func(declaration, reference string) string {
		return prolog + declaration + strings.Replace(rest, "</CLIENTINFO>", customData+reference+"</CustomData>", 1)
	}
	var bomb strings.Builder
	bomb.WriteString(`<!DOCTYPE b [<!ENTITY e0 "` + strings.Repeat("x", 1000) + `">`)
	for i, next := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		before := "&e" + string(rune('0'+i)) + ";"
		bomb.WriteString("<!ENTITY e" + next + ` "` + strings.Repeat(before, 10) + `">`)
	}
	bomb.WriteString("]>")
	custom := func(id string) string {
		return strings.Replace(good, "</DATA>", `<CUSTOMATTRIBUTES xmlns=""><A `+id+`="SignedData"></A></CUSTOMATTRIBUTES></DATA>`, 1)
	}
	m := map[string]string{
		"nothing":              "",
		"blanks":               " \n\t ",
		"no XML":               "what's this?",
		"JSON":                 `{"challenge":"x"}`,
		"another document":     "<html></html>",
		"no envelope":          operation,
		"empty body":           `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body></soap:Body></soap:Envelope>`,
		"SOAP 1.2":             strings.Replace(good, "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope", 1),
		"another operation":    strings.NewReplacer("<AcquireLicense ", "<JoinDomain ", "</AcquireLicense>", "</JoinDomain>").Replace(good),
		"NUL":                  bodyWith(t, "<CLIENTINFO>", "\x00<CLIENTINFO>"),
		"control character":    bodyWith(t, "10.0.16384", "10.\x01"),
		"bad UTF-8":            bodyWith(t, "10.0.16384", "10.\xff\xfe"),
		"end tags crossed":     bodyWith(t, "</CLIENTVERSION></CLIENTINFO>", "</CLIENTINFO></CLIENTVERSION>"),
		"undeclared prefix":    bodyWith(t, "<CLIENTINFO>", "<x:y></x:y><CLIENTINFO>"),
		"attribute twice":      bodyWith(t, `Id="SignedData"`, `Id="SignedData" Id="SignedData"`),
		"second root":          good + "<x></x>",
		"text behind":          good + "x",
		"undeclared entity":    bodyWith(t, "</CLIENTINFO>", customData+"&nbsp;</CustomData>"),
		"instruction":          bodyWith(t, "<CLIENTINFO>", "<?php echo 1 ?><CLIENTINFO>"),
		"UTF-16LE":             utf16Text(good, binary.LittleEndian),
		"UTF-16BE":             utf16Text(good, binary.BigEndian),
		"UTF-16 declared":      bodyWith(t, `encoding="utf-8"`, `encoding="utf-16"`),
		"Latin-1 declared":     bodyWith(t, `encoding="utf-8"`, `encoding="iso-8859-1"`),
		"document type":        prolog + "<!DOCTYPE x>" + rest,
		"internal entity":      declared(`<!DOCTYPE x [<!ENTITY e "kept">]>`, "&e;"),
		"entity of a URL":      declared(`<!DOCTYPE x [<!ENTITY e SYSTEM "`+url+`">]>`, "&e;"),
		"entity of a file":     declared(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>`, "&e;"),
		"parameter entity":     prolog + `<!DOCTYPE x [<!ENTITY % e SYSTEM "` + url + `"> %e;]>` + rest,
		"external subset":      prolog + `<!DOCTYPE x SYSTEM "` + url + `">` + rest,
		"nested bomb":          declared(bomb.String(), "&e9;"),
		"quadratic bomb":       declared(`<!DOCTYPE x [<!ENTITY e "`+strings.Repeat("y", 50<<10)+`">]>`, strings.Repeat("&e;", 30<<10)),
		"60,000 levels":        bodyWith(t, "<CLIENTINFO>", strings.Repeat("<a>", 35_000)+strings.Repeat("</a>", 35_000)+"<CLIENTINFO>"),
		"levels without end":   strings.Repeat("<a>", 80_000),
		"60,000 elements":      bodyWith(t, "<CLIENTINFO>", strings.Repeat("<a/>", 60_000)+"<CLIENTINFO>"),
		"second LA behind":     strings.Replace(good, la, la+other, 1),
		"second LA before":     strings.Replace(good, la, other+la, 1),
		"LA in the LA":         bodyWith(t, "<CLIENTINFO>", "<X>"+strings.Replace(other, `Id="SignedData"`, "", 1)+"</X><CLIENTINFO>"),
		"LA kept in signature": strings.Replace(strings.Replace(good, la, strings.Replace(other, `Id="SignedData"`, "", 1), 1), "</Signature>", "<Object>"+la+"</Object></Signature>", 1),
		"second Signature":     strings.Replace(good, signature, signature+signature, 1),
		"Signature in the LA":  bodyWith(t, "<CLIENTINFO>", signature+"<CLIENTINFO>"),
		"no Signature":         strings.Replace(good, signature, "", 1),
		"no LA":                strings.Replace(good, la, "", 1),
		"Id moved":             strings.Replace(bodyWith(t, ` Id="SignedData"`, ""), "<CLIENTINFO>", `<CLIENTINFO Id="SignedData">`, 1),
		"no Id":                bodyWith(t, ` Id="SignedData"`, ""),
		"another Id":           bodyWith(t, ` Id="SignedData"`, ` Id="Other"`),
		"Id twice":             custom("Id"),
		"ID twice":             custom("ID"),
		"xml:id twice":         custom("xml:id"),
		"empty reference":      bodyWith(t, `URI="#SignedData"`, `URI=""`),
		"another reference":    bodyWith(t, `URI="#SignedData"`, `URI="#Other"`),
		"no reference":         bodyWith(t, ` URI="#SignedData"`, ``),
		"LA of no namespace":   bodyWith(t, `<LA xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"`, `<LA xmlns=""`),
		"digest not base64":    bodyWith(t, "<DigestValue>", "<DigestValue>?"),
		"signature not base64": bodyWith(t, "<SignatureValue>", "<SignatureValue>?"),
		"no key element":       strings.Replace(good, element(t, signature, "KeyValue"), "", 1),
		"header as text":       bodyWith(t, "<ContentHeader>", "<ContentHeader>x"),
		"two headers":          bodyWith(t, "<ContentHeader>", "<ContentHeader><X></X>"),
		"no header":            strings.Replace(good, element(t, good, "WRMHEADER"), "", 1),
		"no ContentHeader":     strings.Replace(good, element(t, good, "ContentHeader"), "", 1),
		"no encrypted data":    strings.Replace(good, element(t, good, "EncryptedData"), "", 1),
		"two nonces":           bodyWith(t, "<LicenseNonce>", "<LicenseNonce></LicenseNonce><LicenseNonce>"),
		"data not base64":      bodyWith(t, "<CipherValue>", "<CipherValue>?"),
	}
	for i := range 16 {
		m["cut at "+string(rune('a'+i))] = good[:len(good)*i/16]
	}
	return m
}

// TestPlayReadyMalformed has every one refused at once, with one text, and a server that is as well as before.
func TestPlayReadyMalformed(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	listener := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	t.Cleanup(listener.Close)
	s := startPlayReady(t, fakes.Options{MaxBody: 2 << 20})
	want := ""
	for name, body := range malformed(t, listener.URL) {
		r := prAsk{}.make(t)
		r.body = body
		began := time.Now()
		answer := r.post(t, s)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: answered after %v", name, took)
		}
		if got := lastRecord(t, s); got.Reason != "malformed" || got.RequestID != "" || len(got.KIDs) > 0 || got.Operation != "" {
			t.Errorf("%s: %+v", name, got)
		}
		checkFault(t, s, answer, prInvalid, "malformed")
		if want == "" {
			want = string(answer.body)
		}
		if string(answer.body) != want {
			t.Errorf("%s: %s", name, answer.body)
		}
	}
	if n := fetched.Load(); n > 0 {
		t.Errorf("the server fetched %d things", n)
	}
	acquire(t, s, prAsk{})
}

// TestPlayReadyWrapping has a second LA, with other content, where the challenge isn't: what is signed is what is licensed.
func TestPlayReadyWrapping(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	r := prAsk{header: header42(kid0)}.make(t)
	other := element(t, prAsk{header: header42(kid1)}.make(t).body, "LA")
	r.body = strings.Replace(r.body, "<soap:Body>", "<soap:Header>"+other+"</soap:Header><soap:Body>", 1)
	o, err := openPlayReady(r, r.post(t, s).body)
	if err == nil && !sameKIDs(o.kids(), kid0) || err != nil && lastRecord(t, s).Reason != "malformed" {
		t.Errorf("licenses for %v, %v, reason %q", o.kids(), err, lastRecord(t, s).Reason)
	}
}

// TestPlayReadyBounds has bodies that are large in one way and costs memory in the size of the body, not more.
func TestPlayReadyBounds(t *testing.T) {
	s := startPlayReady(t, fakes.Options{MaxBody: 64 << 20})
	good := prAsk{}.make(t)
	var attributes strings.Builder
	for i := range 100_000 {
		attributes.WriteString(" a")
		attributes.WriteString(strings.Repeat("b", i%5))
		attributes.WriteString(`=""`)
	}
	for name, body := range map[string]string{
		"100,000 attributes":  strings.Replace(good.body, "<CLIENTINFO>", "<CLIENTINFO"+attributes.String()+">", 1),
		"200,000 levels":      strings.Repeat("<a>", 200_000),
		"a name of 1 MB":      "<" + strings.Repeat("a", 1_000_000),
		"a value of 1 MB":     `<a b="` + strings.Repeat("c", 1_000_000),
		"a comment of 1 MB":   "<!--" + strings.Repeat("-a", 500_000),
		"16 MiB":              strings.Repeat(" ", 16<<20) + good.body,
		"100,000 namespaces":  "<a " + strings.Repeat(`xmlns:a="b" `, 80_000) + "></a>",
		"100,000 references":  strings.Replace(good.body, "10.0.16384.10011", strings.Repeat("&amp;", 200_000)+"<", 1),
		"64 KiB of a nonce":   strings.Replace(good.body, "<LicenseNonce>", "<LicenseNonce>"+strings.Repeat("AAAA", 16<<10), 1),
		"1,000 KIDs":          strings.Replace(good.body, "<KIDS>", "<KIDS>"+strings.Repeat(kidElement("AESCTR", "", unknown), 1000), 1),
		"revocation lists":    strings.Replace(good.body, "<LicenseNonce>", "<RevocationLists>"+strings.Repeat("<RevListInfo></RevListInfo>", 8000)+"</RevocationLists><LicenseNonce>", 1),
		"sections of no data": strings.Replace(good.body, "10.0.16384", strings.Repeat("<![CDATA[]]>", 80_000), 1),
	} {
		r := good
		r.body = body
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		answer := r.direct(s)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		if took > 2*time.Second || after.TotalAlloc-before.TotalAlloc > uint64(32<<20+8*len(body)) {
			t.Errorf("%s: %v, %d KiB for %d KiB", name, took, (after.TotalAlloc-before.TotalAlloc)>>10, len(body)>>10)
		}
		parsed, err := soap.ParseAnswer(answer.body)
		if err != nil || parsed.Fault == nil || parsed.Fault.Code != prInvalid || answer.status != http.StatusInternalServerError {
			t.Errorf("%s: status %d, %v", name, answer.status, err)
		}
		if got := lastRecord(t, s); len(got.RequestID) > 128 || len(got.KIDs) > 128 || len(got.Granted) > 0 {
			t.Errorf("%s: the history keeps %d characters and %d KIDs", name, len(got.RequestID), len(got.KIDs))
		}
	}
	acquire(t, s, prAsk{})
}
