package virtual

import (
	"bytes"
	"errors"

	"github.com/reprovision/reprovision/pkg/card/iso7816"
)

// Tags of file control parameters.
const (
	tagFCP        = 0x62
	tagDataSize   = 0x80
	tagTotalSize  = 0x81
	tagDescriptor = 0x82
	tagFID        = 0x83
	tagDFName     = 0x84
)

// create is CREATE FILE below the current DF; the new file becomes the current.
func (c *Card) create(command iso7816.Command) iso7816.Response {
	if !c.mayWrite() {
		return status(iso7816.SWSecurity)
	}
	file, size, err := parseFCP(command.Data, c.options.Quirks)
	if err != nil {
		return status(iso7816.SWWrongData)
	}
	if sw := c.admit(file, size); sw != iso7816.SWOK {
		return status(sw)
	}
	c.session.dir.Children = append(c.session.dir.Children, file)
	if file.Dir {
		c.session.dir, c.session.file = file, nil
		return status(iso7816.SWOK)
	}
	file.Data = make([]byte, size)
	if c.options.Quirks.Dirty {
		copy(file.Data, bytes.Repeat([]byte("\xA5RPOB"), size/5+1))
	}
	c.session.file = file
	return status(iso7816.SWOK)
}

// admit tells whether the card can take a new file.
func (c *Card) admit(file *File, size int) uint16 {
	depth := 1
	for dir := c.session.dir; dir != c.root && dir != nil; dir = c.root.parentOf(dir) {
		depth++
	}
	switch {
	case file.FID == fidMF || c.session.dir.child(file.FID) != nil:
		return iso7816.SWFileExists
	case len(file.Name) > 0 && c.root.named(file.Name) != nil:
		return iso7816.SWNameExists
	case depth > maxDepth, len(c.session.dir.Children) >= maxChildren,
		size+fileCost > c.options.Capacity-c.root.cost():
		return iso7816.SWNoSpace
	}
	return iso7816.SWOK
}

var errBadFCP = errors.New("bad file control parameters")

// parseFCP reads the parameters of a new file and its size in bytes.
func parseFCP(b []byte, quirks Quirks) (*File, int, error) {
	outer, err := splitTLV(b)
	if err != nil || len(outer) != 1 || outer[0].tag != tagFCP {
		return nil, 0, errBadFCP
	}
	fields, err := splitTLV(outer[0].value)
	if err != nil {
		return nil, 0, err
	}
	file, sizes := &File{}, map[byte]int{}
	for _, f := range fields {
		if err := file.take(f, sizes); err != nil {
			return nil, 0, err
		}
	}
	if quirks.OneSizeTag && len(sizes) > 1 || file.FID == 0 || !file.Dir && len(file.Name) > 0 {
		return nil, 0, errBadFCP
	}
	size, ok := sizes[quirks.SizeTag]
	if quirks.SizeTag == 0 {
		size, ok = max(sizes[tagDataSize], sizes[tagTotalSize]), true
	}
	if !ok && !file.Dir {
		return nil, 0, errBadFCP
	}
	if file.Dir {
		size = 0
	}
	return file, size, nil
}

// take applies one field of the parameters.
func (f *File) take(field tlv, sizes map[byte]int) error {
	switch field.tag {
	case tagDataSize, tagTotalSize:
		if len(field.value) == 0 || len(field.value) > 3 {
			return errBadFCP
		}
		sizes[field.tag] = number(field.value)
	case tagDescriptor:
		if len(field.value) == 0 || field.value[0] != 0x38 && field.value[0] != 0x01 {
			return errBadFCP
		}
		f.Dir = field.value[0] == 0x38
	case tagFID:
		if len(field.value) != 2 {
			return errBadFCP
		}
		f.FID = uint16(number(field.value))
	case tagDFName:
		if len(field.value) == 0 || len(field.value) > 16 {
			return errBadFCP
		}
		f.Name = bytes.Clone(field.value)
	}
	return nil
}

// parameters are the contents of a file's FCP or FCI template.
func parameters(f *File) []byte {
	var b []byte
	descriptor := byte(0x38)
	if !f.Dir {
		descriptor = 0x01
		b = append(b, tagDataSize, 3, byte(len(f.Data)>>16), byte(len(f.Data)>>8), byte(len(f.Data)))
	}
	b = append(b, tagDescriptor, 1, descriptor, tagFID, 2, byte(f.FID>>8), byte(f.FID))
	if len(f.Name) > 0 {
		b = append(b, wrap(tagDFName, f.Name)...)
	}
	return b
}

func number(b []byte) int {
	n := 0
	for _, digit := range b {
		n = n<<8 | int(digit)
	}
	return n
}

// tlv is one BER-TLV data object with a tag of one byte.
type tlv struct {
	tag   byte
	value []byte
}

// wrap builds a data object; values here are always shorter than 128 bytes.
func wrap(tag byte, value []byte) []byte {
	return append([]byte{tag, byte(len(value))}, value...)
}

// splitTLV splits data objects with lengths of one to three bytes.
func splitTLV(b []byte) ([]tlv, error) {
	var list []tlv
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, errBadFCP
		}
		tag, length, rest := b[0], int(b[1]), b[2:]
		if extra := length - 0x80; extra >= 0 {
			if extra < 1 || extra > 2 || len(rest) < extra {
				return nil, errBadFCP
			}
			length, rest = number(rest[:extra]), rest[extra:]
		}
		if length > len(rest) {
			return nil, errBadFCP
		}
		list = append(list, tlv{tag, rest[:length]})
		b = rest[length:]
	}
	return list, nil
}
