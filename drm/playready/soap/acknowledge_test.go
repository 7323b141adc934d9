package soap_test

import (
	"errors"
	"strings"
	"testing"

	"keyflow/drm/playready/soap"
)

const transaction = "00112233-4455-6677-8899-aabbccddeeff"

// TestAcknowledgement is the agreed form of both messages, to the byte, and reads them.
func TestAcknowledgement(t *testing.T) {
	t.Parallel()
	whole := func(name, id string) string {
		return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"` +
			` xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` +
			`<` + name + ` xmlns="urn:keyflow:acknowledgement:1"><TransactionID>` + id + `</TransactionID></` + name + `></soap:Body></soap:Envelope>`
	}
	for id, escaped := range map[string]string{transaction: transaction, "a<b>&c": "a&lt;b&gt;&amp;c"} {
		body, answer := soap.AcknowledgementBody(id), soap.AcknowledgementResponseBody(id)
		if string(body) != whole("Acknowledgement", escaped) || string(answer) != whole("AcknowledgementResponse", escaped) {
			t.Errorf("%s\n%s", body, answer)
		}
		if got, err := soap.ParseAcknowledgement(body); err != nil || got != id {
			t.Errorf("%q, %v", got, err)
		}
		if got, fault, err := soap.ParseAcknowledgementAnswer(answer); err != nil || fault != nil || got != id {
			t.Errorf("%q, %v, %v", got, fault, err)
		}
	}
	refused := soap.FaultBody(soap.Fault{Text: "no", Code: soap.CodeUnknownTransactionID})
	if got, fault, err := soap.ParseAcknowledgementAnswer(refused); err != nil || got != "" || fault == nil || fault.Code != 0x8004C610 || fault.Text != "no" {
		t.Errorf("%q, %+v, %v", got, fault, err)
	}
}

func TestBadAcknowledgements(t *testing.T) {
	t.Parallel()
	replace := func(from, to string) string {
		return strings.ReplaceAll(string(soap.AcknowledgementBody(transaction)), from, to)
	}
	for name, c := range map[string]struct{ body, want string }{
		"nothing":               {"", "an element"},
		"another envelope":      {replace("soap/envelope", "soap/letter"), "a SOAP 1.1 Envelope"},
		"the vendor's":          {replace("urn:keyflow:acknowledgement:1", "http://schemas.microsoft.com/DRM/2007/03/protocols"), "Acknowledgement of namespace urn:keyflow"},
		"an answer":             {string(soap.AcknowledgementResponseBody(transaction)), "Acknowledgement of namespace urn:keyflow"},
		"no id":                 {replace("TransactionID", "Id"), "an element TransactionID"},
		"two ids":               {replace("<TransactionID>", "<TransactionID></TransactionID><TransactionID>"), "one element TransactionID"},
		"id in no namespace":    {replace("<TransactionID>", `<TransactionID xmlns="">`), "TransactionID of namespace urn:keyflow"},
		"empty id":              {replace(transaction, " \n "), "an id, seen none"},
		"129 bytes of it":       {replace(transaction, strings.Repeat("x", 129)), "at most 128 bytes"},
		"document type":         {replace("<soap:Envelope", "<!DOCTYPE x><soap:Envelope"), ""},
		"more than one element": {replace("</soap:Body>", "<x></x></soap:Body>"), "one element"},
	} {
		var refused *soap.Error
		if got, err := soap.ParseAcknowledgement([]byte(c.body)); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
	if got, err := soap.ParseAcknowledgement([]byte(replace(transaction, "\n"+strings.Repeat("x", 128)+" "))); err != nil || len(got) != 128 {
		t.Errorf("128 bytes and blanks: %d, %v", len(got), err)
	}
	for name, body := range map[string]string{"a request": string(soap.AcknowledgementBody(transaction)), "a license response": string(soap.ResponseBody(soap.Response{Version: "1"}.Text(false), "", nil)), "HTML": "<html></html>"} {
		var refused *soap.Error
		if got, fault, err := soap.ParseAcknowledgementAnswer([]byte(body)); !errors.As(err, &refused) || fault != nil || got != "" {
			t.Errorf("answer: %s: %q, %v, %v", name, got, fault, err)
		}
	}
}

// FuzzAcknowledgement: an id that is read has 1 to 128 bytes, and is written and read again as the same.
func FuzzAcknowledgement(f *testing.F) {
	f.Add(soap.AcknowledgementBody(transaction))
	f.Add(soap.AcknowledgementBody("a<b>&c"))
	f.Add(soap.AcknowledgementResponseBody(transaction))
	f.Add(soap.FaultBody(soap.Fault{Code: soap.CodeUnknownTransactionID}))
	f.Fuzz(func(t *testing.T, b []byte) {
		check := func(id string, err error, write func(string) []byte, read func([]byte) (string, error)) {
			if err != nil {
				if id != "" {
					t.Errorf("%q with %v", id, err)
				}
				return
			}
			if again, err := read(write(id)); err != nil || again != id || id == "" || len(id) > 128 {
				t.Errorf("%q, read again %q, %v", id, again, err)
			}
		}
		id, err := soap.ParseAcknowledgement(b)
		check(id, err, soap.AcknowledgementBody, soap.ParseAcknowledgement)
		id, fault, err := soap.ParseAcknowledgementAnswer(b)
		if fault == nil {
			check(id, err, soap.AcknowledgementResponseBody, func(b []byte) (string, error) {
				id, _, err := soap.ParseAcknowledgementAnswer(b)
				return id, err
			})
		}
	})
}
