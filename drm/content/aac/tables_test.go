package aac

import (
	"fmt"
	"strings"
	"testing"
)

// tables are all Huffman tables by number (0: scale factors) with the number of entries that the standard gives them.
var tables = []struct {
	words   []codeword
	entries int
	book    *codebook
}{
	{scalefactorCodewords, 121, scalefactorBook},
	{spectrumCodewords1, 81, spectrumBooks[1]},
	{spectrumCodewords2, 81, spectrumBooks[2]},
	{spectrumCodewords3, 81, spectrumBooks[3]},
	{spectrumCodewords4, 81, spectrumBooks[4]},
	{spectrumCodewords5, 81, spectrumBooks[5]},
	{spectrumCodewords6, 81, spectrumBooks[6]},
	{spectrumCodewords7, 64, spectrumBooks[7]},
	{spectrumCodewords8, 64, spectrumBooks[8]},
	{spectrumCodewords9, 169, spectrumBooks[9]},
	{spectrumCodewords10, 169, spectrumBooks[10]},
	{spectrumCodewords11, 289, spectrumBooks[11]},
}

// text is the codeword as binary digits.
func (c codeword) text() string { return fmt.Sprintf("%0*b", c.length(), c.code()) }

func TestTablesAreCompletePrefixCodes(t *testing.T) {
	t.Parallel()
	for number, table := range tables {
		if len(table.words) != table.entries {
			t.Errorf("table %d: %d entries, want %d", number, len(table.words), table.entries)
		}
		kraft := 0 // in units of 2^-maxCodeLength
		all := map[string]bool{}
		for _, w := range table.words {
			if w.length() < 1 || w.length() > maxCodeLength || w.code()>>w.length() != 0 {
				t.Fatalf("table %d: codeword %#x", number, w)
			}
			kraft += 1 << (maxCodeLength - w.length())
			all[w.text()] = true
		}
		if kraft != 1<<maxCodeLength {
			t.Errorf("table %d: Kraft sum is %d/%d", number, kraft, 1<<maxCodeLength)
		}
		for text := range all {
			for n := 1; n < len(text); n++ {
				if all[text[:n]] {
					t.Errorf("table %d: %s is a prefix of %s", number, text[:n], text)
				}
			}
		}
		if len(all) != table.entries {
			t.Errorf("table %d: %d different codewords", number, len(all))
		}
	}
}

func TestCodebooksDecodeEveryCodeword(t *testing.T) {
	t.Parallel()
	for number, table := range tables {
		for symbol, w := range table.words {
			for _, after := range []string{"", "0000000000", "1111111111"} {
				r := &bitReader{data: binaryBytes(t, w.text()+after)}
				if got := table.book.decode(r); got != symbol || r.pos != w.length() || r.over {
					t.Fatalf("table %d: %s decodes to symbol %d of %d bits, want %d", number, w.text(), got, r.pos, symbol)
				}
			}
		}
	}
}

func TestSignsAndEscapes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		book, symbol, signs, escapes int
	}{
		{1, 0, 0, 0}, {2, 80, 0, 0}, {5, 3, 0, 0}, {6, 80, 0, 0}, // signed values
		{3, 0, 0, 0}, {3, 80, 4, 0}, {4, 2*27 + 1, 2, 0},
		{7, 7 * 8, 1, 0}, {8, 63, 2, 0}, {9, 12, 1, 0}, {10, 168, 2, 0},
		{11, 0, 0, 0}, {11, 15*17 + 15, 2, 0}, {11, 16, 1, 1}, {11, 16*17 + 3, 2, 1}, {11, 16*17 + 16, 2, 2},
	}
	for _, c := range cases {
		tail := int(spectrumBooks[c.book].tail[c.symbol])
		if tail&15 != c.signs || tail>>4 != c.escapes {
			t.Errorf("codebook %d symbol %d: %d signs, %d escapes, want %d, %d",
				c.book, c.symbol, tail&15, tail>>4, c.signs, c.escapes)
		}
	}
}

func TestBands(t *testing.T) {
	t.Parallel()
	// Numbers of bands by sampling frequency index, 96 kHz to 7350 Hz (ISO/IEC 14496-3 clause 4.5.4).
	long := []int{41, 41, 47, 49, 49, 51, 47, 47, 43, 43, 43, 40, 40}
	short := []int{12, 12, 12, 14, 14, 14, 15, 15, 15, 15, 15, 15, 15}
	for index := range long {
		b := bandsOf(index)
		checkEdges(t, index, b.long, long[index], longLines)
		checkEdges(t, index, b.short, short[index], longLines/8)
	}
}

func checkEdges(t *testing.T, index int, edges []uint16, count, lines int) {
	t.Helper()
	if len(edges) != count+1 || edges[0] != 0 || int(edges[count]) != lines {
		t.Fatalf("index %d: %d bands up to line %d, want %d up to %d", index, len(edges)-1, edges[len(edges)-1], count, lines)
	}
	for i := range count {
		if width := int(edges[i+1]) - int(edges[i]); width <= 0 || width%4 != 0 {
			t.Errorf("index %d: band %d is %d lines wide", index, i, width)
		}
	}
}

// binaryBytes returns the bytes of binary digits, which may have spaces between them, padded with zeros.
func binaryBytes(t testing.TB, digits string) []byte {
	t.Helper()
	digits = strings.ReplaceAll(digits, " ", "")
	b := make([]byte, (len(digits)+7)/8)
	for i, d := range digits {
		switch d {
		case '1':
			b[i/8] |= 0x80 >> (i % 8)
		case '0':
		default:
			t.Fatalf("digit %q in %q", d, digits)
		}
	}
	return b
}

// digitsOf returns the bits of b as binary digits.
func digitsOf(b []byte) string {
	var s strings.Builder
	for _, v := range b {
		fmt.Fprintf(&s, "%08b", v)
	}
	return s.String()
}
