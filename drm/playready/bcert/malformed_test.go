package bcert_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

func digestOf(k ecc.PrivateKey) []byte { return digestOfPoint(k.Public()) }

func digestOfPoint(p ecc.PublicKey) []byte {
	sum := sha256.Sum256(p[:])
	return sum[:]
}

// TestTruncated cuts a chain at every byte, as it is and with a header that says so.
func TestTruncated(t *testing.T) {
	t.Parallel()
	good := decode(t, deviceChain)
	for n := range good {
		cut := bytes.Clone(good[:n])
		if _, err := bcert.Parse(cut); err == nil {
			t.Errorf("cut at %d: accepted", n)
		}
		if n < 12 {
			continue
		}
		binary.BigEndian.PutUint32(cut[8:], uint32(n))
		if _, err := bcert.Parse(cut); err == nil {
			t.Errorf("cut at %d, and says so: accepted", n)
		}
	}
	leaf := parse(t, good).Leaf().Raw
	for n := range leaf {
		if _, err := bcert.ParseCertificate(leaf[:n]); err == nil {
			t.Errorf("certificate cut at %d: accepted", n)
		}
	}
	for name, long := range map[string][]byte{
		"a byte too many":  append(bytes.Clone(good), 0),
		"a chain too many": slices.Concat(good, good),
		"too long":         make([]byte, bcert.MaxChainLen+1),
	} {
		if _, err := bcert.Parse(long); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := bcert.ParseCertificate(append(bytes.Clone(leaf), 0)); err == nil {
		t.Error("a certificate with a byte too many: accepted")
	}
}

// leafNumbers are the lengths and counts of the chain of sheet playready.md §13.9, by their offset: those of the chain, and
// all of its leaf.
var leafNumbers = map[int]string{
	8: "chain length", 16: "certificate count", 28: "certificate length", 32: "signed length",
	40: "basic length", 128: "device length", 148: "features length", 152: "features count", 172: "keys length", 176: "keys count",
	252: "usages count", 332: "usages count", 344: "manufacturer length", 352: "name length", 364: "model length", 376: "number length", 388: "signature length",
}

// openBytes are the bytes of that chain that nothing covers: the attribute flags of the two signatures, which stand outside
// the signed parts and say nothing that a reader would heed.
var openBytes = []int{20 + 364, 20 + 365, 20 + 508 + 252, 20 + 508 + 253}

// sameBut reports whether two chains differ at the offsets alone.
func sameBut(a, b []byte, offsets []int) bool {
	for at := range a {
		if a[at] != b[at] && !slices.Contains(offsets, at) {
			return false
		}
	}
	return true
}

// TestLies is the corpus of PR-SEC-11: each length and count as 0, as the largest number, and as what reaches beyond what
// holds it.
func TestLies(t *testing.T) { // not in parallel: it counts memory
	good := decode(t, deviceChain)
	root := publicKey(t, deviceRoot)
	located := regexp.MustCompile(`byte \d+|\d+ bytes`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tried := 0
	try := func(at int, v uint32, mustNotParse bool) {
		bad := bytes.Clone(good)
		binary.BigEndian.PutUint32(bad[at:], v)
		if bytes.Equal(bad, good) {
			return
		}
		tried++
		c, err := bcert.Parse(bad)
		switch {
		case err == nil && mustNotParse:
			t.Errorf("%s is %d: accepted", leafNumbers[at], v)
		case err == nil && c.Verify(root, now) == nil && !sameBut(bad, good, openBytes):
			t.Errorf("%08x at byte %d: trusted", v, at)
		case err != nil && mustNotParse && !located.MatchString(err.Error()):
			t.Errorf("%08x at byte %d: %v does not say where", v, at, err)
		}
	}
	texts := map[string]bool{"model length": true, "number length": true}
	for at, name := range leafNumbers {
		n := binary.BigEndian.Uint32(good[at:])
		for _, v := range []uint32{0, 1, n - 1, n + 1, n - 4, n + 4, 2 * n, 0x10000, 1<<31 - 1, 1 << 31, 1<<32 - 8, 1<<32 - 1} {
			countsFilling := texts[name] && v > n && v <= (n+3)/4*4 // which some clients' lengths do
			try(at, v, !countsFilling)
		}
	}
	for at := 0; at+4 <= len(good); at++ {
		for _, v := range []uint32{0, 1, 0xff, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			try(at, v, false)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(tried); tried < 5000 || each > 32<<10 {
		t.Errorf("%d chains, each took %d bytes", tried, each)
	}
}

// insert returns the leaf with bytes put in at an offset, and the lengths at the offsets raised by as much.
func insert(leaf []byte, at int, what []byte, lengths ...int) []byte {
	b := slices.Concat(leaf[:at], what, leaf[at:])
	for _, l := range lengths {
		binary.BigEndian.PutUint32(b[l:], binary.BigEndian.Uint32(b[l:])+uint32(len(what)))
	}
	return b
}

// without returns the leaf with a part of its signed bytes cut out, and says so.
func without(leaf []byte, from, to int) []byte {
	b := slices.Concat(leaf[:from], leaf[to:])
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)))
	binary.BigEndian.PutUint32(b[atSignedLen:], binary.BigEndian.Uint32(b[atSignedLen:])-uint32(to-from))
	return b
}

// TestNested puts bytes where every outer length allows for them and no inner one does, and attributes where they don't belong.
func TestNested(t *testing.T) {
	t.Parallel()
	leaf := parse(t, decode(t, deviceChain)).Leaf().Raw
	const basic, device, features, keys, manufacturer, signed, end = 16, 104, 124, 148, 320, 364, 508
	flagged := bytes.Clone(leaf)
	flagged[47] |= 1 // extended data follow
	unsigned := bytes.Clone(leaf[:signed])
	binary.BigEndian.PutUint32(unsigned[atLength:], signed)
	four, tooMany := []byte{0, 0, 0, 0}, "4 bytes too many"
	attribute := func(tag byte) []byte { return []byte{0, 1, 0, tag, 0, 0, 0, 12, 0, 0, 0, 0} }
	after := func(what []byte) []byte { return insert(flagged, end, what, atLength) }
	const follows, place = "may not follow the signature", "the signature begins where"
	for name, c := range map[string]struct {
		cert []byte
		want string
	}{
		"4 bytes after basic":              {insert(leaf, device, four, atLength, atSignedLen, basic+4), tooMany},
		"4 bytes after device":             {insert(leaf, features, four, atLength, atSignedLen, device+4), tooMany},
		"4 bytes after features":           {insert(leaf, keys, four, atLength, atSignedLen, features+4), tooMany},
		"4 bytes after keys":               {insert(leaf, manufacturer, four, atLength, atSignedLen, keys+4), tooMany},
		"4 bytes after manufacturer":       {insert(leaf, signed, four, atLength, atSignedLen, manufacturer+4), tooMany},
		"4 bytes after signature":          {insert(leaf, end, four, atLength, signed+4), tooMany},
		"4 bytes after all":                {insert(leaf, end, four, atLength), "want 4 bytes, 0 are left"},
		"an attribute of 4 bytes":          {insert(leaf, signed, []byte{0, 0, 0, 99, 0, 0, 0, 4}, atLength, atSignedLen), "states 4 bytes"},
		"half an attribute":                {insert(leaf, signed, []byte{0, 0, 0, 99}, atLength, atSignedLen), "states 65544 bytes"},
		"basic twice":                      {insert(leaf, device, leaf[basic:device], atLength, atSignedLen), "attribute 0001 at byte 104: stands twice"},
		"signature twice":                  {insert(leaf, end, leaf[signed:], atLength), "attribute 0008 at byte 508: stands twice"},
		"signature under itself":           {insert(leaf, signed, leaf[signed:], atLength, atSignedLen), place},
		"signed part ends early":           {insert(leaf, signed, attribute(0x63), atLength), place},
		"extended without a flag":          {insert(leaf, end, attribute(0x0e), atLength), follows},
		"without basic":                    {without(leaf, basic, device), "attribute 0001 is missing"},
		"without keys":                     {without(leaf, keys, manufacturer), "attribute 0006 is missing"},
		"without signature":                {unsigned, "attribute 0008 is missing"},
		"device after the signature":       {insert(without(flagged, device, features), end-20, leaf[device:features], atLength), follows},
		"keys after the signature":         {insert(without(flagged, keys, manufacturer), end-172, leaf[keys:manufacturer], atLength), follows},
		"manufacturer after the signature": {insert(without(flagged, manufacturer, signed), end-44, leaf[manufacturer:signed], atLength), follows},
		"domain after the signature":       {after(attribute(0x02)), follows},
		"0a after the signature":           {after(attribute(0x0a)), follows},
		"0f after the signature":           {after(attribute(0x0f)), follows},
		"an unknown one after it":          {after(attribute(0x12)), follows},
		"two of one kind after it":         {after(append(attribute(0x0e), attribute(0x0e)...)), "stands twice"},
	} {
		if _, err := bcert.ParseCertificate(c.cert); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, tag := range []byte{0x0b, 0x0c, 0x0d, 0x0e} {
		if c, err := bcert.ParseCertificate(after(attribute(tag))); err != nil || len(c.Extended) != 1 {
			t.Errorf("attribute %04x after the signature: %v", tag, err)
		}
	}
	if c, err := bcert.ParseCertificate(without(leaf, device, features)); err != nil || c.Device != nil {
		t.Errorf("without device: %v", err)
	}
}

// TestCounts is about lists that are as long as they may be, and one longer.
func TestCounts(t *testing.T) {
	t.Parallel()
	k := party(t)
	build := func(keys, usages, features, attributes int) error {
		c := bcert.NewDevice([16]byte{}, 150, k.Public(), k.Public(), time.Time{})
		c.Keys = slices.Repeat([]bcert.Key{{Public: k.Public(), Usages: make([]bcert.Usage, usages)}}, keys)
		c.Features = make([]uint32, features)
		for i := range attributes {
			c.Unknown = append(c.Unknown, bcert.Attribute{Tag: uint16(100 + i)})
		}
		_, err := c.Issue(k)
		return err
	}
	if err := build(16, 32, 32, 32-6); err != nil {
		t.Errorf("the longest lists: %v", err)
	}
	for _, n := range [][4]int{{17, 1, 0, 0}, {1, 33, 0, 0}, {1, 1, 33, 0}, {1, 1, 0, 27}} {
		if build(n[0], n[1], n[2], n[3]) == nil {
			t.Errorf("%v: accepted", n)
		}
	}
	leaf := parse(t, decode(t, deviceChain)).Leaf()
	if _, err := bcert.Join(slices.Repeat([]*bcert.Certificate{leaf}, bcert.MaxCertificates)...); err != nil {
		t.Errorf("the longest chain: %v", err)
	}
	if _, err := bcert.Join(slices.Repeat([]*bcert.Certificate{leaf}, bcert.MaxCertificates+1)...); err == nil {
		t.Error("a longer chain: accepted")
	}
}

// TestTexts is about the filling of the manufacturer's strings: length 8 and "Harness" at byte 336 of the leaf, 7 and
// "Client" at 348.
func TestTexts(t *testing.T) {
	t.Parallel()
	leaf := parse(t, decode(t, deviceChain)).Leaf().Raw
	for name, edit := range map[string]func(b []byte){
		"no NUL":              func(b []byte) { b[343] = 'x' },
		"a NUL inside":        func(b []byte) { b[340] = 0 },
		"a NUL at the front":  func(b []byte) { b[336] = 0 },
		"filled with letters": func(b []byte) { b[355] = 'x' },
		"one too few":         func(b []byte) { b[351-4] = 6 },
	} {
		bad := bytes.Clone(leaf)
		edit(bad)
		if _, err := bcert.ParseCertificate(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	filled := bytes.Clone(leaf)
	filled[351-4] = 8 // counts the filling
	if c, err := bcert.ParseCertificate(filled); err != nil || c.Manufacturer.Model != "Client" {
		t.Errorf("a length that counts the filling: %v", err)
	}
	// A string of no length at all has no NUL either.
	empty := slices.Concat(leaf[:332], []byte{0, 0, 0, 0}, leaf[344:])
	for _, l := range []int{atLength, atSignedLen, 324} {
		binary.BigEndian.PutUint32(empty[l:], binary.BigEndian.Uint32(empty[l:])-8)
	}
	if c, err := bcert.ParseCertificate(empty); err != nil || c.Manufacturer.Name != "" || c.Manufacturer.Model != "Client" {
		t.Errorf("an empty string: %v", err)
	}
}
