package watch

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// fanEvent is an event with a directory and the name of an entry in it.
type fanEvent struct {
	mask uint64
	dir  fanHandle
	name string // "." for the directory itself
}

// fanHandle identifies a directory: its file system and its file handle there.
// It can be a map's key.
type fanHandle struct {
	fsid   [8]byte
	kind   int32
	handle string
}

// Sizes of the structures of fanotify(7).
const (
	infoHeader  = 4                  // type, padding, length
	infoFid     = infoHeader + 8 + 8 // fsid, then bytes and type of the handle
	maxHandle   = 128                // MAX_HANDLE_SZ
	fanVersion3 = 3                  // FANOTIFY_METADATA_VERSION
)

// parseFanotify reads struct fanotify_event_metadata, one after the other, each
// followed by information records. Events without a directory are passed over,
// but for an overflow of the queue.
func parseFanotify(data []byte) ([]fanEvent, error) {
	var events []fanEvent
	for len(data) > 0 {
		if len(data) < unix.FAN_EVENT_METADATA_LEN {
			return events, fmt.Errorf("%w: %d bytes left", errMalformed, len(data))
		}
		length := binary.NativeEndian.Uint32(data)
		header := binary.NativeEndian.Uint16(data[6:])
		if data[4] != fanVersion3 || header < unix.FAN_EVENT_METADATA_LEN ||
			uint64(length) > uint64(len(data)) || uint32(header) > length {
			return events, fmt.Errorf("%w: version %d, %d of %d bytes", errMalformed, data[4], length, len(data))
		}
		e := fanEvent{mask: binary.NativeEndian.Uint64(data[8:])}
		found, err := e.readInfo(data[header:length])
		if err != nil {
			return events, err
		}
		if found || e.mask&unix.FAN_Q_OVERFLOW != 0 {
			events = append(events, e)
		}
		data = data[length:]
	}
	return events, nil
}

// readInfo takes the directory and the name out of the information records.
func (e *fanEvent) readInfo(data []byte) (found bool, err error) {
	for len(data) > 0 {
		if len(data) < infoHeader {
			return false, fmt.Errorf("%w: record of %d bytes", errMalformed, len(data))
		}
		length := int(binary.NativeEndian.Uint16(data[2:]))
		if length < infoHeader || length > len(data) {
			return false, fmt.Errorf("%w: record of %d bytes", errMalformed, length)
		}
		switch data[0] {
		case unix.FAN_EVENT_INFO_TYPE_DFID_NAME, unix.FAN_EVENT_INFO_TYPE_DFID:
			if err := e.readDir(data[:length]); err != nil {
				return false, err
			}
			found = true
		}
		data = data[length:]
	}
	return found, nil
}

func (e *fanEvent) readDir(record []byte) error {
	if len(record) < infoFid {
		return fmt.Errorf("%w: directory of %d bytes", errMalformed, len(record))
	}
	size := binary.NativeEndian.Uint32(record[12:])
	if size > maxHandle || int(size) > len(record)-infoFid {
		return fmt.Errorf("%w: handle of %d bytes", errMalformed, size)
	}
	copy(e.dir.fsid[:], record[4:12])
	e.dir.kind = int32(binary.NativeEndian.Uint32(record[16:]))
	e.dir.handle = string(record[infoFid : infoFid+int(size)])
	name, _, _ := bytes.Cut(record[infoFid+int(size):], []byte{0})
	if e.name = string(name); e.name == "" || record[0] == unix.FAN_EVENT_INFO_TYPE_DFID {
		e.name = "."
	}
	return nil
}
