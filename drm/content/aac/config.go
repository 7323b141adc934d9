package aac

import (
	"errors"
	"fmt"
)

// Audio object types (ISO/IEC 14496-3 clause 1.5.1).
const (
	objectLC  = 2
	objectSBR = 5
	objectPS  = 29
)

// config is what an AudioSpecificConfig says of the blocks.
type config struct {
	bands   bands
	layout  []channelElement
	ordered bool  // the elements come in the order of layout, with any tag
	coupled []int // tags of the coupling channel elements; of no meaning if ordered
}

// channelElement is a channel element that every block holds once.
type channelElement struct {
	id  elementID
	tag int
}

// layouts are the channel elements of channelConfiguration 1 to 7 in the order in which a block has them (clause
// 1.6.3.5).
var layouts = [8][]channelElement{
	1: {{id: idSCE}},
	2: {{id: idCPE}},
	3: {{id: idSCE}, {id: idCPE}},
	4: {{id: idSCE}, {id: idCPE}, {id: idSCE}},
	5: {{id: idSCE}, {id: idCPE}, {id: idCPE}},
	6: {{id: idSCE}, {id: idCPE}, {id: idCPE}, {id: idLFE}},
	7: {{id: idSCE}, {id: idCPE}, {id: idCPE}, {id: idCPE}, {id: idLFE}},
}

// parseConfig reads an AudioSpecificConfig (clause 1.6.2.1) whose core is AAC-LC. SBR and PS may be announced ahead of
// the core (object types 5 and 29), behind it or not at all: their data are in fill elements either way (clause 1.6.5),
// so that what follows GASpecificConfig is not looked at.
func parseConfig(asc []byte) (*config, error) {
	r := &bitReader{data: asc}
	object := readObjectType(r)
	frequency, err := readFrequency(r)
	if err != nil {
		return nil, err
	}
	channels := r.read(4)
	if object == objectSBR || object == objectPS {
		if _, err = readFrequency(r); err != nil {
			return nil, err
		}
		object = readObjectType(r)
	}
	if r.over {
		return nil, configError("ends after %d bytes", len(asc))
	}
	if object != objectLC {
		return nil, unsupported("audio object type %d, only %d (AAC-LC) can be checked", object, objectLC)
	}
	c := &config{bands: bandsOf(frequency), ordered: true}
	if err = readGeneral(r); err != nil {
		return nil, err
	}
	switch {
	case channels == 0:
		err = c.readProgram(r)
	case channels < len(layouts):
		c.layout = layouts[channels]
	default:
		err = unsupported("channelConfiguration %d", channels)
	}
	if err == nil && r.over {
		err = configError("ends after %d bytes", len(asc))
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func readObjectType(r *bitReader) int {
	object := r.read(5)
	if object == 31 {
		object = 32 + r.read(6)
	}
	return object
}

// explicitFrequency is the sampling frequency index that 24 bits with the frequency in Hz follow.
const explicitFrequency = 15

// frequencyFloors are the lowest explicit frequencies, in Hz, that use the tables of sampling frequency index 0, 1, …;
// what is lower uses those of the next index (clause 4.5.1.1, the table of sampling frequency mapping).
var frequencyFloors = []int{92017, 75132, 55426, 46009, 37566, 27713, 23004, 18783, 13856, 11502, 9391}

// readFrequency returns the sampling frequency index whose tables are used (clause 1.6.3.4).
func readFrequency(r *bitReader) (int, error) {
	index := r.read(4)
	switch {
	case index == explicitFrequency:
		hz := r.read(24)
		for i, floor := range frequencyFloors {
			if hz >= floor {
				return i, nil
			}
		}
		return len(frequencyFloors), nil
	case index > 12:
		return 0, configError("reserved sampling frequency index %d", index)
	}
	return index, nil
}

// readGeneral reads GASpecificConfig (clause 4.4.1, Table 4.1) up to where a program config element stands.
func readGeneral(r *bitReader) error {
	if r.flag() {
		return unsupported("frames of 960 samples")
	}
	if r.flag() {
		return unsupported("a core coder")
	}
	if r.flag() {
		return configError("extensionFlag is set for AAC-LC") // clause 4.5.1.1
	}
	return nil
}

// readProgram takes the layout from the program config element of an AudioSpecificConfig.
func (c *config) readProgram(r *bitReader) error {
	c.ordered = false
	program := readProgramConfig(r)
	c.layout, c.coupled = program.elements, program.coupled
	if len(c.layout) == 0 {
		return configError("program config element without channels")
	}
	for i, e := range c.layout {
		for _, before := range c.layout[:i] {
			if e == before {
				return configError("program config element names %s %d twice", e.id, e.tag)
			}
		}
	}
	return nil
}

// programConfig is what is used of a program_config_element.
type programConfig struct {
	object   int // object_type: 0 Main, 1 LC, 2 SSR, 3 LTP
	elements []channelElement
	coupled  []int
}

// objectTypeLC is AAC-LC in the two bits of object_type (clause 4.5.1.2).
const objectTypeLC = 1

// readProgramConfig reads a program_config_element (clause 4.4.1.1, Table 4.2), which is aligned from the start of the
// reader's data.
func readProgramConfig(r *bitReader) programConfig {
	r.skip(4) // element_instance_tag
	pc := programConfig{object: r.read(2)}
	r.skip(4) // sampling_frequency_index
	pairs := r.read(4) + r.read(4) + r.read(4)
	lfes, data, coupled := r.read(2), r.read(3), r.read(4)
	for _, bits := range []int{4, 4, 3} { // mono, stereo and matrix mixdown
		if r.flag() {
			r.skip(bits)
		}
	}
	for range pairs {
		e := channelElement{id: idSCE}
		if r.flag() {
			e.id = idCPE
		}
		e.tag = r.read(4)
		pc.elements = append(pc.elements, e)
	}
	for range lfes {
		pc.elements = append(pc.elements, channelElement{id: idLFE, tag: r.read(4)})
	}
	r.skip(4 * data)
	for range coupled {
		r.skip(1) // cc_element_is_ind_sw
		pc.coupled = append(pc.coupled, r.read(4))
	}
	r.align()
	r.skip(8 * r.read(8)) // comment_field_data
	return pc
}

func configError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("AudioSpecificConfig: %s: %w", fmt.Sprintf(format, args...), errors.ErrUnsupported)
}
