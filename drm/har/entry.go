package har

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Body is the body of a request or an answer.
type Body struct {
	Data []byte
	Type string // media type as the archive has it
	// Lost says why Data is not, or may not be, what went over the network; "" if it is.
	Lost string
}

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
	if p := e.Request.Post; p != nil {
		out.Request = body(p.Text, p.Encoding, p.Type, e.Request.Size)
		if p.Text == "" && len(p.Params) > 0 {
			out.Request = Body{Type: p.Type, Lost: "the archive has a form's fields in its place"}
		}
	} else if e.Request.Size > 0 {
		out.Request.Lost = "the archive does not hold it"
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

// body returns the bytes of a text. Binary bodies come in base64, or as a text with one character for each byte, which is
// Latin-1; a browser that decoded them as UTF-8 put U+FFFD for what was none, and the bytes are lost. size is what went over the
// network as far as the archive knows, 0 or less if it does not.
func body(text, encoding, mediaType string, size int64) Body {
	b := Body{Type: mediaType}
	switch {
	case text == "" && size > 0:
		b.Lost = "the archive does not hold it: save it with content"
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
		b.Data, b.Lost = characters(text)
	}
	if len(b.Data) > MaxBody {
		b.Data, b.Lost = nil, "it is too long to be kept"
	}
	return b
}

// characters returns a text's bytes: those of the text in UTF-8, or one for each character where it holds control characters, as no
// text does, and none above U+00FF.
func characters(text string) (data []byte, lost string) {
	if strings.ContainsRune(text, utf8.RuneError) {
		return []byte(text), "the browser replaced bytes that are no text"
	}
	control, latin := false, make([]byte, 0, len(text))
	for _, c := range text {
		if c > 0xff {
			return []byte(text), ""
		}
		control = control || c < ' ' && c != '\n' && c != '\r' && c != '\t'
		latin = append(latin, byte(c))
	}
	if !control {
		return []byte(text), ""
	}
	return latin, ""
}
