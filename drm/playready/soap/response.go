package soap

import (
	"fmt"
	"strings"

	"keyflow/drm/xmltree"
)

// Response is what a license response says (sheet §8.1). One that holds a persistent license is signed.
type Response struct {
	Version      string // decimal, 1
	Licenses     [][]byte
	Revocation   []RevocationData
	Transaction  string // id of the acknowledgement that the server wants, a GUID; "" if it wants none
	CustomData   string // text for the client's application
	Nonce        string // base64 of the request's nonce; "" if absent
	ResponseID   []byte // 32 bytes in a signed response
	SigningChain []byte // certificate chain of the signer
}

// RevocationData is a revocation list that the server hands out (sheet §8.2).
type RevocationData struct {
	ID   string // base64 of a GUID in little-endian order
	Data []byte
}

// Text returns the element LicenseResponse. A response that is to be signed bears an Id; its text is what is hashed.
func (r Response) Text(signed bool) string {
	var b strings.Builder
	b.WriteString(`<LicenseResponse xmlns="` + nsProtocols + `"`)
	if signed {
		b.WriteString(` Id="` + signedID + `"`)
	}
	b.WriteString(`>`)
	element(&b, "Version", r.Version)
	b.WriteString(`<Licenses>`)
	for _, l := range r.Licenses {
		element(&b, "License", encode(l))
	}
	b.WriteString(`</Licenses>`)
	if len(r.Revocation) > 0 {
		b.WriteString(`<RevInfo>`)
		for _, l := range r.Revocation {
			b.WriteString(`<Revocation><ListID>` + xmltree.EscapeText(l.ID) + `</ListID><ListData>` + encode(l.Data) + `</ListData></Revocation>`)
		}
		b.WriteString(`</RevInfo>`)
	}
	if r.Transaction != "" {
		b.WriteString(`<Acknowledgement><TransactionID>` + xmltree.EscapeText(r.Transaction) + `</TransactionID></Acknowledgement>`)
	}
	element(&b, "CustomData", r.CustomData)
	element(&b, "LicenseNonce", r.Nonce)
	element(&b, "ResponseID", encode(r.ResponseID))
	element(&b, "SigningCertificateChain", encode(r.SigningChain))
	b.WriteString(`</LicenseResponse>`)
	return b.String()
}

// ResponseBody writes the body of a license response: an element LicenseResponse, and the string that was signed for it with
// the signature, r || s. Without a signature it is not signed.
func ResponseBody(licenseResponse, signedInfo string, signature []byte) []byte {
	if signature != nil {
		licenseResponse += signatureElement(signedInfo, signature, nil)
	}
	return envelope(`<AcquireLicenseResponse xmlns="` + nsProtocols + `"><AcquireLicenseResult><Response xmlns="` + nsMessages + `">` +
		licenseResponse + `</Response></AcquireLicenseResult></AcquireLicenseResponse>`)
}

// Answer is the answer to a license challenge as it was received: a response or a fault.
type Answer struct {
	Fault     *Fault // then all else is empty
	Response  Response
	Text      string     // the element LicenseResponse as sent
	ID        string     // of that element, "" if it has none
	Signature *Signature // nil if the response is not signed
	// Odd says where the response departs from the form of sheet §8.1 in a way that need not cost its licenses: an element of
	// another namespace, a version that is not 1, what should be base64 and is not. A license that is not base64 is empty.
	Odd []string
}

// ParseAnswer reads the answer to a license challenge. Unknown elements are skipped. Nothing is verified here: a signature that
// cannot be read is odd, and none. Errors are an [*Error].
func ParseAnswer(body []byte) (*Answer, error) {
	a, err := ReadAnswer(body)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// ReadAnswer does what [ParseAnswer] does, and returns with an error what it read before that, or nil: to be shown, never to be
// acted upon.
func ReadAnswer(body []byte) (*Answer, error) {
	_, top, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	if isFault(top) {
		f, err := readFault(top)
		return &Answer{Fault: f}, err
	}
	a := &Answer{}
	outer := top
	if top.Name.Local != "AcquireLicenseResponse" {
		return nil, bad("Envelope/Body", "AcquireLicenseResponse or a Fault", describe(top))
	}
	a.namespace(top, nsProtocols)
	for _, step := range []struct{ space, local string }{{nsProtocols, "AcquireLicenseResult"}, {nsMessages, "Response"}} {
		if outer, err = a.only(outer, step.space, step.local); err != nil {
			return nil, err
		}
	}
	n, err := a.only(outer, nsProtocols, "LicenseResponse")
	if err != nil {
		return nil, err
	}
	a.Text, a.ID = n.Raw(), n.Attr("Id")
	if err := a.readResponse(n); err != nil {
		return a, err
	}
	signature, err := outer.Only("Signature")
	if err != nil || signature == nil {
		return a, wrong("Response", err)
	}
	if a.Signature, err = readSignature(signature, n); err != nil {
		a.odd(err.Error())
		a.Signature = nil
	}
	return a, nil
}

// only returns the only child of the name. Another namespace than the due one is odd, its absence is an error.
func (a *Answer) only(parent *xmltree.Node, space, local string) (*xmltree.Node, error) {
	n, err := parent.Only(local)
	if err != nil {
		return nil, wrong(parent.Name.Local, err)
	}
	if n == nil {
		return nil, bad(parent.Name.Local, "an element "+local, "none")
	}
	a.namespace(n, space)
	return n, nil
}

// maxOdd bounds [Answer.Odd].
const maxOdd = 20

func (a *Answer) namespace(n *xmltree.Node, space string) {
	if n.Name.Space != space {
		a.odd(describe(n) + ", want " + space)
	}
}

func (a *Answer) odd(text string) {
	if len(a.Odd) < maxOdd {
		a.Odd = append(a.Odd, text)
	}
}

// decode reads base64. What is none is odd, and reads as nothing.
func (a *Answer) decode(where, text string) []byte {
	b, err := decode(where, text)
	if err != nil {
		a.odd(err.Error())
	}
	return b
}

func (a *Answer) readResponse(n *xmltree.Node) error {
	r := &a.Response
	var id, chain string
	err := texts(n, field{"Version", &r.Version}, field{"LicenseNonce", &r.Nonce}, field{"CustomData", &r.CustomData},
		field{"ResponseID", &id}, field{"SigningCertificateChain", &chain})
	if err != nil {
		return err
	}
	if r.Version != "1" {
		a.odd(fmt.Sprintf("Version %.20q, want 1", r.Version))
	}
	r.ResponseID, r.SigningChain = a.decode("ResponseID", id), a.decode("SigningCertificateChain", chain)
	if t := n.Path("Acknowledgement", "TransactionID"); t != nil {
		r.Transaction = strings.TrimSpace(t.Text)
	}
	licenses, err := n.Only("Licenses")
	if err != nil {
		return wrong("LicenseResponse", err)
	}
	if licenses != nil {
		a.namespace(licenses, nsProtocols)
		for i, l := range licenses.All("License") {
			a.namespace(l, nsProtocols)
			r.Licenses = append(r.Licenses, a.decode(fmt.Sprintf("Licenses/License[%d]", i+1), l.Text))
		}
	}
	return a.readRevocation(n)
}

func (a *Answer) readRevocation(n *xmltree.Node) error {
	info := n.Path("RevInfo")
	if info == nil {
		return nil
	}
	for _, r := range info.All("Revocation") {
		var id, data string
		if err := texts(r, field{"ListID", &id}, field{"ListData", &data}); err != nil {
			return err
		}
		a.Response.Revocation = append(a.Response.Revocation, RevocationData{id, a.decode("RevInfo/Revocation/ListData", data)})
	}
	return nil
}
