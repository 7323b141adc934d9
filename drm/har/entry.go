package har

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Body is the body of a request or an answer.
type Body struct {
	Data []byte
	Type string // media type as the archive has it
	Size int64  // bytes as the browser counted them; 0: it does not tell
	// Lost says why Data is not, or may not be, what went over the network; "" if it is.
	Lost string
}

// Replaced is why a body is lost that the browser took for text.
const Replaced = "the browser replaced bytes that are no text"

// String tells the length alone.
func (b Body) String() string { return b.Type + " body" }

// GoString is String.
func (b Body) GoString() string { return b.String() }

// entry is an entry as archives have it. Names with an underscore are extensions of browsers.
type entry struct {
	Started time.Time `json:"startedDateTime"`
	Took    float64   `json:"time"` // milliseconds
	Error   string    `json:"_error"`
	Request struct {
		Method string   `json:"method"`
		URL    string   `json:"url"`
		Header []header `json:"headers"`
		Size   int64    `json:"bodySize"` // -1: not known
		Post   *struct {
			Type     string `json:"mimeType"`
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
			Params   []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status   int      `json:"status"`
		Header   []header `json:"headers"`
		Redirect string   `json:"redirectURL"`
		Error    string   `json:"_error"`
		Content  struct {
			Size     int64  `json:"size"`
			Type     string `json:"mimeType"`
			Text     string `json:"text"`
			Encoding string `json:"encoding"`
		} `json:"content"`
	} `json:"response"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (e entry) entry(i int) Entry {
	out := Entry{
		Index: i, Started: e.Started, Took: time.Duration(e.Took * float64(time.Millisecond)),
		Method: e.Request.Method, URL: e.Request.URL, Header: headers(e.Request.Header),
		Status: e.Response.Status, Redirect: e.Response.Redirect, AnswerHeader: headers(e.Response.Header),
		Failure: e.Error,
	}
	if out.Failure == "" {
		out.Failure = e.Response.Error
	}
	content := e.Response.Content
	out.Answer = body(content.Text, content.Encoding, content.Type, content.Size)
	switch a := &out.Answer; {
	case content.Text != "":
	case out.Status != 0 && out.Failure != "":
		a.Lost = "the browser withheld it from the page, or did not get to its end"
	case content.Size > 0:
		a.Lost = "the archive does not hold it: save it with content"
	}
	if p := e.Request.Post; p != nil {
		out.Request = body(p.Text, p.Encoding, p.Type, e.Request.Size)
		if p.Text == "" && len(p.Params) > 0 {
			out.Request = Body{Type: p.Type, Lost: "the archive has a form's fields in its place"}
		}
	}
	if e.Request.Size > 0 && len(out.Request.Data) == 0 && out.Request.Lost == "" {
		out.Request.Lost = "the archive does not hold it: some recorders drop bodies that are no text"
	}
	return out
}

func headers(list []header) http.Header {
	h := http.Header{}
	for _, field := range list {
		if !strings.HasPrefix(field.Name, ":") { // of HTTP/2, no field
			h.Add(field.Name, field.Value)
		}
	}
	return h
}

// body returns the bytes of a text. Binary bodies come in base64, or as a text with one character for each byte, see [characters].
// size is how many bytes there were as far as the archive knows, 0 or less if it does not.
func body(text, encoding, mediaType string, size int64) Body {
	b := Body{Type: mediaType, Size: max(0, size)}
	switch {
	case len(text) > 2*MaxBody:
		b.Lost = "it is too long to be kept"
	case strings.EqualFold(encoding, "base64"):
		data, err := base64.StdEncoding.DecodeString(text)
		if b.Data = data; err != nil {
			b.Data, b.Lost = nil, "its base64 is invalid"
		}
	case encoding != "":
		b.Lost = "its encoding is not known"
	default:
		b.Data, b.Lost = characters(text, size)
	}
	if len(b.Data) > MaxBody {
		b.Data, b.Lost = nil, "it is too long to be kept"
	}
	return b
}

// characters returns a text's bytes: those of the text in UTF-8, or one for each character where it holds control characters, as no
// text does. Browsers write what a page sent in Latin-1, and what came as text in the encoding that they took it for: windows-1252
// where nothing else is declared. One that took it for UTF-8 put U+FFFD for what was none, and the bytes are lost.
func characters(text string, size int64) (data []byte, lost string) {
	control := strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\n' && c != '\r' && c != '\t' })
	switch {
	case strings.ContainsRune(text, utf8.RuneError):
		return []byte(text), Replaced
	case !control:
		return []byte(text), ""
	}
	if b, ok := singleBytes(text, latin1); ok {
		return b, ""
	}
	if b, ok := singleBytes(text, windows1252); ok && (size <= 0 || size == int64(len(b))) {
		return b, ""
	}
	return []byte(text), ""
}

// latin1 is the byte of a character in Latin-1.
func latin1(c rune) (b byte, ok bool) { return byte(c), c <= 0xff }

// windows1252 is the byte of a character in windows-1252 as browsers read it (Encoding standard, "Legacy single-byte encodings"): five
// bytes that the encoding leaves open are control characters there.
func windows1252(c rune) (b byte, ok bool) {
	if strings.ContainsRune("\u0081\u008d\u008f\u0090\u009d", c) {
		return byte(c), true
	}
	return charmap.Windows1252.EncodeRune(c)
}

// singleBytes encodes a text with one byte for each character, if each has one.
func singleBytes(text string, encode func(rune) (byte, bool)) (data []byte, ok bool) {
	data = make([]byte, 0, len(text))
	for _, c := range text {
		b, ok := encode(c)
		if !ok {
			return nil, false
		}
		data = append(data, b)
	}
	return data, true
}
