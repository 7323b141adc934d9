package soap

import (
	"strings"

	"keyflow/drm/secret"
	"keyflow/drm/xmltree"
)

// ServerKeyName is how a challenge names the key that its session key is encrypted for (sheet §7.3).
const ServerKeyName = "WMRMServer"

// LA is what a license challenge says and signs. Its fields are texts, so that a challenge that is wrong on purpose can be
// written, and one that is wrong can be read: an empty one leaves its element out.
type LA struct {
	Version         string // of the protocol, decimal: 1, 4 or 5 (sheet §7.2)
	Header          string // WRMHEADER in UTF-8, as found in the PlayReady object
	ClientVersion   string // four decimal numbers with dots
	RevocationLists []RevocationList
	CustomData      secret.Bytes // text for the service, often a token
	Nonce           string       // base64 of 16 bytes
	ClientTime      string       // Unix seconds, decimal
	KeyName         string
	EncryptedKey    []byte // 128 bytes: the session point, encrypted for the server
	EncryptedData   []byte // IV || AES-128-CBC of what [ClientData] writes
}

// RevocationList names a revocation list that the client has.
type RevocationList struct {
	ID      string // base64 of a GUID in little-endian order
	Version string // decimal
}

// Text returns the element LA, the string that is hashed (sheet §7.1, §7.5).
func (l LA) Text() string {
	var b strings.Builder
	b.WriteString(`<LA xmlns="` + nsProtocols + `" Id="` + signedID + `" xml:space="preserve">`)
	element(&b, "Version", l.Version)
	b.WriteString(`<ContentHeader>` + l.Header + `</ContentHeader>`)
	b.WriteString(`<CLIENTINFO><CLIENTVERSION>` + xmltree.EscapeText(l.ClientVersion) + `</CLIENTVERSION></CLIENTINFO>`)
	if len(l.RevocationLists) > 0 {
		b.WriteString(`<RevocationLists>`)
		for _, r := range l.RevocationLists {
			b.WriteString(`<RevListInfo><ListID>` + xmltree.EscapeText(r.ID) + `</ListID><Version>` + xmltree.EscapeText(r.Version) + `</Version></RevListInfo>`)
		}
		b.WriteString(`</RevocationLists>`)
	}
	element(&b, "CustomData", string(l.CustomData.Reveal()))
	element(&b, "LicenseNonce", l.Nonce)
	element(&b, "ClientTime", l.ClientTime)
	b.WriteString(`<EncryptedData xmlns="` + nsCipher + `" Type="` + nsCipher + `Element">` +
		`<EncryptionMethod Algorithm="` + nsCipher + `aes128-cbc"></EncryptionMethod><KeyInfo xmlns="` + nsSignature + `">` +
		`<EncryptedKey xmlns="` + nsCipher + `"><EncryptionMethod Algorithm="` + nsProtocols + `#ecc256"></EncryptionMethod>` +
		`<KeyInfo xmlns="` + nsSignature + `"><KeyName>` + xmltree.EscapeText(l.KeyName) + `</KeyName></KeyInfo>`)
	cipherData(&b, l.EncryptedKey)
	b.WriteString(`</EncryptedKey></KeyInfo>`)
	cipherData(&b, l.EncryptedData)
	b.WriteString(`</EncryptedData></LA>`)
	return b.String()
}

// element writes an element with text, nothing if the text is empty.
func element(b *strings.Builder, name, text string) {
	if text != "" {
		b.WriteString("<" + name + ">" + xmltree.EscapeText(text) + "</" + name + ">")
	}
}

func cipherData(b *strings.Builder, value []byte) {
	b.WriteString(`<CipherData><CipherValue>` + encode(value) + `</CipherValue></CipherData>`)
}

// readLA reads the element LA. Its children are found by name, whatever their order; unknown ones are skipped.
func readLA(n *xmltree.Node) (LA, error) {
	l := LA{}
	if err := texts(n, field{"Version", &l.Version}, field{"LicenseNonce", &l.Nonce}, field{"ClientTime", &l.ClientTime}); err != nil {
		return l, err
	}
	custom, err := n.Only("CustomData")
	if err != nil {
		return l, wrong("LA", err)
	}
	if custom != nil {
		l.CustomData = secret.New([]byte(custom.Text)) // white space is the service's business
	}
	content, err := need(n, nsProtocols, "ContentHeader")
	if err != nil {
		return l, err
	}
	if len(content.Children) != 1 || strings.TrimSpace(content.Text) != "" {
		return l, bad("ContentHeader", "one WRMHEADER as an element", "other content")
	}
	l.Header = content.Children[0].Raw()
	if info := n.Path("CLIENTINFO", "CLIENTVERSION"); info != nil {
		l.ClientVersion = strings.TrimSpace(info.Text)
	}
	if lists := n.Path("RevocationLists"); lists != nil {
		for _, r := range lists.All("RevListInfo") {
			var list RevocationList
			if err := texts(r, field{"ListID", &list.ID}, field{"Version", &list.Version}); err != nil {
				return l, err
			}
			l.RevocationLists = append(l.RevocationLists, list)
		}
	}
	return l, l.readEncrypted(n)
}

func (l *LA) readEncrypted(n *xmltree.Node) error {
	data, err := need(n, nsCipher, "EncryptedData")
	if err != nil {
		return err
	}
	info, err := need(data, nsSignature, "KeyInfo")
	if err != nil {
		return err
	}
	key, err := need(info, nsCipher, "EncryptedKey")
	if err != nil {
		return err
	}
	if name := key.Path("KeyInfo", "KeyName"); name != nil {
		l.KeyName = strings.TrimSpace(name.Text)
	}
	if l.EncryptedKey, err = cipherValue(key); err != nil {
		return err
	}
	l.EncryptedData, err = cipherValue(data)
	return err
}

func cipherValue(n *xmltree.Node) ([]byte, error) {
	value, err := follow(n, nsCipher, "CipherData", "CipherValue")
	if err != nil {
		return nil, err
	}
	return decode(n.Name.Local+"/CipherValue", value.Text)
}
