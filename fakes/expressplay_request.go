package fakes

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// Bounds of token requests (sheet providers.md §2.1).
const (
	maxTokenLife = 30 * 24 * time.Hour // also the default
	maxCookie    = 32                  // characters
	maxKIDText   = 64                  // characters
)

// tokenParameters returns the parameters of a token request: of the query with GET, of a form with POST. A pair that can't
// be decoded, or a body that is no form, is no parameter.
func tokenParameters(r *http.Request, body []byte) url.Values {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		text = ""
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "application/x-www-form-urlencoded" {
			text = string(body)
		}
	}
	values, _ := url.ParseQuery(text) // has all pairs that could be decoded
	return values
}

// tokenArguments are the parameters of token requests for both systems, tokenArgumentsOf those for one (sheet providers.md §2.1).
// A real service may well ignore others; here a client with a misspelt name has to notice.
var (
	tokenArguments = []string{
		"customerAuthenticator", "errorFormat", "kid", "contentKey", "kek", "ek", "expirationTime", "cookie", "generalFlags", "extensionType", "extensionPayload",
	}
	tokenArgumentsOf = map[drm.System][]string{
		drm.Widevine: {"contentId", "securityLevel", "hdcpOutputControl", "licenseDuration", "wvExtension"},
		drm.PlayReady: {
			"rightsType", "rental.periodEndTime", "rental.playDuration", "analogVideoOPL", "compressedDigitalAudioOPL", "compressedDigitalVideoOPL",
			"uncompressedDigitalAudioOPL", "uncompressedDigitalVideoOPL", "unknownOutputBehavior", "outputControlFlags",
		},
	}
)

// readTokenRequest returns the rights that a request's parameters ask for, or the first problem with them. The content key
// is given, wrapped or left to the key store; an empty key says the latter.
func readTokenRequest(p url.Values, system drm.System, now time.Time) (*rights, *problem) {
	r := &rights{system: system}
	readers := []func(url.Values) *problem{
		r.readKID, r.readKey, func(p url.Values) *problem { return r.readExpiration(p, now) },
	}
	if system == drm.PlayReady {
		readers = append(readers, r.playReady.readers(now)...)
	} else {
		readers = append(readers, r.readSecurityLevel, r.readHDCP, r.readDuration, checkWidevineUnused)
	}
	for _, read := range append(readers, checkUnused) {
		if wrong := read(p); wrong != nil {
			return nil, wrong
		}
	}
	if unknown(p, append(slices.Clone(tokenArguments), tokenArgumentsOf[system]...)) {
		return nil, argument(codeUnknownArgument, "a parameter is not known")
	}
	return r, nil
}

// readKID reads a KID of 32 hexadecimal digits, or makes one of a text after ^. How the real service hashes the text is not
// public; here it is the first 16 bytes of its SHA-256.
func (r *rights) readKID(p url.Values) *problem {
	text := p.Get("kid")
	if text == "" {
		return argument(codeKIDMissing, "kid is missing")
	}
	if name, hashed := strings.CutPrefix(text, "^"); hashed {
		switch {
		case name == "" || !utf8.ValidString(name):
			return argument(codeKID, "kid has no text after ^")
		case utf8.RuneCountInString(name) > maxKIDText:
			return argument(codeKIDTooLong, "kid has more than 64 characters after ^")
		}
		sum := sha256.Sum256([]byte(name))
		r.kid = drm.KID(sum[:16])
		return nil
	}
	kid, ok := hexadecimal(text, len(r.kid))
	if !ok {
		return argument(codeKIDHex, "kid is not 32 hexadecimal digits")
	}
	r.kid = drm.KID(kid)
	return nil
}

func (r *rights) readKey(p url.Values) *problem {
	text, kekText, ek := p.Get("contentKey"), p.Get("kek"), p.Get("ek")
	switch {
	case text != "" && (kekText != "" || ek != "") && r.system == drm.PlayReady:
		return argument(codeTwoKeys, "contentKey excludes kek and ek")
	case text != "" && (kekText != "" || ek != ""):
		return argument(codeWrappedKey, "contentKey excludes kek and ek")
	case text != "":
		key, ok := hexadecimal(text, contentKeyLen)
		if !ok {
			return argument(codeContentKey, "contentKey is not 32 hexadecimal digits")
		}
		r.key = secret.New(key)
		return nil
	case kekText == "" && ek == "":
		return nil
	case kekText == "" || ek == "":
		return argument(codeWrappedKey, "kek and ek go together")
	}
	kek, ok := hexadecimal(kekText, 16, 24, 32)
	if !ok {
		return argument(codeWrappedKey, "kek is not an AES key in hexadecimal digits")
	}
	wrapped, ok := hexadecimal(ek, contentKeyLen+semiblock)
	if !ok {
		return argument(codeWrappedKey, "ek is not a wrapped key in 48 hexadecimal digits")
	}
	key, err := unwrapKey(secret.New(kek), wrapped)
	if err != nil {
		return argument(codeWrappedKey, "ek is not wrapped with kek")
	}
	r.key = key
	return nil
}

// readExpiration reads a time in UTC or a number of seconds from now. A plus sign that stands in a query as it is reads
// as a space, and is refused.
func (r *rights) readExpiration(p url.Values, now time.Time) *problem {
	text := p.Get("expirationTime")
	if text == "" {
		r.expires = now.Add(maxTokenLife)
		return nil
	}
	var ok bool
	if r.expires, ok = readTime(text, now); !ok {
		return argument(codeExpiration, "expirationTime is neither a time such as 2030-01-02T03:04:05Z nor +seconds")
	}
	if !r.expires.After(now) || r.expires.After(now.Add(maxTokenLife)) {
		return argument(codeExpiration, "expirationTime is not within the next 30 days")
	}
	return nil
}

// readTime reads a time of RFC 3339 in UTC, or + and seconds from now.
func readTime(text string, now time.Time) (time.Time, bool) {
	if after, relative := strings.CutPrefix(text, "+"); relative {
		n, err := strconv.ParseUint(after, 10, 32)
		return now.Add(time.Duration(n) * time.Second), err == nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, err == nil && strings.HasSuffix(text, "Z")
}

func (w *widevineRights) readSecurityLevel(p url.Values) *problem {
	text := p.Get("securityLevel")
	if text == "" {
		return argument(codeSecurityMissing, "securityLevel is missing")
	}
	n, ok := digit(text, 1, 5)
	if !ok {
		return argument(codeSecurityInvalid, "securityLevel is not 1 to 5")
	}
	w.level = wire.License_KeyContainer_SecurityLevel(n)
	return nil
}

// readHDCP reads the output control. The sheet has a code for a missing one alone; a wrong one gets the same.
func (w *widevineRights) readHDCP(p url.Values) *problem {
	text := p.Get("hdcpOutputControl")
	if text == "" {
		return argument(codeHDCP, "hdcpOutputControl is missing")
	}
	n, ok := digit(text, 0, 2)
	if !ok {
		return argument(codeHDCP, "hdcpOutputControl is not 0 to 2")
	}
	w.hdcp = wire.HDCP(n)
	return nil
}

func (w *widevineRights) readDuration(p url.Values) *problem {
	text := p.Get("licenseDuration")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return argument(codeDuration, "licenseDuration is not a number of seconds")
	}
	w.plays = time.Duration(n) * time.Second
	return nil
}

// checkWidevineUnused checks the parameters for Widevine that change nothing here.
func checkWidevineUnused(p url.Values) *problem {
	if flags := p.Get("generalFlags"); flags != "" && flags != "0000" {
		return argument(codeFlags, "generalFlags is not 0000")
	}
	if extension := p.Get("wvExtension"); extension != "" {
		if kind, payload, ok := strings.Cut(extension, ","); !ok || kind == "" || !isBase64(payload) {
			return argument(codeWidevineExtension, "wvExtension is not a type, a comma and base64")
		}
	}
	return nil
}

// checkUnused checks the parameters that change nothing here: those of reporting, and extensions, which no client reads.
func checkUnused(p url.Values) *problem {
	if utf8.RuneCountInString(p.Get("cookie")) > maxCookie {
		return argument(codeCookie, "cookie has more than 32 characters")
	}
	kind, payload := p.Get("extensionType"), p.Get("extensionPayload")
	switch {
	case (kind == "") != (payload == ""):
		return argument(codeExtensionUnpaired, "extensionType and extensionPayload go together")
	case payload != "" && !isBase64(payload):
		return argument(codeExtensionPayload, "extensionPayload is not base64")
	}
	return nil
}

// hexadecimal decodes hexadecimal digits of either case, if they are as many bytes as one of the lengths.
func hexadecimal(text string, lengths ...int) ([]byte, bool) {
	for _, n := range lengths {
		if len(text) == 2*n {
			b, err := hex.DecodeString(text)
			return b, err == nil
		}
	}
	return nil, false
}

func digit(text string, from, to byte) (int, bool) {
	if len(text) != 1 || text[0] < '0'+from || text[0] > '0'+to {
		return 0, false
	}
	return int(text[0] - '0'), true
}

func isBase64(text string) bool {
	b, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(b) > 0
}
