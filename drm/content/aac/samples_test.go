package aac

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample is one file of testdata: its configuration and its blocks.
type sample struct {
	name   string
	asc    []byte
	blocks [][]byte
}

// programASC is the AudioSpecificConfig of the sample whose ADTS header leaves the layout to a program config element:
// as the encoder wrote it for MP4, with SBR announced as absent behind it.
const programASC = "118004c844002000c40d4c61766335392e33372e31303056e500"

func readSamples(t testing.TB) []sample {
	t.Helper()
	files, err := filepath.Glob("testdata/*.aac")
	if err != nil || len(files) == 0 {
		t.Fatalf("samples: %v, %d files", err, len(files))
	}
	var all []sample
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, splitADTS(t, strings.TrimSuffix(filepath.Base(f), ".aac"), data))
	}
	return all
}

// splitADTS takes an ADTS stream (ISO/IEC 14496-3 clause 1.A.3.2) of one block per frame apart.
func splitADTS(t testing.TB, name string, data []byte) sample {
	t.Helper()
	s := sample{name: name}
	for len(data) > 0 {
		if len(data) < 7 || data[0] != 0xff || data[1]&0xf6 != 0xf0 || data[6]&3 != 0 {
			t.Fatalf("%s: no ADTS header", name)
		}
		header := 7
		if data[1]&1 == 0 {
			header = 9
		}
		object, frequency, channels := data[2]>>6+1, data[2]>>2&15, data[2]&1<<2|data[3]>>6
		size := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5]>>5)
		if size < header || size > len(data) {
			t.Fatalf("%s: ADTS frame of %d bytes", name, size)
		}
		s.asc = []byte{object<<3 | frequency>>1, frequency<<7 | channels<<3}
		if channels == 0 {
			s.asc = fromHex(t, programASC)
		}
		s.blocks = append(s.blocks, data[header:size])
		data = data[size:]
	}
	return s
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
