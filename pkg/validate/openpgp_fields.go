package validate

import "encoding/binary"

// pgpFields reads the fields of a packet; after it came to an end too early, short is
// set.
type pgpFields struct {
	b     []byte
	short bool
}

func (f *pgpFields) take(n int) []byte {
	if f.short || n < 0 || n > len(f.b) {
		f.short = true
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *pgpFields) byte() int {
	b := f.take(1)
	if b == nil {
		return -1
	}
	return int(b[0])
}

func (f *pgpFields) uint16() int {
	b := f.take(2)
	if b == nil {
		return 0
	}
	return int(binary.BigEndian.Uint16(b))
}

// mpi reads a number with the count of its bits before it.
func (f *pgpFields) mpi() []byte { return f.take((f.uint16() + 7) / 8) }

// counted reads what has one byte of length before it.
func (f *pgpFields) counted() []byte { return f.take(f.byte()) }

// s2k reads how a key is made from a passphrase (section 3.7); stub is true where GnuPG
// says that the secret is elsewhere.
func (f *pgpFields) s2k() (stub bool) {
	switch f.byte() {
	case 0:
		f.byte()
	case 1:
		f.take(9)
	case 3:
		f.take(10)
	case 4:
		f.take(19)
	case 101:
		f.byte()
		return string(f.take(3)) == "GNU"
	default:
		f.short = true
	}
	return false
}
