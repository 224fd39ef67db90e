package validate

import "encoding/binary"

// sqliteIndex is what the shared memory beside a log (-shm) says of it.
type sqliteIndex struct {
	salts   [8]byte
	frames  uint32 // committed ones
	pending bool   // not all of them are in the database yet
}

// readSQLiteIndex reads the index, or nothing when there is none that is valid: it
// is made anew from the log whenever it is missing. It is in this machine's byte order.
func readSQLiteIndex(db File) (sqliteIndex, error) {
	shm, ok, err := db.beside(db.Name + "-shm")
	if err != nil || !ok {
		return sqliteIndex{}, err
	}
	b, ok, err := shm.bytesAt(0, 2*48+4)
	if err != nil || !ok || string(b[:48]) != string(b[48:96]) {
		return sqliteIndex{}, err // the two copies differ while it is written
	}
	native := nativeOrder()
	sum := sqliteSum(native, [2]uint32{}, b[:40])
	if native.Uint32(b) != 3007000 || native.Uint32(b[40:]) != sum[0] || native.Uint32(b[44:]) != sum[1] {
		return sqliteIndex{}, nil
	}
	frames, copied := native.Uint32(b[16:]), native.Uint32(b[96:])
	return sqliteIndex{[8]byte(b[32:]), frames, copied < frames}, nil
}

func nativeOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}
