package pssh

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxText is the length in bytes of the longest text or MPD that is read.
const MaxText = 16 << 20

// ParseText reads pssh boxes written as base64 (standard or URL alphabet, with or without padding) or as hexadecimal
// digits (with or without 0x). White space may stand anywhere, and padded base64 texts may follow one another. For the
// rest it does what [Parse] does.
func ParseText(s string, mode Mode) ([]Box, []Note, error) {
	found, notes, err := parseText(s, mode)
	return boxesOf(found), notes, err
}

// parseText does the work of [ParseText]; places count decoded bytes.
func parseText(s string, mode Mode) ([]Found, []Note, error) {
	b, err := decodeText(s)
	if err != nil {
		return nil, nil, err
	}
	found, notes, err := parseList(b, mode)
	if err != nil && len(found) == 0 {
		err = explainData(b, err)
	}
	return found, notes, err
}

// explainData gives err a better hint if the bytes are the Data of a box that lacks its box, a common slip.
func explainData(b []byte, err error) error {
	if p, perr := ParsePRO(b); perr == nil && p.Header() != nil {
		return &Error{Offset: 0, Expected: "a pssh box", Seen: "a bare PlayReady object", Err: err,
			Hint: "this is the Data of a PlayReady box without the box, as the MPD's mspr:pro has it: give the MPD, or the text of cenc:pssh"}
	}
	d, derr := ParseWidevineData(b)
	if derr != nil || len(d.KeyIDs)+len(d.ContentID) == 0 {
		return err
	}
	return &Error{Offset: 0, Expected: "a pssh box", Seen: "bare Widevine data for " + wanted(d), Err: err,
		Hint: "this is the Data of a Widevine box without the box: give the whole box, as the MPD's cenc:pssh has it"}
}

// wanted says what Widevine data asks for.
func wanted(d WidevineData) string {
	if len(d.KeyIDs) > 0 {
		return count(len(d.KeyIDs), "KID")
	}
	return "content id " + quote(string(d.ContentID))
}

// decodeText decodes hexadecimal digits if the text has nothing else, base64 if not. A box in base64 cannot be mistaken:
// the four letters of its type give characters that no hexadecimal text has.
func decodeText(s string) ([]byte, error) {
	if len(s) > MaxText {
		return nil, &Error{Offset: -1, Expected: fmt.Sprintf("a text of at most %d bytes", MaxText), Seen: count(len(s), "byte")}
	}
	digits := strings.TrimLeft(s, spaces)
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	digits = compact(digits)
	if digits == "" {
		return nil, &Error{Offset: 0, Expected: "a pssh box in base64 or hexadecimal digits", Seen: "nothing"}
	}
	if strings.Trim(digits, "0123456789abcdefABCDEF") == "" {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, &Error{Offset: -1, Expected: "two hexadecimal digits for each byte", Seen: fmt.Sprintf("%d digits", len(digits)),
				Hint: "the text was cut off", Err: err}
		}
		return b, nil
	}
	b, _, err := decodeBase64(s)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// spaces is the white space of XML, and thus of xs:base64Binary.
const spaces = " \t\r\n"

// compact removes white space.
func compact(s string) string {
	if !strings.ContainsAny(s, spaces) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(spaces, r) {
			return -1
		}
		return r
	}, s)
}

// decodeBase64 decodes base64 in either alphabet, with or without padding, with white space anywhere; padding may be
// followed by further base64. The notes tell where the text is not what xs:base64Binary (RFC 4648, 4) wants.
func decodeBase64(s string) (b []byte, notes []string, err *Error) {
	if err := base64Characters(s); err != nil {
		return nil, nil, err
	}
	text := compact(s)
	if strings.ContainsAny(text, "-_") {
		notes = append(notes, "base64 in the URL alphabet, which players need not accept")
		text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	}
	if len(text)%4 != 0 {
		notes = append(notes, "base64 without its padding, which players need not accept")
	}
	for text != "" {
		var part string
		part, text, _ = strings.Cut(text, "=")
		text = strings.TrimLeft(text, "=")
		d, cause := base64.RawStdEncoding.DecodeString(part)
		if cause != nil {
			return nil, nil, &Error{Offset: -1, Expected: "whole base64 groups of four characters",
				Seen: fmt.Sprintf("%d characters, one too many or some too few", len(part)), Hint: "the base64 text was cut off", Err: cause}
		}
		b = append(b, d...)
	}
	return b, notes, nil
}

// base64Characters reports the first character that has no place in base64 of either alphabet.
func base64Characters(s string) *Error {
	i := strings.IndexFunc(s, func(r rune) bool { return !isBase64(r) })
	if i < 0 {
		return nil
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return &Error{Offset: int64(i), Expected: "base64 characters", Seen: quote(s[i : i+n]),
		Hint: "copy the text of cenc:pssh alone, without tags, quotes or a data: prefix"}
}

func isBase64(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("+/-_="+spaces, r)
}
