package aac

import (
	"cmp"
	"slices"
)

// fastBits is the number of bits that are looked up at once. Nearly all codewords of real audio are this short.
const fastBits = 9

// maxCodeLength is the length in bits of the longest codeword, in the scalefactor table.
const maxCodeLength = 19

// codebook decodes one Huffman table. All tables of the standard are complete and canonical: the codewords of one
// length are consecutive numbers, so that beyond fastBits a length is found by comparison. The tests prove both.
type codebook struct {
	fast    [1 << fastBits]uint16 // symbol<<5 | length; 0 where the codeword is longer than fastBits
	first   [maxCodeLength + 1]uint32
	count   [maxCodeLength + 1]uint32
	base    [maxCodeLength + 1]int // into symbols, of the first codeword of a length
	symbols []uint16               // by length, then by code
	longest int

	lines int     // spectral lines of a symbol; 0 in the scalefactor table
	tail  []uint8 // by symbol: sign bits after the codeword in the low half, escape sequences after those in the high half
}

func newCodebook(words []codeword) *codebook {
	b := &codebook{symbols: make([]uint16, len(words))}
	for i := range b.symbols {
		b.symbols[i] = uint16(i)
	}
	// Codes never exceed 20 bits, so that a packed codeword sorts by length, then by code.
	slices.SortFunc(b.symbols, func(x, y uint16) int { return cmp.Compare(words[x], words[y]) })
	for i, s := range b.symbols {
		n := words[s].length()
		if b.count[n] == 0 {
			b.first[n], b.base[n] = words[s].code(), i
		}
		b.count[n]++
		b.longest = n
		if n > fastBits {
			continue
		}
		from := words[s].code() << (fastBits - n)
		for k := range uint32(1) << (fastBits - n) {
			b.fast[from+k] = s<<5 | uint16(n)
		}
	}
	return b
}

// newSpectrum makes a codebook whose symbols are groups of lines with values of 0 to largest: the symbol is the number
// that has the values as its digits, the first line's as the most significant (ISO/IEC 14496-3 clause 4.6.3).
// Codebooks with signed values have no sign bits and give largest as 0.
func newSpectrum(words []codeword, lines, largest int) *codebook {
	b := newCodebook(words)
	b.lines, b.tail = lines, make([]uint8, len(words))
	for s := range b.tail {
		for digits := s; digits > 0 && largest > 0; digits /= largest + 1 {
			switch digits % (largest + 1) {
			case 0:
			case escape:
				b.tail[s] += 1<<4 | 1
			default:
				b.tail[s]++
			}
		}
	}
	return b
}

// decode reads one codeword and returns its symbol.
func (b *codebook) decode(r *bitReader) int {
	if e := b.fast[r.peek(fastBits)]; e != 0 {
		r.skip(int(e & 31))
		return int(e >> 5)
	}
	bits := r.peek(b.longest)
	n := fastBits + 1
	for n < b.longest && bits>>(b.longest-n)-b.first[n] >= b.count[n] {
		n++
	}
	r.skip(n)
	return int(b.symbols[b.base[n]+int(bits>>(b.longest-n)-b.first[n])])
}

// escape is the value in codebook 11 that an escape sequence follows.
const escape = 16

// scalefactorBook and spectrumBooks are ISO/IEC 14496-3 Tables 4.A.1 to 4.A.12; the index is the codebook's number.
var (
	scalefactorBook = newCodebook(scalefactorCodewords)
	spectrumBooks   = [escapeBook + 1]*codebook{
		1:          newSpectrum(spectrumCodewords1, 4, 0),
		2:          newSpectrum(spectrumCodewords2, 4, 0),
		3:          newSpectrum(spectrumCodewords3, 4, 2),
		4:          newSpectrum(spectrumCodewords4, 4, 2),
		5:          newSpectrum(spectrumCodewords5, 2, 0),
		6:          newSpectrum(spectrumCodewords6, 2, 0),
		7:          newSpectrum(spectrumCodewords7, 2, 7),
		8:          newSpectrum(spectrumCodewords8, 2, 7),
		9:          newSpectrum(spectrumCodewords9, 2, 12),
		10:         newSpectrum(spectrumCodewords10, 2, 12),
		escapeBook: newSpectrum(spectrumCodewords11, 2, escape),
	}
)
