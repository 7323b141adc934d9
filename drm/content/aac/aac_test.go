package aac

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestSamplesParse(t *testing.T) {
	t.Parallel()
	var used tool
	for _, s := range readSamples(t) {
		if err := CheckBlocks(s.asc, s.blocks); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		p := parser{config: mustConfig(t, s.asc)}
		for i, b := range s.blocks {
			if err := CheckBlock(s.asc, b); err != nil {
				t.Errorf("%s: block %d: %v", s.name, i, err)
			}
			if err := p.parse(b); err != nil {
				t.Errorf("%s: block %d by a parser in use: %v", s.name, i, err)
			}
		}
		used |= p.used
	}
	if want := toolShort | toolGrouping | toolTNS | toolNoise | toolIntensity | toolMidSide | toolEscape; used != want {
		t.Errorf("the samples use the tools %b, want %b", used, want)
	}
}

// TestProgramOutsideTheBlock takes the program config element away, so that only the AudioSpecificConfig has one: the
// form that MP4 carries.
func TestProgramOutsideTheBlock(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range readSamples(t) {
		for i, b := range s.blocks {
			r := &bitReader{data: b}
			if elementID(r.read(3)) != idPCE {
				continue
			}
			found++
			readProgramConfig(r)
			if err := CheckBlock(s.asc, b[r.pos/8:]); err != nil {
				t.Errorf("%s: block %d: %v", s.name, i, err)
			}
		}
	}
	if found == 0 {
		t.Error("no sample has a program config element")
	}
}

// TestFillElementsAreSkipped puts an SBR fill element before the terminator and takes the configuration of AAC-LC, which
// is implicit signalling, and that of HE-AAC.
func TestFillElementsAreSkipped(t *testing.T) {
	t.Parallel()
	for _, s := range readSamples(t) {
		if s.name != "mono-24000" {
			continue
		}
		explicit := binaryBytes(t, "00101 0110 0001 0011 00010 000")
		for i, b := range s.blocks {
			digits := strings.TrimSuffix(strings.TrimRight(digitsOf(b), "0"), "111")
			for _, fill := range []string{
				"110 0000",
				"110 0011 1101 1010 11001100 01010101",
				"110 1111 00000011 1110" + strings.Repeat("10110101", 16) + "1111",
			} {
				with := binaryBytes(t, digits+fill+"111")
				if err := errors.Join(CheckBlock(s.asc, with), CheckBlock(explicit, with)); err != nil {
					t.Fatalf("block %d: %v", i, err)
				}
			}
		}
		return
	}
	t.Fatal("no sample to put fill elements into")
}

func TestNoiseIsRefused(t *testing.T) {
	t.Parallel()
	const roundsPerBlock = 40
	src := rand.NewPCG(14496, 3)
	tries := 0
	for _, s := range readSamples(t) {
		for _, b := range s.blocks {
			for range roundsPerBlock {
				tries++
				if CheckBlock(s.asc, noise(src, len(b))) == nil {
					t.Errorf("%s: %d bytes of noise pass", s.name, len(b))
				}
			}
		}
	}
	if tries < 20_000 {
		t.Errorf("only %d tries", tries)
	}
}

// TestWrongKeyIsRefused encrypts every block in AES-CTR and decrypts it with other keys, one of them one bit off.
func TestWrongKeyIsRefused(t *testing.T) {
	t.Parallel()
	src := rand.NewPCG(23001, 7)
	for _, s := range readSamples(t) {
		key, other, iv := noise(src, 16), noise(src, 16), noise(src, 16)
		bitOff := bytes.Clone(key)
		bitOff[15] ^= 1
		swapped := bytes.Clone(key)
		swapped[0], swapped[15] = key[15], key[0]
		for i, b := range s.blocks {
			encrypted := ctr(t, key, iv, b)
			if err := CheckBlock(s.asc, ctr(t, key, iv, encrypted)); err != nil {
				t.Errorf("%s: block %d with the right key: %v", s.name, i, err)
			}
			for name, wrong := range map[string][]byte{"other": other, "one bit off": bitOff, "swapped": swapped} {
				if CheckBlock(s.asc, ctr(t, wrong, iv, encrypted)) == nil {
					t.Errorf("%s: block %d of %d bytes passes with a wrong key (%s)", s.name, i, len(b), name)
				}
			}
			binary.BigEndian.PutUint64(iv, binary.BigEndian.Uint64(iv)+1)
		}
	}
}

// TestChanceOfTheWeakestLength holds the package to what it documents for noise of five bytes: 2^-15.5, with room for
// the spread of few hits, so that a rule that gets lost is noticed.
func TestChanceOfTheWeakestLength(t *testing.T) {
	t.Parallel()
	const tries = 1 << 18
	src := rand.NewPCG(5, 5)
	p := parser{config: mustConfig(t, []byte{0x11, 0x88})}
	passed := 0
	for range tries {
		if p.parse(noise(src, 5)) == nil {
			passed++
		}
	}
	if passed > 16 { // 5.7 are expected
		t.Errorf("%d of %d random blocks pass", passed, tries)
	}
}

func TestLengthIsExact(t *testing.T) {
	t.Parallel()
	for _, s := range readSamples(t) {
		for i, b := range s.blocks {
			for _, more := range []byte{0x00, 0xff} {
				if CheckBlock(s.asc, append(bytes.Clone(b), more)) == nil {
					t.Errorf("%s: block %d passes with %#x appended", s.name, i, more)
				}
			}
			shortest := len(b) - 1
			if i == 0 {
				shortest = 0
			}
			for n := shortest; n < len(b); n++ {
				if CheckBlock(s.asc, b[:n]) == nil {
					t.Errorf("%s: %d of %d bytes of block %d pass", s.name, n, len(b), i)
				}
			}
		}
	}
}

func TestCheckBlocks(t *testing.T) {
	t.Parallel()
	asc := []byte{0x11, 0x88}
	silence := binaryBytes(t, silentSCE+end)
	cases := []struct {
		name   string
		asc    []byte
		blocks [][]byte
		is     error
		says   string
	}{
		{"two", asc, [][]byte{silence, silence}, nil, ""},
		{"none", asc, nil, ErrInconclusive, "0 of at least 2"},
		{"one", asc, [][]byte{silence}, errors.ErrUnsupported, "1 of at least 2"},
		{"one that is wrong", asc, [][]byte{{0xff}}, nil, "audio block 0 of 1"},
		{"last is wrong", asc, [][]byte{silence, silence, silence[:3]}, nil, "audio block 2 of 3"},
		{"empty block", asc, [][]byte{silence, {}}, nil, "block ends without terminator"},
		{"configuration", asc[:1], [][]byte{silence, silence}, ErrConfig, ""},
	}
	if err := CheckBlock(asc[:1], silence); !errors.Is(err, ErrConfig) {
		t.Errorf("CheckBlock with half a configuration: %v", err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := CheckBlocks(c.asc, c.blocks)
			if good := c.is == nil && c.says == ""; good != (err == nil) {
				t.Fatalf("error %v", err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v is not %v", err, c.is)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

// FuzzCheckBlock holds that no input makes the parser panic or look behind the block, and that what passes has exactly
// one length.
func FuzzCheckBlock(f *testing.F) {
	for _, s := range readSamples(f) {
		f.Add(s.asc, s.blocks[0])
		f.Add(s.asc, s.blocks[len(s.blocks)/2])
	}
	for _, c := range blockCases {
		f.Add(c.config(f), binaryBytes(f, c.block))
	}
	f.Fuzz(func(t *testing.T, asc, block []byte) {
		err := CheckBlock(asc, block)
		behind := append(bytes.Clone(block), bytes.Repeat([]byte{0xff}, 16)...)
		if again := CheckBlock(asc, behind[:len(block)]); (again == nil) != (err == nil) {
			t.Fatalf("%v, but %v with other bytes behind the block", err, again)
		}
		if err != nil {
			return
		}
		if CheckBlock(asc, block[:len(block)-1]) == nil || CheckBlock(asc, behind[:len(block)+1]) == nil {
			t.Fatal("passes with another length")
		}
	})
}

func BenchmarkCheckBlocks(b *testing.B) {
	for _, s := range readSamples(b) {
		if s.name != "stereo-44100" && s.name != "c51-48000" {
			continue
		}
		b.Run(s.name, func(b *testing.B) {
			size := 0
			for _, block := range s.blocks {
				size += len(block)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := CheckBlocks(s.asc, s.blocks); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func mustConfig(t testing.TB, asc []byte) *config {
	t.Helper()
	c, err := parseConfig(asc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func noise(src rand.Source, n int) []byte {
	b := make([]byte, n+7)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], src.Uint64())
	}
	return b[:n]
}

func ctr(t testing.TB, key, iv, data []byte) []byte {
	t.Helper()
	c, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(data))
	cipher.NewCTR(c, iv).XORKeyStream(out, data)
	return out
}
