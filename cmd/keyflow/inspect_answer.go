package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"keyflow/drm/har"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
)

// maxTold is how many characters of a stranger's text are shown.
const maxTold = 200

func (v *inspectedMessage) readAnswer(text string) {
	answer, custom, err := sparingly([]byte(text), soap.ReadAnswer)
	v.problem(err)
	if answer == nil {
		return
	}
	if answer.Fault != nil {
		v.Fault = faultView(answer.Fault, custom)
		return
	}
	response := answer.Response
	r := &inspectedResponse{
		Version: response.Version, Odd: answer.Odd, ResponseID: len(response.ResponseID), SigningChain: len(response.SigningChain),
		Transaction: response.Transaction, CustomData: lengthOr(custom, response.CustomData), Licenses: []*inspectedLicense{},
	}
	v.Response = r
	if signed := answer.Signature != nil; whole(err) {
		r.Signed = &signed
	}
	if s := answer.Signature; s != nil {
		if custom < 0 { // else it is not known whether it does
			matches := s.DigestMatches()
			r.DigestMatches = &matches
		}
		if answer.ID == "" || s.Reference != "#"+answer.ID {
			v.note("the signature is over %.60q, the Id of LicenseResponse is %.60q", s.Reference, answer.ID)
		}
	}
	if whole(err) || response.Nonce != "" {
		r.NoncePresent, r.Nonce = v.nonce(response.Nonce)
	}
	for _, l := range response.Revocation {
		r.RevocationLists = append(r.RevocationLists, revocationView(l))
	}
	for i, raw := range response.Licenses {
		l, err := licenseView(raw)
		if err != nil {
			l.Problem = err.Error()
			v.problem(fmt.Errorf("Licenses/License[%d]: %w", i+1, err))
		}
		r.Licenses = append(r.Licenses, l)
	}
}

func faultView(f *soap.Fault, custom int) *inspectedFault {
	v := &inspectedFault{
		Name: f.Code.Name(), Meaning: f.Code.Meaning(), FaultCode: f.FaultCode, Text: first(f.Text), TextLength: len([]rune(f.Text)),
		Actor: f.Actor, RedirectURL: har.ShownURL(f.RedirectURL), CustomData: lengthOr(custom, f.CustomData),
	}
	if f.Code == 0 {
		v.OddStatus = first(f.Status)
	} else {
		v.Code = fmt.Sprintf("0x%08X", uint32(f.Code))
	}
	return v
}

// lengthOr returns the length of custom data that was left out, or else of what was read.
func lengthOr(custom int, text string) int {
	if custom >= 0 {
		return custom
	}
	return len(text)
}

// revocationView tells the version too if the list begins as the hash lists do, with its own id (sheet playready.md §8.2).
func revocationView(l soap.RevocationData) inspectedList {
	v := inspectedList{ID: listID(l.ID), Bytes: len(l.Data)}
	if id, err := unbase64(l.ID); err == nil && len(id) == 16 && len(l.Data) >= 20 && string(l.Data[:16]) == string(id) {
		v.Version = strconv.FormatUint(uint64(binary.BigEndian.Uint32(l.Data[16:])), 10)
	}
	return v
}

// listID returns the GUID of a revocation list, or the text itself if it is none.
func listID(text string) string {
	b, err := unbase64(text)
	if err != nil || len(b) != 16 {
		return text
	}
	return pssh.KIDOfGUID([16]byte(b)).String()
}

// maxUnix is the last second that RFC 3339 has a form for.
var maxUnix = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()

// unixText returns the time of Unix seconds in decimal.
func unixText(text string) (time.Time, bool) {
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > maxUnix {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0).UTC(), true
}

// first returns the first [maxTold] characters.
func first(s string) string {
	n := maxTold
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// told returns a stranger's text for a terminal: quoted unless it is plain, and no more than its beginning.
func told(s string) string {
	plain := s != ""
	for _, c := range s {
		plain = plain && c > ' ' && c <= '~' && c != '"'
	}
	switch begin := first(s); {
	case len(begin) < len(s):
		return strconv.QuoteToASCII(begin) + fmt.Sprintf(" … (%d bytes)", len(s))
	case !plain:
		return strconv.QuoteToASCII(s)
	}
	return s
}
