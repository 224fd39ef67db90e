package validate

import (
	"context"
	"strings"
)

// keyfile is a file of groups of keys, as GLib's GKeyFile and ell's l_settings read
// it. There are libraries for INI files, but they take what these programs refuse
// (a line without "="), cut values at "#" and ";", and do not tell lines.
type keyfile struct {
	format Format
	groups map[string]map[string]keyfileValue
	group  string // the one that the lines read now are in
	raw    string // the line that ends an embedded part, or ""
}

type keyfileValue struct {
	text string
	line int
}

func readKeyfile(ctx context.Context, f File, format Format) (*keyfile, error) {
	t, err := f.settings(ctx, format)
	if err != nil {
		return nil, err
	}
	k := &keyfile{format: format, groups: make(map[string]map[string]keyfileValue)}
	err = t.eachLine(k.take)
	if err == nil && k.raw != "" {
		err = broken(format, "it ends inside of an embedded part")
	}
	return k, err
}

func (k *keyfile) take(n int, line string) error {
	if k.raw != "" {
		if strings.HasPrefix(line, k.raw) {
			k.raw = ""
		}
		return nil
	}
	line = strings.TrimSpace(line)
	switch {
	case line == "" || line[0] == '#':
		return nil
	case line[0] == '[':
		return k.begin(n, line)
	}
	return k.set(n, line)
}

func (k *keyfile) begin(n int, line string) error {
	name := strings.TrimSuffix(line[1:], "]")
	if len(name) != len(line)-2 || name == "" || strings.ContainsAny(name, "[]") {
		return broken(k.format, "the section's name in line %d does not end", n)
	}
	// iwd embeds certificates and keys as [@pem@name], followed by PEM.
	if k.format == "iwd" && strings.HasPrefix(name, "@pem@") {
		k.raw = "-----END "
	}
	k.group = name
	if k.groups[name] == nil {
		k.groups[name] = make(map[string]keyfileValue)
	}
	return nil
}

func (k *keyfile) set(n int, line string) error {
	key, value, ok := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	switch {
	case !ok:
		return broken(k.format, "line %d is neither a section nor a setting", n)
	case key == "":
		return broken(k.format, "the setting in line %d has no name", n)
	case k.group == "":
		return broken(k.format, "the setting in line %d stands before the first section", n)
	}
	k.groups[k.group][key] = keyfileValue{strings.TrimSpace(value), n}
	return nil
}

// get gives a value from the first of the groups that has it: a section may have an
// old and a new name.
func (k *keyfile) get(key string, groups ...string) (keyfileValue, bool) {
	for _, g := range groups {
		if v, ok := k.groups[g][key]; ok {
			return v, true
		}
	}
	return keyfileValue{}, false
}

// unescapedLength counts the bytes of a value in which a backslash and the byte after it
// stand for one.
func unescapedLength(value string) (n int) {
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' {
			i++
		}
		n++
	}
	return n
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// pskFault tells what is wrong with the pre-shared key of a Wi-Fi network, which has
// that many bytes after unescaping; "" when nothing is.
func pskFault(psk string, length int) string {
	switch {
	case length < 8:
		return "is shorter than 8 characters"
	case length > 64 || length == 64 && !isHex(psk):
		return "is neither 8 to 63 characters nor 64 hexadecimal digits"
	}
	return ""
}
