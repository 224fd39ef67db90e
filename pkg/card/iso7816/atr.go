package iso7816

// ExtendedLengths tells whether a card says in its answer to reset that it takes
// APDUs with extended lengths: in the third byte of its card capabilities
// (ISO/IEC 7816-4, 12.1.1.8), among its historical bytes.
func ExtendedLengths(atr []byte) bool {
	const capabilities, extended = 7, 0x40
	value := compactTLV(historical(atr), capabilities)
	return len(value) >= 3 && value[2]&extended != 0
}

// historical finds the historical bytes of an answer to reset (ISO/IEC 7816-3,
// 8.2), nil if it is none.
func historical(atr []byte) []byte {
	if len(atr) < 2 {
		return nil
	}
	count, next := int(atr[1]&0x0F), atr[1]>>4
	off := 2
	for next != 0 {
		for bit := byte(1); bit < 8; bit <<= 1 { // TA, TB, TC
			if next&bit != 0 {
				off++
			}
		}
		if next&8 == 0 {
			break
		}
		if off >= len(atr) {
			return nil
		}
		next = atr[off] >> 4 // TD tells what follows
		off++
	}
	if off+count > len(atr) {
		return nil
	}
	return atr[off : off+count]
}

// compactTLV finds a data object among historical bytes that are coded as such.
func compactTLV(b []byte, tag byte) []byte {
	switch {
	case len(b) > 0 && b[0] == 0x80:
		b = b[1:]
	case len(b) > 3 && b[0] == 0x00:
		b = b[1 : len(b)-3] // the status follows without a tag
	default:
		return nil
	}
	for len(b) > 0 {
		n := int(b[0] & 0x0F)
		if 1+n > len(b) {
			return nil
		}
		if b[0]>>4 == tag {
			return b[1 : 1+n]
		}
		b = b[1+n:]
	}
	return nil
}
