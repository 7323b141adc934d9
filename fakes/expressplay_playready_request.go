package fakes

import (
	"net/url"
	"strconv"
	"time"
)

// maxOPL is the highest output protection level that a token request may have (sheet providers.md §2.1).
const maxOPL = 999

// readers are those of the parameters for PlayReady alone, in order.
func (p *playReadyRights) readers(now time.Time) []func(url.Values) *problem {
	return []func(url.Values) *problem{
		func(v url.Values) *problem { return p.readType(v, now) }, p.readLevels, p.readUnknownOutput, checkOutputFlags,
	}
}

// readType reads the type of the rights and, with it, whether the license may be stored: a rental always may. The sheet has the
// four bytes of generalFlags and that 00000001 is a license to be stored; what other bits mean is not known, and they are refused.
// That a rental which is not to be stored is refused with the code of wrong flags is the fake's choice.
func (p *playReadyRights) readType(v url.Values, now time.Time) *problem {
	flags := v.Get("generalFlags")
	if flags != "" && flags != "00000000" && flags != "00000001" {
		return argument(codeFlags, "generalFlags is neither 00000000 nor 00000001")
	}
	p.persistent = flags == "00000001"
	switch v.Get("rightsType") {
	case "BuyToOwn": // parameters of rentals change nothing
		return nil
	case "Rental":
	case "":
		return argument(codeRightsTypeMissing, "rightsType is missing")
	default:
		return argument(codeRightsType, "rightsType is neither BuyToOwn nor Rental")
	}
	if flags != "" && !p.persistent {
		return argument(codeFlags, "generalFlags is that of a license in memory, and a rental is stored")
	}
	p.persistent = true
	return p.readRental(v, now)
}

// readRental reads when a rental ends. The sheet has three codes for its fields together; which is whose is the fake's choice.
func (p *playReadyRights) readRental(v url.Values, now time.Time) *problem {
	text := v.Get("rental.periodEndTime")
	if text == "" {
		return argument(codeRentalEndMissing, "rental.periodEndTime is missing")
	}
	ends, ok := readTime(text, now)
	if !ok {
		return argument(codeRentalEnd, "rental.periodEndTime is neither a time such as 2030-01-02T03:04:05Z nor +seconds")
	}
	p.ends = ends.Truncate(time.Second) // licenses know no fractions
	if !p.ends.After(now) || p.ends.Unix() > lastEnd {
		return argument(codeRentalEnd, "rental.periodEndTime is in the past, or later than a license can say")
	}
	if text = v.Get("rental.playDuration"); text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return argument(codeRentalPlay, "rental.playDuration is not a number of seconds")
	}
	p.plays = time.Duration(n) * time.Second
	return nil
}

// readLevels reads the five output protection levels, all of which are required.
func (p *playReadyRights) readLevels(v url.Values) *problem {
	names := []string{ // in the order of levelsOf
		"analogVideoOPL", "compressedDigitalAudioOPL", "compressedDigitalVideoOPL", "uncompressedDigitalAudioOPL", "uncompressedDigitalVideoOPL",
	}
	for i, level := range levelsOf(&p.output) {
		text := v.Get(names[i])
		if text == "" {
			return argument(codeOPLMissing, names[i]+" is missing")
		}
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n > maxOPL {
			return argument(codeOPL, names[i]+" is not 0 to 999")
		}
		*level = uint16(n)
	}
	return nil
}

func (p *playReadyRights) readUnknownOutput(v url.Values) *problem {
	switch v.Get("unknownOutputBehavior") {
	case "":
	case "Allow":
		p.unknown = unknownOutputAllow
	case "Disallow":
		p.unknown = unknownOutputDisallow
	case "SDOnly":
		p.unknown = unknownOutputSDOnly
	default:
		return argument(codeUnknownOutput, "unknownOutputBehavior is none of Allow, Disallow and SDOnly")
	}
	return nil
}

// checkOutputFlags checks what changes nothing here: the sheet has the form of the flags, not what they mean.
func checkOutputFlags(v url.Values) *problem {
	if flags := v.Get("outputControlFlags"); flags != "" {
		if _, ok := hexadecimal(flags, 4); !ok {
			return argument(codeOutputFlags, "outputControlFlags is not 8 hexadecimal digits")
		}
	}
	return nil
}
