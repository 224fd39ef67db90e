package validate

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"encoding/binary"
	"strings"
)

// The blobs of a keybox (GnuPG's keybox-blob.c).
const (
	kbxDeleted = 0
	kbxHeader  = 1
	kbxOpenPGP = 2
	kbxX509    = 3
	kbxBlobMin = 32
	// kbxBlobMax is the largest that GnuPG writes.
	kbxBlobMax = 5 << 20
)

func recogniseKeybox(name string, head []byte) bool {
	return strings.HasSuffix(name, ".kbx") || len(head) >= 12 && head[4] == kbxHeader && string(head[8:12]) == "KBXf"
}

// checkKeybox looks at a keyring of GnuPG 2.1 and later: its blobs must follow each other up
// to the end, and each carries a checksum.
func checkKeybox(ctx context.Context, f File) error {
	for at, n := int64(0), 0; at < f.Size || n == 0; n++ {
		blob, fault, err := kbxBlob(f, at)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if fault == "" {
			fault = kbxFault(blob, n == 0)
		}
		if fault != "" {
			return broken("keybox", "the blob at byte %d %s", at, fault)
		}
		at += int64(len(blob))
	}
	return nil
}

// kbxBlob reads the blob at an offset; the first four bytes are its length.
func kbxBlob(f File, at int64) (blob []byte, fault string, err error) {
	head, ok, err := f.bytesAt(at, 4)
	if !ok || err != nil {
		return nil, "is cut short", err
	}
	size := int64(binary.BigEndian.Uint32(head))
	if size < kbxBlobMin || size > kbxBlobMax {
		return nil, "has a length that is broken", nil
	}
	blob, ok, err = f.bytesAt(at, int(size))
	if !ok || err != nil {
		return nil, "is cut short", err
	}
	return blob, "", nil
}

func kbxFault(b []byte, first bool) string {
	if first != (b[4] == kbxHeader) {
		return "is no header where one must be, or is one where none may be"
	}
	switch b[4] {
	case kbxDeleted:
		return ""
	case kbxHeader:
		if string(b[8:12]) != "KBXf" || b[5] != 1 {
			return "is no whole header"
		}
		return ""
	case kbxOpenPGP, kbxX509:
	default:
		return "is of no kind that is known"
	}
	if len(b) < 40+20 {
		return "is too short for a key"
	}
	start, length := uint64(binary.BigEndian.Uint32(b[8:])), uint64(binary.BigEndian.Uint32(b[12:]))
	if start+length > uint64(len(b)-20) || start < 32 {
		return "holds a key that goes beyond it"
	}
	if !kbxSum(b) {
		return "does not fit its checksum"
	}
	return ""
}

// kbxSum compares the checksum. GnuPG writes two flags of a blob in place and leaves the
// checksum as it was; before version 2.1 it was an MD5.
func kbxSum(b []byte) bool {
	body, sum := bytes.Clone(b[:len(b)-20]), b[len(b)-20:]
	flags := binary.BigEndian.Uint16(body[6:])
	for _, f := range []uint16{flags, flags ^ 2, flags ^ 1, flags ^ 3} {
		binary.BigEndian.PutUint16(body[6:], f)
		if s := sha1.Sum(body); bytes.Equal(s[:], sum) {
			return true
		}
	}
	if binary.BigEndian.Uint32(sum) != 0 {
		return false
	}
	short, long := md5.Sum(b[:len(b)-20]), md5.Sum(b[:len(b)-16])
	return bytes.Equal(short[:], sum[4:]) || bytes.Equal(long[:], sum[4:])
}
