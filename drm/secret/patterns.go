package secret

// pattern is one encoding of a secret, at least [MinLen] bytes long. fold marks encodings whose letter case carries no
// information (hexadecimal); their text is in lower case.
type pattern struct {
	text         string
	fold         bool
	name, marker string
}

// patterns finds thousands of patterns in one pass over a text: a run with tokens makes that many secrets, each with two
// dozen encodings, and searching for one after the other took minutes.
type patterns struct {
	// byStart has the patterns by their first MinLen bytes, in lower case.
	byStart map[uint64][]pattern
	// starts is a set of hashes of the keys of byStart, which keeps most positions of a text from being looked up there.
	starts *[1 << (filterBits - 6)]uint64
}

const filterBits = 20 // 128 KiB; 50 000 patterns fill a twentieth of it

func newPatterns() patterns {
	return patterns{map[uint64][]pattern{}, new([1 << (filterBits - 6)]uint64)}
}

func (ps patterns) add(p pattern) {
	var start uint64
	for i := range MinLen {
		start = start<<8 | uint64(lower(p.text[i]))
	}
	for _, q := range ps.byStart[start] {
		if q.text == p.text && q.fold == p.fold {
			return
		}
	}
	ps.byStart[start] = append(ps.byStart[start], p)
	h := hash(start)
	ps.starts[h/64] |= 1 << (h % 64)
}

// each calls found for every occurrence of a pattern in the text, overlapping ones too, in the order of their begin.
func (ps patterns) each(text string, found func(at int, p pattern)) {
	var start uint64
	for i := range len(text) {
		start = start<<8 | uint64(lower(text[i]))
		at := i + 1 - MinLen
		if h := hash(start); at < 0 || ps.starts[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, p := range ps.byStart[start] {
			if p.begins(text[at:]) {
				found(at, p)
			}
		}
	}
}

// hash spreads a start over filterBits bits (Fibonacci hashing).
func hash(start uint64) uint64 {
	return start * 0x9E3779B97F4A7C15 >> (64 - filterBits)
}

func (p pattern) begins(text string) bool {
	if len(text) < len(p.text) {
		return false
	}
	text = text[:len(p.text)]
	if !p.fold {
		return text == p.text
	}
	for i := range len(text) {
		if lower(text[i]) != p.text[i] {
			return false
		}
	}
	return true
}

// lower folds ASCII letters only, so that offsets stay what they are.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
