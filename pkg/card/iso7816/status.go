package iso7816

import (
	"errors"
	"fmt"
	"slices"
)

// Status words that callers branch on (ISO/IEC 7816-4, 5.6).
const (
	SWOK               uint16 = 0x9000
	SWEndOfFile        uint16 = 0x6282 // fewer bytes than wanted, up to the end of the file
	SWMemoryFailure    uint16 = 0x6581
	SWWrongLength      uint16 = 0x6700
	SWNoChaining       uint16 = 0x6884
	SWSecurity         uint16 = 0x6982
	SWBlocked          uint16 = 0x6983
	SWInvalidated      uint16 = 0x6984
	SWConditions       uint16 = 0x6985
	SWNoCurrentEF      uint16 = 0x6986
	SWWrongData        uint16 = 0x6A80
	SWNotSupported     uint16 = 0x6A81
	SWNotFound         uint16 = 0x6A82
	SWNoSpace          uint16 = 0x6A84
	SWWrongP1P2        uint16 = 0x6A86
	SWReferenceMissing uint16 = 0x6A88
	SWFileExists       uint16 = 0x6A89
	SWNameExists       uint16 = 0x6A8A
	SWOutsideFile      uint16 = 0x6B00
	SWUnknownINS       uint16 = 0x6D00
	SWUnknownCLA       uint16 = 0x6E00
)

// StatusError is a status word other than 9000, as an error.
type StatusError struct{ SW uint16 }

// Error names the status word and its meaning.
func (e StatusError) Error() string { return fmt.Sprintf("status %04X: %s", e.SW, Meaning(e.SW)) }

// IsStatus tells whether err holds a StatusError with one of the status words.
func IsStatus(err error, words ...uint16) bool {
	var status StatusError
	return errors.As(err, &status) && slices.Contains(words, status.SW)
}

// Meaning is what ISO/IEC 7816-4 says of a status word, in a few words.
func Meaning(sw uint16) string {
	if text := exactMeaning(sw); text != "" {
		return text
	}
	switch sw >> 8 {
	case 0x61:
		return fmt.Sprintf("%d more bytes of response", sw&0xff)
	case 0x62:
		return "warning, memory unchanged"
	case 0x63:
		if sw&0xf0 == 0xc0 {
			return fmt.Sprintf("warning, counter at %d", sw&0x0f)
		}
		return "warning, memory changed"
	case 0x64:
		return "execution error, memory unchanged"
	case 0x65:
		return "execution error, memory changed"
	case 0x66:
		return "security error"
	case 0x68:
		return "function of class byte not supported"
	case 0x69:
		return "command not allowed"
	case 0x6A:
		return "wrong parameters"
	case 0x6C:
		return fmt.Sprintf("wrong Le, %d bytes available", sw&0xff)
	}
	return "unknown"
}

func exactMeaning(sw uint16) string {
	switch sw {
	case SWOK:
		return "done"
	case SWEndOfFile:
		return "end of file before as many bytes as wanted"
	case SWMemoryFailure:
		return "memory failure"
	case SWWrongLength:
		return "wrong length"
	case SWNoChaining:
		return "command chaining not supported"
	case SWSecurity:
		return "security status not satisfied"
	case SWBlocked:
		return "authentication method blocked"
	case SWInvalidated:
		return "reference data invalidated"
	case SWConditions:
		return "conditions of use not satisfied"
	case SWNoCurrentEF:
		return "no current file"
	case SWWrongData:
		return "wrong data"
	}
	return parameterMeaning(sw)
}

func parameterMeaning(sw uint16) string {
	switch sw {
	case SWNotSupported:
		return "function not supported"
	case SWNotFound:
		return "file or application not found"
	case SWNoSpace:
		return "not enough memory in the file"
	case SWWrongP1P2:
		return "wrong P1 P2"
	case SWReferenceMissing:
		return "referenced data not found"
	case SWFileExists:
		return "file already exists"
	case SWNameExists:
		return "application name already exists"
	case SWOutsideFile:
		return "offset outside the file"
	case SWUnknownINS:
		return "instruction not supported"
	case SWUnknownCLA:
		return "class not supported"
	}
	return ""
}
