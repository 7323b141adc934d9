package loadtest

import (
	"strings"
	"testing"
)

func TestParsePercent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"5%": 50_000, "0.0001%": 1, "100%": million, " 12.5% ": 125_000} {
		if parts, whole, err := ParsePercent(text); err != nil || parts != want || whole != million {
			t.Errorf("%q: got %d of %d, %v", text, parts, whole, err)
		}
	}
	for _, text := range []string{"", "%", "0%", "5", "-5%", "100.0001%", "0.00001%", "5 %", "5%%", "all", "NaN%", strings.Repeat("9", 1000) + "%"} {
		if parts, _, err := ParsePercent(text); err == nil || len(err.Error()) > 400 {
			t.Errorf("%q: got %d, %v", text, parts, err)
		}
	}
}

func FuzzParsePercent(f *testing.F) {
	f.Add("5%")
	f.Add("0.0001%")
	f.Fuzz(func(t *testing.T, text string) {
		parts, whole, err := ParsePercent(text)
		if err != nil {
			return
		}
		if parts < 1 || parts > whole {
			t.Fatalf("%q is %d of %d", text, parts, whole)
		}
		if v, err := ParseVerify(text); err != nil || int64(v) != whole-parts {
			t.Errorf("%q: the share to verify is %v, %v", text, v, err)
		}
	})
}
