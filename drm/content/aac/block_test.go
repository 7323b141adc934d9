package aac

import (
	"errors"
	"strings"
	"testing"
)

// Pieces of blocks as binary digits.
const (
	gain      = "01100100 "                  // 100
	info      = "0 00 0 "                    // ics_info of a long window up to max_sfb
	noTools   = "0 0 0 "                     // no pulses, no TNS, no gain control
	empty     = info + "000000 0 " + noTools // a channel without bands, behind global_gain
	emptyCW   = gain + noTools               // the same where the pair has the ics_info
	silentSCE = "000 0000 " + gain + empty
	silentCPE = "001 0000 0 " + gain + empty + gain + empty
	silentLFE = "011 0000 " + gain + empty
	end       = "111"

	oneBand  = "000 0000 " + gain + info + "000001 0 " // up to section_data
	shortOne = "000 0000 " + gain + "0 10 0 0001 1111111 "
	pairOf1  = "001 0000 1 " + info + "000001 0 " // up to ms_mask_present
	stereo   = 2
)

// difference is the scale factor codeword of a difference.
func difference(d int) string { return scalefactorCodewords[d+60].text() + " " }

type blockCase struct {
	name     string
	channels int    // channelConfiguration
	program  string // program config element of the configuration instead
	block    string
	says     string
}

// blockCases are blocks at 48 kHz: mono unless channels says otherwise. says is what the error holds, "" if there is
// none.
var blockCases = []blockCase{
	{name: "silence", block: silentSCE + end},
	{name: "silent pair", channels: stereo, block: silentCPE + end},
	{name: "silent pair with common windows", channels: stereo, block: "001 0000 1 0 00 0 000000 0 00" + emptyCW + emptyCW + end},
	{name: "silent short windows", block: "000 0000 " + gain + "0 10 0 0000 0000000 " + noTools + end},
	{name: "silent 5.1", channels: 6, block: silentSCE + silentCPE + silentCPE + silentLFE + end},
	{name: "data streams", block: "100 0011 0 00000001 11111111" + silentSCE + "100 0000 1 00000000 000" + end},
	{name: "long data stream", block: silentSCE + "100 0000 0 11111111 00000001" + strings.Repeat("01", 4*256) + end},
	{name: "all alignment bits set", block: silentSCE + "110 0000" + end + "1"},
	{name: "section of no bands", block: oneBand + "0000 00000 0000 00001" + noTools + end},
	{name: "section with escaped length", block: "000 0000 " + gain + info + "100000 0 0000 11111 00001" + noTools + end},
	{name: "bands of the frequency", block: "000 0000 " + gain + info + "110001 0 0000 11111 10010" + noTools + end},
	{name: "one spectrum", block: oneBand + "0001 00001" + difference(0) + noTools + "0" + end},
	{name: "noise bands", block: oneBand + "1101 00001 100000000" + noTools + end},
	{name: "pulses up to the last line", block: oneBand + "0001 00001 0 1 01 110000 11111 0000 11111 1111 0 0 0" + end},
	{name: "TNS of order 12", block: "000 0000 " + gain + info + "000000 0 0 1 01 1 000001 01100 0 1" +
		strings.Repeat("011", 12) + "0" + end},
	{name: "TNS in short windows", block: "000 0000 " + gain + "0 10 0 0000 0000000 0 1" +
		"1 0 0001 111 0 0" + strings.Repeat("010", 7) + "1 1 0001 000 000000 0" + end},
	{name: "largest escape", block: oneBand + "1011 00001" + difference(0) + noTools +
		spectrumCodewords11[16*17+16].text() + "00 111111110 111111111111 0 1111" + spectrumCodewords11[0].text() + end},
	{name: "intensity right", channels: stereo, block: pairOf1 + "00" + gain + "0000 00001" + noTools +
		gain + "1111 00001" + difference(-60) + noTools + end},
	{name: "mask for each band", channels: stereo, block: pairOf1 + "01 1" + gain + "0000 00001" + noTools +
		gain + "0000 00001" + noTools + end},
	{name: "coupling channel", block: silentSCE + "010 0000 0 001 1 0000 11 0 0000 1 0 00" + gain + info + "000001 0" +
		"0001 00001" + difference(0) + noTools + "0" + "0" + difference(5) + "1" + difference(-5) + end},
	{name: "independent coupling channel", block: silentSCE + "010 0000 1 001 0 0000 0 0001 1 0 00" + gain + empty +
		difference(60) + end},
	{name: "program in the block", block: "101" + program(3, "01", "0 0000") + silentSCE + end},
	{name: "program outside", program: program(16, "01", "0 0000", "1 0001"),
		block: "011 0110 " + gain + empty + "001 0001 0 " + gain + empty + gain + empty + silentSCE + end},

	{name: "nothing", says: "raw_data_block: bit 0: block ends without terminator"},
	{name: "terminator alone", block: end, says: "bit 3: single_channel_element of the channel configuration is missing"},
	{name: "missing pair", channels: 3, block: silentSCE + end, says: "channel_pair_element of the channel configuration is missing"},
	{name: "one channel too many", block: silentSCE + silentSCE + end, says: "single_channel_element 0: bit"},
	{name: "pair for mono", block: silentCPE + end, says: "not the channel configuration's next"},
	{name: "wrong order", channels: 3, block: silentCPE + silentSCE + end, says: "not the channel configuration's next"},
	{name: "no terminator", block: silentSCE + "101", says: "program_config_element"},
	{name: "byte behind", block: silentSCE + end + "00000000", says: "1 bytes follow the terminator"},
	{name: "fill behind the end", block: silentSCE + "110 0010 00000000", says: "raw_data_block/fill_element: bit 48: block ends here"},
	{name: "data stream behind the end", block: silentSCE + "100 0000 0 11111111 11111111",
		says: "data_stream_element 0: bit 56: block ends here"},
	{name: "reserved bit", block: "000 0000 " + gain + "1", says: "ics_info: bit 16: ics_reserved_bit"},
	{name: "prediction", block: "000 0000 " + gain + info + "000000 1", says: "predictor_data_present"},
	{name: "more bands than the frequency has", block: "000 0000 " + gain + info + "110010 0", says: "max_sfb 50 exceeds the 49"},
	{name: "more short bands", block: "000 0000 " + gain + "0 10 0 1111 0000000", says: "max_sfb 15 exceeds the 14"},
	{name: "codebook 12", block: oneBand + "1100 00001", says: "section_data: bit 30: codebook 12 is reserved"},
	{name: "section too long", block: oneBand + "0001 00010", says: "section ends at band 2, behind max_sfb 1"},
	{name: "sections that never end", block: "000 0000 " + gain + info + "110001 0 0000 00000 0000 00000",
		says: "section_data: bit 48: block ends here"},
	{name: "intensity in a single channel", block: oneBand + "1111 00001", says: "intensity codebook 15 outside"},
	{name: "intensity left", channels: stereo, block: pairOf1 + "00" + gain + "1110 00001", says: "/left/section_data: bit"},
	{name: "intensity without common windows", channels: stereo, block: "001 0000 0 " + gain + empty + gain + info + "000001 0 1111 00001",
		says: "channel_pair_element 0/right/section_data"},
	{name: "reserved mask", channels: stereo, block: pairOf1 + "11", says: "ms_mask_present 3"},
	{name: "scale factor below 0", block: "000 0000 00000000" + info + "000001 0 0001 00001" + difference(-1), says: "scale factor -1"},
	{name: "scale factor above 255", block: "000 0000 11111111" + info + "000001 0 0001 00001" + difference(1), says: "scale factor 256"},
	{name: "noise energy", block: "000 0000 00000000" + info + "000001 0 1101 00001 000000000", says: "noise energy -346"},
	{name: "intensity position", channels: stereo, block: "001 0000 1 " + info + "000101 0 00" + gain + "0000 00101" + noTools +
		gain + "1110 00101" + strings.Repeat(difference(60), 5), says: "intensity position 300"},
	{name: "scale factors behind the end", block: "000 0000 " + gain + info + "000110 0 0001 00110",
		says: "scale_factor_data: bit 40: block ends here"},
	{name: "pulses in short windows", block: shortOne + "0000 001 1", says: "pulses in short windows"},
	{name: "pulse band", block: "000 0000 " + gain + info + "000000 0 1 00 110001 00000 0000", says: "pulse_start_sfb 49 exceeds the 49"},
	{name: "pulse line", block: "000 0000 " + gain + info + "000000 0 1 11 110000 11111 0000 11111 0000 11111 0000 11111 0000",
		says: "pulse at line 1052"},
	{name: "TNS of order 13", block: "000 0000 " + gain + info + "000000 0 0 1 01 1 000001 01101", says: "TNS filter of order 13"},
	{name: "TNS behind the end", block: "000 0000 " + gain + info + "000000 0 0 1 01 1 000001 01100 0 0",
		says: "tns_data: bit 48: block ends here"},
	{name: "gain control", block: "000 0000 " + gain + info + "000000 0 0 0 1", says: "gain control in AAC-LC"},
	{name: "escape too large", block: oneBand + "1011 00001" + difference(0) + noTools +
		spectrumCodewords11[16].text() + "0 1111111110", says: "escape sequence with a prefix of 9"},
	{name: "spectrum behind the end", block: oneBand + "1011 00001" + difference(0) + noTools,
		says: "spectral_data: bit 40: block ends here"},
	{name: "LFE with short windows", channels: 6, block: silentSCE + silentCPE + silentCPE + "011 0000 " + gain + "0 10 0 0000 0000000 ",
		says: "lfe_channel_element 0/ics_info: bit 163: short windows in an LFE"},
	{name: "LFE with TNS", channels: 6, block: silentSCE + silentCPE + silentCPE + "011 0000 " + gain + info + "000000 0 0 1",
		says: "TNS in an LFE"},
	{name: "program behind a channel", block: silentSCE + "101" + program(32, "01", "0 0000") + end,
		says: "program_config_element 5: bit 32: element is not at the start"},
	{name: "program of another object type", block: "101" + program(3, "11", "0 0000") + silentSCE + end,
		says: "object_type 3 is not AAC-LC"},
	{name: "coupling channel not in the program", program: program(16, "01", "0 0000"), block: "010 0011",
		says: "coupling_channel_element 3"},
	{name: "coupling gains behind the end", block: silentSCE + "010 0000 1 111 " + strings.Repeat("1 0000 11", 8) + "1 0 00" + gain + empty,
		says: "gain_element_lists"},
	{name: "element of another tag", program: program(16, "01", "0 0000"), block: "000 0001", says: "single_channel_element 1: bit 7"},
	{name: "element of the program twice", program: program(16, "01", "0 0000"), block: silentSCE + silentSCE,
		says: "not the channel configuration's next"},
}

// config is the AudioSpecificConfig of the case.
func (c blockCase) config(t testing.TB) []byte {
	t.Helper()
	channels := []string{"0001", "", "0010", "0011", "", "", "0110"}[c.channels]
	if c.program != "" {
		channels = "0000"
	}
	return binaryBytes(t, "00010 0011 "+channels+" 000"+c.program)
}

func TestSyntax(t *testing.T) {
	t.Parallel()
	for _, c := range blockCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := CheckBlock(c.config(t), binaryBytes(t, c.block))
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want a SyntaxError with %q", err, c.says)
			}
		})
	}
}
