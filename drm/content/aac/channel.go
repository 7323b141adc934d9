package aac

// Codebook numbers with a meaning of their own (ISO/IEC 14496-3 clause 4.6.3; 13 for PNS, clause
// 4.6.13; 14 and 15 for intensity stereo, clause 4.6.8.2).
const (
	zeroBook       = 0
	escapeBook     = 11
	reservedBook   = 12
	noiseBook      = 13
	intensityBook2 = 14
	intensityBook  = 15
)

// Limits of the numbers that add up from Huffman-coded differences.
const (
	// maxScalefactor is the largest scale factor; all are 0 to 255 (clause 4.6.2).
	maxScalefactor = 255
	// maxLevel bounds noise energies and intensity positions. No clause does: like scale factors they count steps of
	// 1.5 dB, so that more of them than scale factors have cannot be meant.
	maxLevel = 255
)

// windows is what ics_info says.
type windows struct {
	short   bool
	maxBand int // max_sfb: bands from this one on are zero
	groups  int
	lengths [8]int // windows in each group
	edges   []uint16
}

// channelKind says what the element around an individual_channel_stream allows and brings.
type channelKind struct {
	ownWindows bool // the stream holds its own ics_info
	intensity  bool
	lfe        bool
}

// channel parses an individual_channel_stream (clause 4.4.2.7) with scale_flag 0.
func (p *parser) channel(w *windows, kind channelKind) error {
	p.at.part = "global_gain"
	gain := p.bits.read(8)
	if kind.ownWindows {
		if err := p.windows(w); err != nil {
			return err
		}
	}
	// An LFE has long windows and no TNS (ISO/IEC 13818-7 clause 8.4, which part 3 of MPEG-4 takes over).
	if kind.lfe && w.short {
		return p.fail("short windows in an LFE")
	}
	if err := p.sections(w, kind.intensity); err != nil {
		return err
	}
	if err := p.scalefactors(w, gain); err != nil {
		return err
	}
	if err := p.pulses(w); err != nil {
		return err
	}
	p.at.part = "tns_data"
	if p.bits.flag() {
		if kind.lfe {
			return p.fail("TNS in an LFE")
		}
		if err := p.noiseShaping(w); err != nil {
			return err
		}
	}
	// Gain control is a tool of AAC-SSR alone (clause 4.6.12).
	p.at.part = "gain_control_data"
	if p.bits.flag() {
		return p.fail("gain control in AAC-LC")
	}
	return p.spectrum(w)
}

// windows parses ics_info (Table 4.6).
func (p *parser) windows(w *windows) error {
	p.at.part = "ics_info"
	if p.bits.flag() { // clause 4.5.2.3: shall be 0
		return p.fail("ics_reserved_bit is set")
	}
	*w = windows{short: p.bits.read(2) == 2, edges: p.config.bands.long, groups: 1}
	p.bits.skip(1) // window_shape
	if w.short {
		p.used |= toolShort
		w.edges = p.config.bands.short
		w.maxBand = p.bits.read(4)
		w.group(p.bits.read(7))
		if w.groups < 8 {
			p.used |= toolGrouping
		}
	} else {
		w.lengths[0] = 1
		w.maxBand = p.bits.read(6)
		// Prediction belongs to AAC Main, long-term prediction to AAC-LTP (Table 4.6, clause 1.5.1).
		if p.bits.flag() {
			return p.fail("predictor_data_present is set in AAC-LC")
		}
	}
	if most := len(w.edges) - 1; w.maxBand > most { // clause 4.5.4: num_swb
		return p.fail("max_sfb %d exceeds the %d bands of the sampling frequency", w.maxBand, most)
	}
	return nil
}

// group sets the window groups from scale_factor_grouping: a bit for each window after the first, most significant bit
// first, set if the window belongs to the group of the one before (clause 4.5.2.3).
func (w *windows) group(bits int) {
	w.lengths[0] = 1
	for i := 6; i >= 0; i-- {
		if bits>>i&1 == 0 {
			w.groups++
		}
		w.lengths[w.groups-1]++
	}
}

// sections parses section_data (clause 4.4.2.7) into p.codebooks.
func (p *parser) sections(w *windows, intensity bool) error {
	p.at.part = "section_data"
	bits := 5
	if w.short {
		bits = 3
	}
	for g := range w.groups {
		group := p.codebooks[g*w.maxBand : (g+1)*w.maxBand]
		for band := 0; band < w.maxBand; {
			book := p.bits.read(4)
			if err := p.checkBook(book, intensity); err != nil {
				return err
			}
			end := band + p.sectionLength(bits)
			if p.bits.over {
				return p.failEnd()
			}
			if end > w.maxBand { // clause 4.5.2.3: the sections of a group cover max_sfb bands
				return p.fail("section ends at band %d, behind max_sfb %d", end, w.maxBand)
			}
			for ; band < end; band++ {
				group[band] = uint8(book)
			}
		}
	}
	return nil
}

// sectionLength reads sect_len_incr up to the first that is not the escape value, all bits set, and adds them up.
func (p *parser) sectionLength(bits int) int {
	length, more := 0, 1<<bits-1
	for {
		n := p.bits.read(bits)
		length += n
		if n != more || p.bits.over {
			return length
		}
	}
}

// checkBook refuses a codebook number that the channel cannot use.
func (p *parser) checkBook(book int, intensity bool) error {
	switch book {
	case reservedBook: // clause 4.6.3
		return p.fail("codebook %d is reserved", book)
	case intensityBook, intensityBook2: // clause 4.6.8.2
		if !intensity {
			return p.fail("intensity codebook %d outside the right channel of a pair with common windows", book)
		}
		p.used |= toolIntensity
	case noiseBook:
		p.used |= toolNoise
	}
	return nil
}

// scalefactors parses scale_factor_data (clause 4.4.2.7): differences to the scale factor, the intensity position or the
// noise energy before, whichever the band's codebook asks for (clauses 4.6.2, 4.6.8.2, 4.6.13).
func (p *parser) scalefactors(w *windows, gain int) error {
	p.at.part = "scale_factor_data"
	factor, position, noise := gain, 0, gain-90
	firstNoise := true
	for _, book := range p.codebooks[:w.groups*w.maxBand] {
		switch book {
		case zeroBook:
		case intensityBook, intensityBook2:
			position += p.difference()
			if position < -maxLevel || position > maxLevel {
				return p.fail("intensity position %d", position)
			}
		case noiseBook:
			if firstNoise {
				firstNoise = false
				noise += p.bits.read(9) - 256
			} else {
				noise += p.difference()
			}
			if noise < -maxLevel || noise > maxLevel {
				return p.fail("noise energy %d", noise)
			}
		default:
			factor += p.difference()
			if factor < 0 || factor > maxScalefactor {
				return p.fail("scale factor %d", factor)
			}
		}
	}
	if p.bits.over {
		return p.failEnd()
	}
	return nil
}

// difference reads one codeword of the scale factor table: -60 to 60.
func (p *parser) difference() int { return scalefactorBook.decode(&p.bits) - 60 }

// pulses parses pulse_data_present and pulse_data (Table 4.7). Pulses belong to long windows and lie within the 1024
// lines (clause 4.6.3).
func (p *parser) pulses(w *windows) error {
	p.at.part = "pulse_data"
	if !p.bits.flag() {
		return nil
	}
	if w.short {
		return p.fail("pulses in short windows")
	}
	p.used |= toolPulse
	more, band := p.bits.read(2), p.bits.read(6)
	if most := len(w.edges) - 1; band >= most {
		return p.fail("pulse_start_sfb %d exceeds the %d bands of the sampling frequency", band, most)
	}
	line := int(w.edges[band])
	for range more + 1 {
		line += p.bits.read(5)
		if p.bits.skip(4); line >= longLines {
			return p.fail("pulse at line %d", line)
		}
	}
	return nil
}

// maxOrder is the largest order of a TNS filter of a long window in AAC-LC (clause 4.6.9, TNS_MAX_ORDER). That of a
// short window is 7, which is as much as its field holds.
const maxOrder = 12

// noiseShaping parses tns_data (clause 4.4.2.7).
func (p *parser) noiseShaping(w *windows) error {
	p.used |= toolTNS
	count, filterBits, lengthBits, orderBits := 1, 2, 6, 5
	if w.short {
		count, filterBits, lengthBits, orderBits = 8, 1, 4, 3
	}
	for range count {
		filters := p.bits.read(filterBits)
		if filters == 0 {
			continue
		}
		resolution := 3 + p.bits.read(1)
		for range filters {
			p.bits.skip(lengthBits)
			order := p.bits.read(orderBits)
			if order > maxOrder {
				return p.fail("TNS filter of order %d, at most %d", order, maxOrder)
			}
			if order == 0 {
				continue
			}
			p.bits.skip(1) // direction
			compress := p.bits.read(1)
			p.bits.skip(order * (resolution - compress))
		}
	}
	if p.bits.over {
		return p.failEnd()
	}
	return nil
}

// maxEscapePrefix is the number of ones that an escape sequence may begin with: more would make a value above 8191, the
// largest quantized value (clause 4.6.3).
const maxEscapePrefix = 8

// spectrum parses spectral_data (clause 4.4.2.7). A band of a group holds the lines of all of the group's windows.
func (p *parser) spectrum(w *windows) error {
	p.at.part = "spectral_data"
	for g := range w.groups {
		for band, book := range p.codebooks[g*w.maxBand : (g+1)*w.maxBand] {
			if book == zeroBook || book > escapeBook {
				continue
			}
			lines := int(w.edges[band+1]-w.edges[band]) * w.lengths[g]
			if err := p.lines(spectrumBooks[book], lines); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines parses n lines coded with one codebook.
func (p *parser) lines(b *codebook, n int) error {
	for ; n > 0; n -= b.lines {
		tail := b.tail[b.decode(&p.bits)]
		p.bits.skip(int(tail & 15))
		for range tail >> 4 {
			p.used |= toolEscape
			prefix := 0
			for p.bits.flag() {
				prefix++
			}
			if prefix > maxEscapePrefix {
				return p.fail("escape sequence with a prefix of %d", prefix)
			}
			p.bits.skip(prefix + 4)
		}
	}
	if p.bits.over {
		return p.failEnd()
	}
	return nil
}
