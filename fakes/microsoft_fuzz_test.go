package fakes

import (
	"strings"
	"testing"
)

// FuzzCfg reads arbitrary queries: what is accepted has one group for each pair of brackets, and right values.
func FuzzCfg(f *testing.F) {
	f.Add("(kid:header)")
	f.Add("(kid:B6E39626-1CFB-4AA1-BCBD-4EF1ABA7843A,sl:3000),(kid:{7C9484BA-C238-467A-869C-CDD8C7167712},sl:2000)")
	f.Add("(kid:q5HgCTj40kGeNVhTH9Gexw==,contentkey:AAAAAAAAAAAAAAAAAAAAAA==,persist:true,begindate:20170101,expiration:20170101010000,firstexp:60)")
	f.Add("(errorcode:0x8004c065),(msg:clientinfo),(revoked:true)")
	f.Add("(keyseed:XVBovsmzhP9gRIZxWfFta3VVRPzVEWmJsazEJ46I,ckt:aescbc,caopl:100,ucaopl:999,cvopl:0,ucvopl:1,avopl:2,allowunknownsd:true)")
	f.Add("(),(:),((,),")
	f.Fuzz(func(t *testing.T, text string) {
		groups, flaw := readCfg(text)
		if flaw != nil {
			if len(groups) > 0 {
				t.Errorf("%q: groups and %q", text, flaw.text)
			}
			return
		}
		if len(groups) != strings.Count(text, "(") || len(groups) != strings.Count(text, ")") {
			t.Errorf("%q has %d groups", text, len(groups))
		}
		for _, g := range groups {
			if g.level < leastSecurityLevel || g.firstPlay < 0 || g.output != nil && g.output.AnalogVideo > maxOPL || g.key.Len() != 0 && g.key.Len() != contentKeyLen {
				t.Errorf("%q is read as %+v", text, g)
			}
		}
	})
}
