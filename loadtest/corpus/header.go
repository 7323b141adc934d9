package corpus

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// encode returns the beginning of the file, up to the first entry.
func (h *Header) encode() ([]byte, error) {
	if err := h.validate(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if len(text) > MaxHeader {
		return nil, fmt.Errorf("header: %d bytes are more than %d: fewer assets or profiles fit", len(text), MaxHeader)
	}
	b := make([]byte, 0, preambleLen+len(text)+4)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, Version)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = append(b, text...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// validate reports what an index of an entry could not refer to.
func (h *Header) validate() error {
	between := func(name string, n, most int) error {
		if n < 1 || n > most {
			return fmt.Errorf("header: %d %s are not between 1 and %d", n, name, most)
		}
		return nil
	}
	err := between("groups", len(h.Groups), MaxGroups)
	for _, g := range h.Groups {
		err = errors.Join(err, between("asks of a group", len(g.Asks), MaxAsks), between("devices of a group", len(g.Devices), MaxDevices))
	}
	return err
}

// preamble reads the first bytes of a file and returns the length of the header.
func preamble(b []byte) (length int, err error) {
	switch {
	case len(b) == 0:
		return 0, &Error{ReasonEmpty, "the file is empty", hintMint}
	case len(b) < preambleLen || string(b[:len(magic)]) != magic:
		return 0, &Error{ReasonForeign, "the file is no corpus of key requests", hintMint + "; single captured requests are given with --request"}
	}
	if v := binary.LittleEndian.Uint16(b[8:]); v != Version {
		return 0, &Error{ReasonVersion, fmt.Sprintf("the file has version %d of the corpus format, this keyflow reads version %d", v, Version),
			"mint it again with this keyflow, or use the keyflow that minted it"}
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if n > MaxHeader || b[10] != 0 || b[11] != 0 {
		return 0, altered("the file's header is altered: it claims to have %d bytes", n)
	}
	return int(n), nil
}

// parseHeader reads the header from the file's first bytes, its CRC included.
func parseHeader(b []byte) (*Header, error) {
	text, crc := b[preambleLen:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(b[:len(b)-4], castagnoli) != crc {
		return nil, altered("the file's header is altered: its checksum does not fit")
	}
	h := new(Header)
	if err := json.Unmarshal(text, h); err != nil {
		return nil, altered("the file's header cannot be read: %v", err)
	}
	if err := h.validate(); err != nil {
		return nil, altered("the file's %v", err)
	}
	return h, nil
}
