package busapi

import (
	"fmt"
	"math"
	"reflect"

	"github.com/godbus/dbus/v5"
)

// decodeAll is the reverse of encodeAll.
func decodeAll[T any](c codec, list []Dict) ([]T, error) {
	out := make([]T, len(list))
	for i, d := range list {
		if err := c.decode(d, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decode fills the struct that into points to. Lists and maps that the
// dictionary lacks become empty ones. The error wraps ErrInvalidArguments.
func (c codec) decode(d Dict, into any) error {
	return c.decodeStruct(d, reflect.ValueOf(into).Elem())
}

func (c codec) decodeStruct(d Dict, v reflect.Value) error {
	seen := 0
	for i := range v.NumField() {
		name, ok := fieldName(v.Type().Field(i))
		if !ok {
			continue
		}
		field := v.Field(i)
		variant, present := d[name]
		if !present {
			fillEmpty(field)
			continue
		}
		seen++
		if err := c.decodeValue(variant.Value(), field); err != nil {
			return fmt.Errorf("%w: key %q: %w", ErrInvalidArguments, name, err)
		}
	}
	if c.strict && seen != len(d) {
		return fmt.Errorf("%w: unknown key %s", ErrInvalidArguments, unknownKey(d, v.Type()))
	}
	return nil
}

func unknownKey(d Dict, t reflect.Type) string {
	known := make(map[string]bool)
	for i := range t.NumField() {
		name, _ := fieldName(t.Field(i))
		known[name] = true
	}
	least := ""
	for k := range d {
		if !known[k] && (least == "" || k < least) {
			least = k
		}
	}
	return fmt.Sprintf("%q", cut(least, 64))
}

func fillEmpty(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Struct:
		for i := range v.NumField() {
			fillEmpty(v.Field(i))
		}
	}
}

func (c codec) decodeValue(value any, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		return c.decodeString(value, v)
	case reflect.Int64, reflect.Uint64:
		return decodeInteger(value, v)
	case reflect.Bool, reflect.Float64:
		return decodePlain(value, v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return c.decodeValue(value, v.Elem())
	case reflect.Struct:
		d, ok := value.(Dict)
		if !ok {
			return fmt.Errorf("want a dictionary, not %T", value)
		}
		return c.decodeStruct(d, v)
	case reflect.Map:
		return decodePlain(value, v)
	}
	return c.decodeList(value, v)
}

func (c codec) decodeString(value any, v reflect.Value) error {
	s, ok := value.(string)
	if !ok {
		return fmt.Errorf("want a string, not %T", value)
	}
	if c.strict && len(s) > maxText {
		return fmt.Errorf("%d bytes are too long", len(s))
	}
	v.SetString(c.in(s))
	return nil
}

func decodePlain(value any, v reflect.Value) error {
	rv := reflect.ValueOf(value)
	if !rv.IsValid() || rv.Type() != v.Type() {
		return fmt.Errorf("want a %s, not %T", v.Type(), value)
	}
	v.Set(rv)
	return nil
}

// decodeInteger takes every integer type of D-Bus, for dynamic languages choose
// one by the value.
func decodeInteger(value any, v reflect.Value) error {
	rv := reflect.ValueOf(value)
	var n int64
	switch {
	case rv.IsValid() && rv.CanInt():
		n = rv.Int()
	case rv.IsValid() && rv.CanUint() && v.CanUint():
		v.SetUint(rv.Uint())
		return nil
	case rv.IsValid() && rv.CanUint() && rv.Uint() <= math.MaxInt64:
		n = int64(rv.Uint())
	default:
		return fmt.Errorf("want an integer, not %T", value)
	}
	if v.CanInt() {
		v.SetInt(n)
		return nil
	}
	if n < 0 {
		return fmt.Errorf("%d is negative", n)
	}
	v.SetUint(uint64(n))
	return nil
}

func (c codec) decodeList(value any, v reflect.Value) error {
	rv := reflect.ValueOf(value)
	if !rv.IsValid() || rv.Kind() != reflect.Slice {
		return fmt.Errorf("want a list, not %T", value)
	}
	if c.strict && rv.Len() > maxList {
		return fmt.Errorf("%d entries are too many", rv.Len())
	}
	out := reflect.MakeSlice(v.Type(), rv.Len(), rv.Len())
	for i := range rv.Len() {
		if err := c.decodeValue(plain(rv.Index(i).Interface()), out.Index(i)); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	v.Set(out)
	return nil
}

// plain takes the value out of a variant, so that av counts as a list too.
func plain(v any) any {
	if variant, ok := v.(dbus.Variant); ok {
		return variant.Value()
	}
	return v
}
