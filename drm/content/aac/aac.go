// Package aac parses AAC-LC access units (raw_data_block of ISO/IEC 14496-3 subpart 4) to their last bit without
// reconstructing audio, as proof that decrypted audio is audio.
//
// AAC has no checksum; what tells audio from noise is the syntax. Every field has to be one that a conforming stream
// can hold, the channel elements have to be those that the configuration announces, and the terminating element has to
// end in the block's last byte. The rules that noise breaks stand in the code beside their clause (of ISO/IEC
// 14496-3:2009). Left out are rules that carry little and that a stream may break and still play: the bandwidth and the
// window shape of an LFE, the value of alignment bits, the uniqueness of element tags, the content of fill and data
// stream elements.
//
// # What a block proves
//
// Decryption with a wrong key gives random bytes. Of some five million random blocks of each length, at 8, 44.1 and
// 48 kHz, these shares passed:
//
//	mono    4 bytes (the shortest: digital silence)  2^-17
//	mono    5 bytes (the weakest length)             2^-15.5
//	mono    6 to 24 bytes                            2^-18 to 2^-20
//	mono    64 bytes and more                        about 2^-21, falling
//	stereo  6 bytes (the shortest) and 7             2^-20
//	stereo  more                                     about 2^-21, falling
//	5.1     any                                      none
//
// So a single block, above all a short one, can pass by chance when many are tried; two in a row do so once in 2^31 at
// worst, and a segment has dozens. A caller proves a key by [CheckBlocks] on all blocks of a segment, and gives it only
// blocks that were encrypted: in the cbcs scheme the bytes after the last whole cipher block of a sample stay in the
// clear (ISO/IEC 23001-7), so that a sample of less than 16 bytes parses whatever the key.
package aac

import (
	"errors"
	"fmt"
)

// ErrConfig is wrapped by errors that say that an AudioSpecificConfig is malformed. It comes out of the init segment,
// which is not encrypted, so that it says nothing of a key.
var ErrConfig = errors.New("invalid AudioSpecificConfig")

// ErrInconclusive is wrapped by the error of [CheckBlocks] for too few blocks. It is an [errors.ErrUnsupported].
var ErrInconclusive = fmt.Errorf("too few audio blocks to prove a key: %w", errors.ErrUnsupported)

// MinBlocks is the number of blocks below which [CheckBlocks] refuses to call a key proven.
const MinBlocks = 2

// SyntaxError says where a block stops being AAC-LC. It holds no byte of the block.
type SyntaxError struct {
	Path   string // of the element, e.g. raw_data_block/channel_pair_element 1/right/section_data
	Bit    int    // of the block, at which the reader stood
	Reason string
}

// Error returns path, bit position and reason in one line.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s: bit %d: %s", e.Path, e.Bit, e.Reason)
}

// CheckBlock parses one raw_data_block by the AudioSpecificConfig asc. It returns nil only if every bit is accounted for:
// the terminating element is reached, and only alignment bits of the last byte follow.
//
// A block that is not AAC-LC gives a [*SyntaxError]. A configuration that this package cannot judge gives an error that
// wraps [errors.ErrUnsupported], a malformed one an error that wraps [ErrConfig].
func CheckBlock(asc []byte, block []byte) error {
	c, err := parseConfig(asc)
	if err != nil {
		return err
	}
	p := parser{config: c}
	return p.parse(block)
}

// CheckBlocks parses all blocks, which share the AudioSpecificConfig asc, as [CheckBlock] does, and returns the first
// error with the block's number, counted from 0. Fewer than [MinBlocks] give an error that wraps [ErrInconclusive].
func CheckBlocks(asc []byte, blocks [][]byte) error {
	c, err := parseConfig(asc)
	if err != nil {
		return err
	}
	p := parser{config: c}
	for i, b := range blocks {
		if err := p.parse(b); err != nil {
			return fmt.Errorf("audio block %d of %d: %w", i, len(blocks), err)
		}
	}
	if len(blocks) < MinBlocks {
		return fmt.Errorf("%d of at least %d: %w", len(blocks), MinBlocks, ErrInconclusive)
	}
	return nil
}
