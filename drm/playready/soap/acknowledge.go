package soap

import (
	"strings"

	"keyflow/drm/xmltree"
)

// nsHarness is keyflow's own namespace. What is public of PlayReady's acknowledgements is the SOAP action and that they quote the
// id of a response, not their body (sheet §8.3). The body here is an agreement between keyflow's client and its fakes, in a
// namespace of its own so that nobody takes it for the vendor's:
//
//	soap:Envelope > soap:Body > Acknowledgement         xmlns=urn:keyflow:acknowledgement:1
//	                             TransactionID          as the response has it
//	soap:Envelope > soap:Body > AcknowledgementResponse xmlns=urn:keyflow:acknowledgement:1
//	                             TransactionID          the same
//
// A real server understands neither, and must never be sent one by a check on its own.
const nsHarness = "urn:keyflow:acknowledgement:1"

// maxTransaction bounds a transaction id, in bytes: a GUID has 36 to 38.
const maxTransaction = 128

// AcknowledgementBody writes the body of an acknowledgement that quotes the id of a response, see [Response]. It is private to
// keyflow's fakes: never send it to a real server.
func AcknowledgementBody(transaction string) []byte {
	return acknowledgement("Acknowledgement", transaction)
}

// ParseAcknowledgement reads what [AcknowledgementBody] writes and returns the id, which has 1 to 128 bytes. Errors are an [*Error].
func ParseAcknowledgement(body []byte) (transaction string, err error) {
	_, top, err := parseBody(body)
	if err != nil {
		return "", err
	}
	return readTransaction(top, "Acknowledgement")
}

// AcknowledgementResponseBody writes the body of the answer to an acknowledgement that was accepted.
func AcknowledgementResponseBody(transaction string) []byte {
	return acknowledgement("AcknowledgementResponse", transaction)
}

// ParseAcknowledgementAnswer reads the answer to an acknowledgement: what [AcknowledgementResponseBody] writes, of which it returns
// the id, or a fault. Errors are an [*Error]; a fault comes without one if it can be read.
func ParseAcknowledgementAnswer(body []byte) (transaction string, fault *Fault, err error) {
	_, top, err := parseBody(body)
	if err != nil {
		return "", nil, err
	}
	if isFault(top) {
		fault, err = readFault(top)
		return "", fault, err
	}
	transaction, err = readTransaction(top, "AcknowledgementResponse")
	return transaction, nil, err
}

func acknowledgement(name, transaction string) []byte {
	return envelope(`<` + name + ` xmlns="` + nsHarness + `"><TransactionID>` + xmltree.EscapeText(transaction) + `</TransactionID></` + name + `>`)
}

// readTransaction returns the id in an element of the name.
func readTransaction(n *xmltree.Node, local string) (string, error) {
	if n.Name.Local != local || n.Name.Space != nsHarness {
		return "", bad("Envelope/Body", local+" of namespace "+nsHarness, describe(n))
	}
	id, err := need(n, nsHarness, "TransactionID")
	if err != nil {
		return "", err
	}
	transaction := strings.TrimSpace(id.Text)
	switch {
	case transaction == "":
		return "", bad(local+"/TransactionID", "an id", "none")
	case len(transaction) > maxTransaction:
		return "", bad(local+"/TransactionID", "an id of at most 128 bytes", "a longer one")
	}
	return transaction, nil
}
