package xmltree_test

import (
	"reflect"
	"strings"
	"testing"

	"keyflow/drm/xmltree"
)

// header40 is the header of sheet playready.md §13.2.
const header40 = `<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="4.0.0.0"><DATA><PROTECTINFO><KEYLEN>16</KEYLEN>` +
	`<ALGID>AESCTR</ALGID></PROTECTINFO><KID>bnhyCOf5X0ajok5bDvj6RQ==</KID></DATA></WRMHEADER>`

// signedLA is an LA as sheet playready.md §7.1 and §13.11 draw it, with short cipher values.
const signedLA = `<LA xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols" Id="SignedData" xml:space="preserve"><Version>1</Version><ContentHeader>` + header40 +
	`</ContentHeader><CLIENTINFO><CLIENTVERSION>10.0.16384.10011</CLIENTVERSION></CLIENTINFO><CustomData>a &amp; b &lt;c&gt; "d"</CustomData>` +
	`<LicenseNonce>AAECAwQFBgcICQoLDA0ODw==</LicenseNonce><ClientTime>1700000000</ClientTime>` +
	`<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element">` +
	`<EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"></EncryptionMethod><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">` +
	`<EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="http://schemas.microsoft.com/DRM/2007/03/protocols#ecc256">` +
	`</EncryptionMethod><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><KeyName>WMRMServer</KeyName></KeyInfo><CipherData><CipherValue>AAAA</CipherValue>` +
	`</CipherData></EncryptedKey></KeyInfo><CipherData><CipherValue>BBBB</CipherValue></CipherData></EncryptedData></LA>`

const envelope = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">` +
	`<soap:Body><AcquireLicense xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols"><challenge><Challenge xmlns="http://schemas.microsoft.com/DRM/2007/03/protocols/messages">`

const envelopeEnd = `</Challenge></challenge></AcquireLicense></soap:Body></soap:Envelope>`

var wide = xmltree.Bounds{Bytes: 1 << 20, Elements: 4096, Depth: 32}

// TestExpandedIsRaw: what is signed is in the expanded form already, and a capture that was serialized again gets back to it.
func TestExpandedIsRaw(t *testing.T) {
	t.Parallel()
	again := strings.NewReplacer("></EncryptionMethod>", "/>", `"`, "'").Replace(strings.Replace(signedLA, `"d"`, "\x01", 1))
	again = strings.Replace(again, "\x01", `"d"`, 1)
	if again == signedLA || !strings.Contains(again, "/>") || !strings.Contains(again, "'SignedData'") {
		t.Fatal("the capture is not another serialization")
	}
	for name, c := range map[string]struct{ doc, want string }{
		"header": {header40, header40}, "beyond ASCII": {"<a k=\"é\">\U0001f642</a>", "<a k=\"é\">\U0001f642</a>"}, "LA": {signedLA, signedLA},
		"LA, serialized again": {again, signedLA},
		"LA in an envelope":    {envelope + signedLA + envelopeEnd, signedLA},
		"capture, enveloped":   {envelope + again + envelopeEnd, signedLA},
	} {
		root, err := xmltree.Parse(c.doc, wide)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.HasPrefix(c.doc, "<?xml") {
			root = root.Path("Body", "AcquireLicense", "challenge", "Challenge", "LA")
		}
		if got := root.Expanded(); got != c.want || (root.Raw() == c.want) != strings.Contains(c.doc, c.want) {
			t.Errorf("%s: expanded\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestExpanded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ doc, want string }{
		{`<a/>`, `<a></a>`},
		{"<a \n k = 'x' \t></a >", `<a k="x"></a>`},
		{`<a b="1" a='"'/>`, `<a b="1" a="&quot;"></a>`}, // not sorted: the order is the sender's
		{"<a k=\"&amp;&lt;>&#9;&#10;&#13;\n'\"/>", `<a k="&amp;&lt;>&#x9;&#xA;&#xD; '"></a>`},
		{"<a>&amp;&lt;>\"'&#13;\r\n\t</a>", "<a>&amp;&lt;&gt;\"'&#xD;\n\t</a>"},
		{`<a><![CDATA[<b>]]><!-- c --><c/>&#233;</a>`, `<a>&lt;b&gt;<c></c>é</a>`},
		{`<p:a xmlns:p="u" p:k='1' xml:space="preserve"><p:b/></p:a>`, `<p:a xmlns:p="u" p:k="1" xml:space="preserve"><p:b></p:b></p:a>`},
	} {
		if got := parse(t, c.doc).Expanded(); got != c.want {
			t.Errorf("%q: expanded %q, want %q", c.doc, got, c.want)
		}
	}
	inner := parse(t, `<a xmlns:p="u"><p:b/></a>`).Path("b")
	if got := inner.Expanded(); got != "<p:b></p:b>" {
		t.Errorf("expanded %q: declarations of its ancestors are not the element's", got)
	}
}

// same compares what two trees say, places apart.
func same(a, b *xmltree.Node) bool {
	if a.Name != b.Name || !reflect.DeepEqual(a.Attrs, b.Attrs) || a.Text != b.Text || len(a.Children) != len(b.Children) {
		return false
	}
	for i := range a.Children {
		if !same(a.Children[i], b.Children[i]) {
			return false
		}
	}
	return true
}

func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		`<?xml version="1.0"?><a xmlns="u" k='1'><b>t</b><c/></a>`, `<!DOCTYPE a><a/>`, envelope + signedLA + envelopeEnd, header40,
		"\ufeff<p:a xmlns:p='u' p:k='&#10;\n\"'><!-- c --><p:b/><![CDATA[]]>&#13;\r\n</p:a>", `<a><?b c?></a>`, `<a xml:b="" b=""/>`, `<a k="1"l="2">]]&gt;</a>`,
		`<a xmlns:p="u"><b xmlns:p="v"><p:c/></b><p:c/></a>`,
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		root, err := xmltree.Parse(doc, wide)
		if err != nil {
			return
		}
		expanded := root.Expanded()
		root.Walk(func(n *xmltree.Node) {
			if !strings.Contains(doc, n.Raw()) || !strings.Contains(n.Raw(), n.Inner()) || !strings.HasPrefix(n.Raw(), "<") || !strings.HasSuffix(n.Raw(), ">") {
				t.Errorf("raw %q, inner %q", n.Raw(), n.Inner())
			}
			if len(doc) < 4<<10 && !strings.Contains(expanded, n.Expanded()) {
				t.Errorf("expanded %q is not in %q", n.Expanded(), expanded)
			}
		})
		again, err := xmltree.Parse(expanded, xmltree.Bounds{Bytes: 8 << 20, Elements: wide.Elements, Depth: wide.Depth})
		if err != nil {
			t.Fatalf("%q is not XML: %v", expanded, err)
		}
		if again.Raw() != expanded || again.Expanded() != expanded || !same(root, again) {
			t.Errorf("%q becomes %q, and that becomes %q", doc, expanded, again.Expanded())
		}
	})
}
