package aac

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// elementID is id_syn_ele (ISO/IEC 14496-3 clause 4.5.2.1).
type elementID int

const (
	idSCE elementID = iota
	idCPE
	idCCE
	idLFE
	idDSE
	idPCE
	idFIL
	idEND
)

// String returns the element's name in the standard.
func (id elementID) String() string {
	return [...]string{
		"single_channel_element", "channel_pair_element", "coupling_channel_element", "lfe_channel_element",
		"data_stream_element", "program_config_element", "fill_element", "terminator",
	}[id]
}

// tool is a set of coding tools.
type tool int

const (
	toolShort tool = 1 << iota
	toolGrouping
	toolPulse
	toolTNS
	toolNoise
	toolIntensity
	toolMidSide
	toolEscape
)

// parser parses blocks of one configuration. It is reused so that a segment costs no allocation per block.
type parser struct {
	config *config
	bits   bitReader
	at     place
	used   tool // by all blocks parsed so far: tells the tests what their samples exercise

	seen   uint64 // bit i: the block held config.layout[i]
	others bool   // the block held anything but program config elements
	// codebooks are the codebook numbers of the channel last parsed, by group, then by band: at most 51 bands of a
	// long window or 8 × 15 of short ones.
	codebooks [8 * 15]uint8
}

// place is where in the block the parser is.
type place struct {
	element elementID
	tag     int
	channel string // of a pair
	part    string
}

func (p *parser) fail(format string, args ...any) error {
	path := []string{"raw_data_block"}
	switch p.at.element {
	case idEND:
	case idFIL:
		path = append(path, p.at.element.String())
	default:
		path = append(path, p.at.element.String()+" "+strconv.Itoa(p.at.tag))
	}
	for _, s := range []string{p.at.channel, p.at.part} {
		if s != "" {
			path = append(path, s)
		}
	}
	return &SyntaxError{strings.Join(path, "/"), p.bits.pos, fmt.Sprintf(format, args...)}
}

func (p *parser) failEnd() error { return p.fail("block ends here") }

// parse parses a raw_data_block (clause 4.4.2.1, Table 4.3).
func (p *parser) parse(block []byte) error {
	p.bits, p.seen, p.others = bitReader{data: block}, 0, false
	for {
		p.at = place{element: idEND}
		id := elementID(p.bits.read(3))
		if p.bits.over {
			return p.fail("block ends without terminator")
		}
		if id == idEND {
			return p.end()
		}
		p.at.element = id
		if err := p.element(); err != nil {
			return err
		}
		if p.bits.over {
			return p.failEnd()
		}
		p.others = p.others || id != idPCE
	}
}

// end checks what is known only at the terminator.
func (p *parser) end() error {
	for i, e := range p.config.layout {
		if p.seen&(1<<i) == 0 {
			return p.fail("%s of the channel configuration is missing", e.id)
		}
	}
	p.bits.align()
	if n := p.bits.left() / 8; n > 0 {
		return p.fail("%d bytes follow the terminator", n)
	}
	return nil
}

// element parses one syntactic element behind its id.
func (p *parser) element() error {
	if p.at.element == idFIL {
		p.fill()
		return nil
	}
	if p.at.element == idPCE {
		return p.programConfig()
	}
	p.at.tag = p.bits.read(4)
	switch p.at.element {
	case idDSE:
		p.dataStream()
		return nil
	case idCCE:
		return p.coupling()
	}
	if err := p.expect(); err != nil {
		return err
	}
	if p.at.element == idCPE {
		return p.pair()
	}
	var w windows
	return p.channel(&w, channelKind{lfe: p.at.element == idLFE, ownWindows: true})
}

// expect checks that the channel element read is one that the configuration has here: by its place if the configuration
// is numbered, else by its tag (clauses 1.6.3.5 and 4.5.1.2).
func (p *parser) expect() error {
	for i, e := range p.config.layout {
		if p.seen&(1<<i) != 0 {
			continue
		}
		if e.id == p.at.element && (p.config.ordered || e.tag == p.at.tag) {
			p.seen |= 1 << i
			return nil
		}
		if p.config.ordered {
			break
		}
	}
	return p.fail("element is not the channel configuration's next")
}

// fill parses a fill_element (Table 4.11). What is in it, such as SBR data, is skipped by its length.
func (p *parser) fill() {
	n := p.bits.read(4)
	if n == 15 {
		n += p.bits.read(8) - 1
	}
	p.bits.skip(8 * n)
}

// dataStream parses a data_stream_element (Table 4.10).
func (p *parser) dataStream() {
	align := p.bits.flag()
	n := p.bits.read(8)
	if n == 255 {
		n += p.bits.read(8)
	}
	if align {
		p.bits.align()
	}
	p.bits.skip(8 * n)
}

// programConfig parses a program_config_element (Table 4.2). The layout is the AudioSpecificConfig's; one in the block
// has to be that of an LC program and come ahead of all other elements (clause
// 4.5.1.2, ISO/IEC 13818-7 clause 8.5).
func (p *parser) programConfig() error {
	p.at.tag = int(p.bits.peek(4))
	if p.others {
		return p.fail("element is not at the start of the block")
	}
	if pc := readProgramConfig(&p.bits); pc.object != objectTypeLC {
		return p.fail("object_type %d is not AAC-LC", pc.object)
	}
	return nil
}

// pair parses a channel_pair_element (Table 4.5).
func (p *parser) pair() error {
	var w windows
	common := p.bits.flag()
	if common {
		if err := p.windows(&w); err != nil {
			return err
		}
		if err := p.midSide(&w); err != nil {
			return err
		}
	}
	p.at.channel = "left"
	if err := p.channel(&w, channelKind{ownWindows: !common}); err != nil {
		return err
	}
	// Intensity stereo is a tool of the right channel of a pair with common windows (clause 4.6.8.2).
	p.at.channel = "right"
	return p.channel(&w, channelKind{ownWindows: !common, intensity: common})
}

// midSide parses ms_mask_present and ms_used (clause 4.6.8.1).
func (p *parser) midSide(w *windows) error {
	p.at.part = "ms_mask"
	switch mask := p.bits.read(2); mask {
	case 0:
		return nil
	case 1:
		p.bits.skip(w.groups * w.maxBand)
	case 3:
		return p.fail("ms_mask_present 3 is reserved")
	}
	p.used |= toolMidSide
	return nil
}

// coupling parses a coupling_channel_element (Table 4.8).
func (p *parser) coupling() error {
	if !p.config.ordered && !slices.Contains(p.config.coupled, p.at.tag) {
		return p.fail("element is not in the program config element")
	}
	independent := p.bits.flag()
	lists := 0
	for range p.bits.read(3) + 1 { // num_coupled_elements is one less than the targets
		lists++
		isPair := p.bits.flag()
		p.bits.skip(4) // cc_target_tag_select
		if isPair && p.bits.read(2) == 0b11 {
			lists++ // one for each channel of the pair
		}
	}
	p.bits.skip(1 + 1 + 2) // cc_domain, gain_element_sign, gain_element_scale
	var w windows
	if err := p.channel(&w, channelKind{ownWindows: true}); err != nil {
		return err
	}
	p.at.part = "gain_element_lists"
	for range lists - 1 { // the first list is not transmitted
		p.gains(&w, independent || p.bits.flag())
		if p.bits.over {
			return p.failEnd()
		}
	}
	return nil
}

// gains parses one gain element list of a coupling channel: one gain, or one for every band that has a spectrum.
func (p *parser) gains(w *windows, common bool) {
	if common {
		scalefactorBook.decode(&p.bits)
		return
	}
	for _, cb := range p.codebooks[:w.groups*w.maxBand] {
		if cb != zeroBook {
			scalefactorBook.decode(&p.bits)
		}
	}
}
