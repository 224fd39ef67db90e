package piv

import "encoding/binary"

// appendTLV appends a BER-TLV data object (ISO/IEC 8825-1) with the shortest
// form of its length. The tag's bytes are those of the number, at most three.
func appendTLV(b []byte, tag uint32, value []byte) []byte {
	b = append(appendTag(b, tag), lengthField(len(value))...)
	return append(b, value...)
}

func appendTag(b []byte, tag uint32) []byte {
	switch {
	case tag > 0xFFFF:
		b = append(b, byte(tag>>16))
		fallthrough
	case tag > 0xFF:
		b = append(b, byte(tag>>8))
	}
	return append(b, byte(tag))
}

func lengthField(n int) []byte {
	switch {
	case n < 0x80:
		return []byte{byte(n)}
	case n <= 0xFF:
		return []byte{0x81, byte(n)}
	case n <= 0xFFFF:
		return []byte{0x82, byte(n >> 8), byte(n)}
	}
	return binary.BigEndian.AppendUint32(nil, uint32(n)|0x83<<24)
}

// parseTag takes a tag and a length, in any of its forms with up to three bytes,
// minimal or not, from the front of b. value is what follows, which may be less
// or more than length.
func parseTag(b []byte) (tag uint32, length int, value []byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	tag, b = uint32(b[0]), b[1:]
	if tag&0x1F == 0x1F {
		for more := true; more; b = b[1:] {
			if len(b) == 0 || tag > 0xFFFF {
				return 0, 0, nil, false
			}
			tag, more = tag<<8|uint32(b[0]), b[0]&0x80 != 0
		}
	}
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	length, b = int(b[0]), b[1:]
	if length < 0x80 {
		return tag, length, b, true
	}
	n := length - 0x80
	if n < 1 || n > 3 || n > len(b) {
		return 0, 0, nil, false
	}
	length = 0
	for _, digit := range b[:n] {
		length = length<<8 | int(digit)
	}
	return tag, length, b[n:], true
}

// findTLV finds the value of the first data object with a tag among those that b
// consists of.
func findTLV(b []byte, tag uint32) (value []byte, ok bool) {
	for len(b) > 0 {
		found, length, rest, ok := parseTag(b)
		if !ok || length > len(rest) {
			return nil, false
		}
		if found == tag {
			return rest[:length:length], true
		}
		b = rest[length:]
	}
	return nil, false
}
