package iso7816

import (
	"context"
	"errors"
	"fmt"

	"github.com/reprovision/reprovision/pkg/card"
)

// Tags of file control parameters (ISO/IEC 7816-4, 5.3.3).
const (
	tagFCP        = 0x62
	tagDataSize   = 0x80 // bytes of data in the file
	tagTotalSize  = 0x81 // bytes with structural information
	tagDescriptor = 0x82
	tagFID        = 0x83
	tagDFName     = 0x84
)

// File descriptor bytes.
const (
	descriptorDF          = 0x38
	descriptorTransparent = 0x01
)

func tlv(tag byte, value ...byte) []byte {
	return append([]byte{tag, byte(len(value))}, value...)
}

func (f *files) createFile(ctx context.Context, parameters ...[]byte) error {
	var fcp []byte
	for _, p := range parameters {
		fcp = append(fcp, p...)
	}
	_, err := f.run(ctx, Command{INS: insCreate, Data: tlv(tagFCP, fcp...)})
	return err
}

func (f *files) createDF(ctx context.Context, id fid, name []byte) error {
	return f.createFile(ctx,
		tlv(tagDescriptor, descriptorDF), tlv(tagFID, id.bytes()...), tlv(tagDFName, name...))
}

// createEF makes a transparent EF below the current DF, which it leaves as the
// current file. Some cards take the size from tag 80, some from 81, some refuse
// one of them; so the size is checked afterwards.
func (f *files) createEF(ctx context.Context, id fid, size int) error {
	number := []byte{byte(size >> 8), byte(size)}
	data, total := tlv(tagDataSize, number...), tlv(tagTotalSize, number...)
	descriptor, name := tlv(tagDescriptor, descriptorTransparent), tlv(tagFID, id.bytes()...)
	err := f.createFile(ctx, data, total, descriptor, name)
	for _, one := range [][]byte{data, total} {
		if !IsStatus(err, SWWrongData) {
			break
		}
		err = f.createFile(ctx, one, descriptor, name)
	}
	if err != nil {
		return fmt.Errorf("cannot create file %04X: %w", uint16(id), err)
	}
	if err := f.selectEF(ctx, id); err != nil {
		return err
	}
	if ok, err := f.holds(ctx, size); err != nil || ok {
		return err
	}
	return fmt.Errorf("%w: file %04X is smaller than it was created", card.ErrUnsupported, uint16(id))
}

// holds tells whether the current file has at least size bytes.
func (f *files) holds(ctx context.Context, size int) (bool, error) {
	err := f.read(ctx, size-1, make([]byte, 1))
	if IsStatus(err, SWOutsideFile, SWEndOfFile, SWWrongLength) || errors.Is(err, errNothingRead) {
		return false, nil
	}
	return err == nil, err
}
