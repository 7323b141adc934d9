package main

import (
	"fmt"
	"strconv"
	"time"
)

func (a *app) printMessage(v *inspectedMessage) {
	fmt.Fprintf(a.out, "%s: %s, %d bytes\n\n", v.Name, v.Kind, v.Bytes)
	if v.Wrapped != "" {
		a.printLine("in", ascii(v.Wrapped))
	}
	switch {
	case v.Widevine != nil:
		a.printWV(v.Widevine)
	case v.Request != nil:
		a.printRequest(v.Request)
	case v.Response != nil:
		a.printResponse(v.Response)
	case v.Fault != nil:
		a.printFault(v.Fault)
	case v.License != nil:
		a.printLicense(v.License)
	}
	a.printTold("transaction id", v.Transaction)
	for _, n := range v.Notes {
		fmt.Fprintf(a.out, "\nnote: %s\n", n)
	}
	for _, p := range v.Problems {
		fmt.Fprintf(a.out, "\nproblem: %s\n", p)
	}
}

func (a *app) printRequest(r *inspectedRequest) {
	form := "bare SOAP"
	if r.Wrapped {
		form = "SOAP in a PlayReadyKeyMessage"
	}
	a.printLine("form", form)
	for _, h := range r.HTTPHeader {
		if h.Hidden > 0 {
			a.printLine("HTTP header", fmt.Sprintf("%s, %d bytes, not shown", told(h.Name), h.Hidden))
			continue
		}
		a.printLine("HTTP header", told(h.Name)+": "+told(h.Value))
	}
	a.printBytes("challenge", r.Challenge)
	a.printTold("LA version", r.Version)
	if r.Header != nil {
		a.printPlayReady(r.Header)
	}
	a.printTold("client version", r.ClientVersion)
	if r.ClientTimeUTC != nil {
		a.printLine("client time", r.ClientTime+" ("+r.ClientTimeUTC.Format(time.RFC3339)+")")
	} else {
		a.printTold("client time", r.ClientTime)
	}
	a.printNonce(r.NoncePresent, r.Nonce)
	a.printBytes("custom data", r.CustomData)
	a.printLists(r.RevocationLists)
	a.printTold("key name", r.KeyName)
	a.printBytes("encrypted key", r.EncryptedKey)
	a.printBytes("encrypted data", r.EncryptedData)
	a.printDigest(r.DigestMatches)
	if r.SignatureVerifies == nil {
		return
	}
	verifies := "does not verify under the key that it names"
	if *r.SignatureVerifies {
		verifies = "verifies under the key that it names"
	}
	if r.SigningKey != "" {
		verifies += ", " + r.SigningKey
	}
	a.printLine("signature", verifies)
}

func (a *app) printResponse(r *inspectedResponse) {
	a.printTold("version", r.Version)
	for _, odd := range r.Odd {
		a.printLine("odd", strconv.QuoteToASCII(odd))
	}
	if r.Signed != nil {
		a.printLine("signed", yesNo(*r.Signed))
	}
	a.printDigest(r.DigestMatches)
	a.printBytes("response id", r.ResponseID)
	a.printBytes("signing chain", r.SigningChain)
	a.printNonce(r.NoncePresent, r.Nonce)
	a.printTold("transaction id", r.Transaction)
	a.printBytes("custom data", r.CustomData)
	a.printLists(r.RevocationLists)
	if len(r.Licenses) == 0 && r.Signed != nil {
		a.printLine("licenses", "none")
	}
	for i, l := range r.Licenses {
		fmt.Fprintf(a.out, "\nlicense %d, %d bytes\n", i+1, l.Bytes)
		a.printLicense(l)
	}
}

func (a *app) printFault(f *inspectedFault) {
	switch {
	case f.Code != "":
		a.printLine("code", f.Code)
	case f.OddStatus != "":
		a.printLine("code", "none that can be read, StatusCode is "+told(f.OddStatus))
	default:
		a.printLine("code", "none")
	}
	a.printLine("name", f.Name)
	a.printLine("meaning", f.Meaning)
	a.printTold("SOAP fault code", f.FaultCode)
	text := strconv.QuoteToASCII(f.Text)
	if f.TextLength > maxTold {
		text += fmt.Sprintf(" … (%d characters)", f.TextLength)
	}
	a.printLine("text", text)
	a.printTold("actor", f.Actor)
	a.printTold("redirect URL", f.RedirectURL)
	a.printBytes("custom data", f.CustomData)
}

// printTold prints a stranger's text if there is one.
func (a *app) printTold(name, text string) {
	if text != "" {
		a.printLine(name, told(text))
	}
}

// printBytes prints the length of what is there and is not shown.
func (a *app) printBytes(name string, n int) {
	if n > 0 {
		a.printLine(name, fmt.Sprintf("%d bytes", n))
	}
}

func (a *app) printNonce(present *bool, n int) {
	switch {
	case present == nil:
	case !*present:
		a.printLine("nonce", "none")
	case n == 0:
		a.printLine("nonce", "cannot be read")
	default:
		a.printBytes("nonce", n)
	}
}

func (a *app) printDigest(matches *bool) {
	switch {
	case matches == nil:
	case *matches:
		a.printLine("digest", "matches")
	default:
		a.printLine("digest", "does not match: what was signed was changed after it was")
	}
}

func (a *app) printLists(lists []inspectedList) {
	for _, l := range lists {
		text := told(l.ID)
		if l.Version != "" {
			text += ", version " + told(l.Version)
		}
		if l.Bytes > 0 {
			text += fmt.Sprintf(", %d bytes", l.Bytes)
		}
		a.printLine("revocation list", text)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
