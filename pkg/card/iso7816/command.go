package iso7816

import (
	"errors"
	"fmt"
)

// Limits of APDUs, in bytes of data.
const (
	MaxShortData     = 255   // Lc of a short command
	MaxShortResponse = 256   // Le of a short command
	MaxData          = 65535 // Lc of an extended command
	MaxResponse      = 65536 // Le of an extended command
)

// ErrMalformed is wrapped by every error about bytes that are no APDU.
var ErrMalformed = errors.New("malformed APDU")

// Command is a command APDU (ISO/IEC 7816-4, 5.1).
type Command struct {
	CLA, INS, P1, P2 byte
	Data             []byte // at most MaxData bytes
	Ne               int    // bytes of response data wanted, 0 for none, at most MaxResponse
}

// Extended tells whether the command only fits the extended length form.
func (c Command) Extended() bool { return len(c.Data) > MaxShortData || c.Ne > MaxShortResponse }

// Encode builds the bytes of the command, in the short form wherever it fits.
func (c Command) Encode() ([]byte, error) {
	if len(c.Data) > MaxData || c.Ne < 0 || c.Ne > MaxResponse {
		return nil, fmt.Errorf("cannot encode command %02X: %w: %d bytes of data, %d wanted", c.INS, ErrMalformed, len(c.Data), c.Ne)
	}
	b := make([]byte, 0, 4+3+len(c.Data)+3)
	b = append(b, c.CLA, c.INS, c.P1, c.P2)
	if c.Extended() {
		return c.appendExtended(b), nil
	}
	if len(c.Data) > 0 {
		b = append(append(b, byte(len(c.Data))), c.Data...)
	}
	if c.Ne > 0 {
		b = append(b, byte(c.Ne)) // 256 is coded as 00
	}
	return b, nil
}

func (c Command) appendExtended(b []byte) []byte {
	b = append(b, 0)
	if len(c.Data) > 0 {
		b = append(b, byte(len(c.Data)>>8), byte(len(c.Data)))
		b = append(b, c.Data...)
	}
	if c.Ne > 0 {
		b = append(b, byte(c.Ne>>8), byte(c.Ne)) // 65536 is coded as 0000
	}
	return b
}

// ParseCommand is the inverse of Encode. It takes all seven forms of the
// standard and refuses bytes that do not add up, with ErrMalformed. The data are
// a part of b.
func ParseCommand(b []byte) (Command, error) {
	if len(b) < 4 {
		return Command{}, fmt.Errorf("%w: command of %d bytes", ErrMalformed, len(b))
	}
	c := Command{CLA: b[0], INS: b[1], P1: b[2], P2: b[3]}
	body := b[4:]
	ok := true
	switch {
	case len(body) == 0: // case 1
	case len(body) == 1: // case 2, short
		c.Ne = decodeNe(body)
	case body[0] != 0:
		c.Data, c.Ne, ok = parseFields(int(body[0]), body[1:], 1)
	case len(body) == 3: // case 2, extended
		c.Ne = decodeNe(body[1:])
	case len(body) > 3:
		c.Data, c.Ne, ok = parseFields(int(body[1])<<8|int(body[2]), body[3:], 2)
	default:
		ok = false
	}
	if !ok {
		return Command{}, fmt.Errorf("%w: command lengths do not add up", ErrMalformed)
	}
	return c, nil
}

// parseFields splits what follows Lc into data and an Le field of leSize bytes,
// which may be absent.
func parseFields(lc int, rest []byte, leSize int) (data []byte, ne int, ok bool) {
	if lc == 0 || len(rest) != lc && len(rest) != lc+leSize {
		return nil, 0, false
	}
	if len(rest) > lc {
		ne = decodeNe(rest[lc:])
	}
	return rest[:lc:lc], ne, true
}

// decodeNe reads an Le field of one or two bytes; all zeros mean the maximum.
func decodeNe(le []byte) int {
	if len(le) == 1 {
		if le[0] == 0 {
			return MaxShortResponse
		}
		return int(le[0])
	}
	if n := int(le[0])<<8 | int(le[1]); n != 0 {
		return n
	}
	return MaxResponse
}

// Response is a response APDU: data and status.
type Response struct {
	Data []byte
	SW   uint16 // SW1 and SW2
}

// ParseResponse splits a response APDU. The data are a part of b.
func ParseResponse(b []byte) (Response, error) {
	if len(b) < 2 || len(b) > MaxResponse+2 {
		return Response{}, fmt.Errorf("%w: response of %d bytes", ErrMalformed, len(b))
	}
	n := len(b) - 2
	return Response{Data: b[:n:n], SW: uint16(b[n])<<8 | uint16(b[n+1])}, nil
}

// Encode builds the bytes of the response.
func (r Response) Encode() []byte {
	b := make([]byte, 0, len(r.Data)+2)
	b = append(b, r.Data...)
	return append(b, byte(r.SW>>8), byte(r.SW))
}
