package fakes

import (
	"net"
	"slices"
	"strings"
	"testing"
)

// heads feeds a stream to a connection in pieces of n bytes and returns the heads that it keeps.
func heads(stream string, n int) (*headConn, []string) {
	c := new(headConn)
	for rest := []byte(stream); len(rest) > 0; rest = rest[min(n, len(rest)):] {
		c.follow(rest[:min(n, len(rest))])
	}
	var kept []string
	for _, h := range c.heads {
		kept = append(kept, string(h))
	}
	return c, kept
}

func TestHeadConn(t *testing.T) {
	t.Parallel()
	first := "POST /a HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 6\r\ncontent-type: t\r\n\r\n"
	second := "OPTIONS /b HTTP/1.1\r\nHost: x\r\n\r\n"
	for n := 1; n < 100; n++ {
		c, kept := heads(first+"\r\n\r\nab"+second+first+"123456", n)
		if len(kept) != 3 || kept[0] != first || kept[1] != second || kept[2] != first || c.lost || c.body != 0 {
			t.Fatalf("pieces of %d bytes: %q", n, kept)
		}
		if string(field(c.heads[0], "Content-Type")) != "content-type: t" || field(c.heads[1], "Content-Type") != nil || field(c.heads[0], "POST /a HTTP/1.1") != nil {
			t.Fatal("wrong fields")
		}
		// Heads of requests that were answered by others go away with them.
		if got := c.head("OPTIONS", "/b"); string(got) != second || len(c.heads) != 1 || c.head("GET", "/b") != nil || len(c.heads) != 0 {
			t.Fatal("wrong head")
		}
	}
	for name, stream := range map[string]string{
		"chunked":       "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"no length":     "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"negative":      "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"endless head":  strings.Repeat("a", 2*maxHeader+1),
		"many in a row": strings.Repeat(second, maxHeads+1),
	} {
		if c, kept := heads(stream+second, 50); !c.lost || len(kept) > maxHeads+1 || len(c.part) > 2*maxHeader+100 {
			t.Errorf("%s: %d heads, lost %v", name, len(kept), c.lost)
		}
	}
}

// TestUnderHead: what has no connection of this package's is as it was.
func TestUnderHead(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if underHead(a) != a || underHead(&headConn{Conn: a}) != a || (&headConn{Conn: a}).CloseWrite() != nil {
		t.Error("not the same")
	}
	if x := new(exchange); !x.spelled("Content-Type") {
		t.Error("an unknown spelling counts as wrong")
	}
}

// FuzzHeadConn has any stream in any pieces: what is kept does not depend on the pieces, and stays within its bounds.
func FuzzHeadConn(f *testing.F) {
	f.Add("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", 1)
	f.Add("\r\n\r\n\r\n\r\n", 3)
	f.Add("POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n", 7)
	f.Fuzz(func(t *testing.T, stream string, n int) {
		if n < 1 || len(stream) > 1<<16 {
			return
		}
		pieces, some := heads(stream, n)
		whole, all := heads(stream, len(stream)+1)
		if !slices.Equal(some, all) || pieces.lost != whole.lost || pieces.body != whole.body || len(all) > maxHeads+1 {
			t.Errorf("%d heads in pieces of %d bytes, %d at once", len(some), n, len(all))
		}
	})
}
