package vault

import "errors"

var errColumns = errors.New("columns of different lengths")

// take removes the first value of a column.
func take[T any](column *[]T) (v T, err error) {
	if len(*column) == 0 {
		return v, errColumns
	}
	v = (*column)[0]
	*column = (*column)[1:]
	return v, nil
}

// takeBytes fills dst from the front of a column of bytes.
func takeBytes(column *[]byte, dst []byte) error {
	if len(*column) < len(dst) {
		return errColumns
	}
	copy(dst, *column)
	*column = (*column)[len(dst):]
	return nil
}
