package playready

import (
	"bytes"

	"keyflow/drm/playready/soap"
)

// Refusal tells what a server says in an answer that is a SOAP fault, whatever its HTTP status (sheet playready.md §8.4); false for
// any other answer. It needs no key.
func Refusal(answer []byte) (seen string, refused bool) {
	if !bytes.Contains(answer, []byte("Fault")) { // the XML of a license need not be read for it
		return "", false
	}
	a, err := soap.ParseAnswer(answer)
	if err != nil || a.Fault == nil {
		return "", false
	}
	return a.Fault.Error(), true
}
