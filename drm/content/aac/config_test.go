package aac

import (
	"errors"
	"slices"
	"testing"
)

// program returns a program_config_element behind its id, for LC, with the channel elements given as binary digits
// (is_cpe and tag), one LFE and one coupling channel of tag 2; at is its position in bits.
func program(at int, object string, elements ...string) string {
	count := []string{"0000", "0001", "0010"}[len(elements)]
	s := "0101 " + object + " 0011 " + count + " 0000 0000 01 001 0001 0 1 1111 1 11 1 "
	for _, e := range elements {
		s += e
	}
	s += "0110 1111 0 0010"
	for (at+digits(s))%8 != 0 {
		s += "0"
	}
	return s + "00000001 10101010"
}

func digits(s string) (n int) {
	for _, d := range s {
		if d != ' ' {
			n++
		}
	}
	return n
}

func TestParseConfig(t *testing.T) {
	t.Parallel()
	const syncExtension = "01010110111 00101 1 0011"
	cases := []struct {
		name, asc string
		bands     int // scalefactor bands of long windows
		layout    []channelElement
		err       error
	}{
		{"stereo 48 kHz", "00010 0011 0010 000", 49, layouts[2], nil},
		{"7.1 8 kHz", "00010 1011 0111 000", 40, layouts[7], nil},
		{"SBR ahead", "00101 0110 0010 0011 00010 000", 47, layouts[2], nil},
		{"SBR ahead, explicit frequencies", "00101 1111 000000000101110111000000 0001 1111 000000001011101110000000 00010 000", 47, layouts[1], nil},
		{"PS ahead", "11101 0111 0001 0100 00010 000", 47, layouts[1], nil},
		{"SBR behind", "00010 0110 0010 000" + syncExtension, 47, layouts[2], nil},
		{"explicit frequency", "00010 1111 000000000111110100000000 0010 000", 51, layouts[2], nil}, // 32000 Hz
		{"explicit frequency at a floor", "00010 1111 000000000110110001000001 0001 000", 51, layouts[1], nil},
		{"explicit frequency below a floor", "00010 1111 000000000110110001000000 0001 000", 47, layouts[1], nil},
		{"lowest explicit frequency", "00010 1111 000000000000000000000001 0001 000", 40, layouts[1], nil},
		{"program", "00010 0011 0000 000" + program(16, "01", "0 0011", "1 0100"), 49,
			[]channelElement{{idSCE, 3}, {idCPE, 4}, {idLFE, 6}}, nil},

		{"empty", "", 0, nil, ErrConfig},
		{"no extension frequency", "00101 0110 0010 1111 0000", 0, nil, ErrConfig},
		{"one byte", "00010001", 0, nil, ErrConfig},
		{"truncated frequency", "00010 1111 0000000", 0, nil, ErrConfig},
		{"truncated core of SBR", "00101 0110 0010", 0, nil, ErrConfig},
		{"reserved frequency", "00010 1101 0010 000", 0, nil, ErrConfig},
		{"reserved extension frequency", "00101 0110 0010 1110 00010 000", 0, nil, ErrConfig},
		{"extension flag", "00010 0011 0010 001", 0, nil, ErrConfig},
		{"truncated program", "00010 0011 0000 000 0000 01 0011", 0, nil, ErrConfig},
		{"program without channels", "00010 0011 0000 000" + "0000 01 0011 0000 0000 0000 00 000 0000 000 0000000 00000000", 0, nil, ErrConfig},
		{"program with an element twice", "00010 0011 0000 000" + program(16, "01", "0 0011", "0 0011"), 0, nil, ErrConfig},

		{"main", "00001 0011 0010 000", 0, nil, errors.ErrUnsupported},
		{"SBR over BSAC", "00101 0110 0010 0011 10110 0010 000", 0, nil, errors.ErrUnsupported},
		{"xHE-AAC", "11111 001010 0011 0010 000", 0, nil, errors.ErrUnsupported},
		{"960 samples", "00010 0011 0010 100", 0, nil, errors.ErrUnsupported},
		{"core coder", "00010 0011 0010 010 00000000000000", 0, nil, errors.ErrUnsupported},
		{"channel configuration 11", "00010 0011 1011 000", 0, nil, errors.ErrUnsupported},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseConfig(binaryBytes(t, c.asc))
			if c.err != nil {
				if !errors.Is(err, c.err) {
					t.Fatalf("error %v, want %v", err, c.err)
				}
				if errors.Is(err, ErrConfig) && errors.Is(err, errors.ErrUnsupported) {
					t.Fatalf("error %v is both malformed and unsupported", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got.bands.long)-1 != c.bands || !slices.Equal(got.layout, c.layout) {
				t.Fatalf("%d bands, layout %v, want %d, %v", len(got.bands.long)-1, got.layout, c.bands, c.layout)
			}
		})
	}
}
