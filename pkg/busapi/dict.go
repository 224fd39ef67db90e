package busapi

import (
	"reflect"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Dict is a dictionary a{sv}: how every value with fields travels.
type Dict = map[string]dbus.Variant

// codec turns structs into dictionaries and back. The keys are the json tags;
// nested structs are nested dictionaries, lists of structs are aa{sv}, absent
// pointers are absent keys.
type codec struct {
	out    func(string) string // applied to each string on its way to the bus
	in     func(string) string // and from it
	strict bool                // refuse unknown keys and what is over the limits
}

// serverCodec is the daemons': file names may be any bytes, callers make mistakes.
func serverCodec() codec { return codec{out: toBus, in: fromBus, strict: true} }

// clientCodec is the clients': answers stay as they came, keys of a newer
// daemon are passed over.
func clientCodec() codec {
	return codec{out: argToBus, in: func(s string) string { return s }}
}

// fieldName is the key of a struct's field; false for one that does not travel.
func fieldName(f reflect.StructField) (string, bool) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, name != "" && name != "-"
}

// encode turns a struct into a dictionary.
func (c codec) encode(v any) Dict { return c.encodeStruct(reflect.ValueOf(v)) }

func (c codec) encodeStruct(v reflect.Value) Dict {
	d := make(Dict, v.NumField())
	for i := range v.NumField() {
		name, ok := fieldName(v.Type().Field(i))
		if !ok {
			continue
		}
		if value, ok := c.encodeValue(v.Field(i)); ok {
			d[name] = dbus.MakeVariant(value)
		}
	}
	return d
}

func (c codec) encodeValue(v reflect.Value) (any, bool) {
	switch v.Kind() {
	case reflect.String:
		return c.out(v.String()), true
	case reflect.Bool, reflect.Int64, reflect.Uint64, reflect.Float64:
		return v.Interface(), true
	case reflect.Struct:
		return c.encodeStruct(v), true
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		return c.encodeValue(v.Elem())
	case reflect.Map:
		return c.encodeCounts(v)
	case reflect.Slice:
		return c.encodeList(v)
	}
	return nil, false
}

func (c codec) encodeCounts(v reflect.Value) (any, bool) {
	counts, ok := v.Interface().(map[string]int64)
	if !ok {
		return nil, false
	}
	out := make(map[string]int64, len(counts))
	for k, n := range counts {
		out[c.out(k)] = n
	}
	return out, true
}

func (c codec) encodeList(v reflect.Value) (any, bool) {
	switch v.Type().Elem().Kind() {
	case reflect.String:
		list := make([]string, v.Len())
		for i := range list {
			list[i] = c.out(v.Index(i).String())
		}
		return list, true
	case reflect.Struct:
		list := make([]Dict, v.Len())
		for i := range list {
			list[i] = c.encodeStruct(v.Index(i))
		}
		return list, true
	}
	return nil, false
}

// encodeAll turns a list of structs into dictionaries.
func encodeAll[T any](c codec, list []T) []Dict {
	out := make([]Dict, len(list))
	for i, v := range list {
		out[i] = c.encode(v)
	}
	return out
}
