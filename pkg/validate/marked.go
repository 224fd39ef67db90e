package validate

import "context"

// markedFormats are known by what their files begin with, and by nothing else: so a file in
// which one gave way to another is told from one that is nothing at all.
func markedFormats() []definition {
	var all []definition
	for _, f := range []struct {
		format Format
		magic  string
	}{
		{"elf", "\x7fELF"},
		{"wasm", "\x00asm\x01\x00\x00\x00"},
		{"java-class", "\xca\xfe\xba\xbe"},
		{"ar", "!<arch>\n"},
		{"gettext", "\xde\x12\x04\x95\x00\x00"},
		{"7z", "7z\xbc\xaf\x27\x1c"},
		{"rar", "Rar!\x1a\x07"},
		{"lz4", "\x04\x22\x4d\x18"},
		{"mozlz4", "mozLz40\x00"},
		{"ole2", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"},
		{"ogg", "OggS\x00"},
		{"flac", "fLaC\x00\x00\x00\x22"},
		{"matroska", "\x1a\x45\xdf\xa3"},
		{"keepass", "\x03\xd9\xa2\x9a"},
		{"java-keystore", "\xfe\xed\xfe\xed\x00\x00\x00\x02"},
		{"age", "age-encryption.org/v1\n"},
		{"git-crypt", "\x00GITCRYPT\x00"},
		{"openssl-enc", "Salted__"},
		{"luks", "LUKS\xba\xbe"},
	} {
		all = append(all, definition{f.format, false, startsWith(f.magic), unchecked})
	}
	return all
}

func unchecked(context.Context, File) error { return nil }

// Marked tells whether files of the format are known by their beginning only: that one is
// valid says nothing of the rest of it.
func (f Format) Marked() bool {
	for _, d := range markedFormats() {
		if d.format == f {
			return true
		}
	}
	return false
}

// Sealed tells whether files of the format are encrypted, so that nobody can tell what is in
// them without a key.
func (f Format) Sealed() bool {
	switch f {
	case "openpgp", "age", "git-crypt", "openssl-enc", "luks":
		return true
	}
	return false
}

// Hollow tells whether a file of the format may well be empty: one of lines of which there
// happens to be none, or a database that nobody has put anything into.
func (f Format) Hollow() bool {
	switch f {
	case "authorized-keys", "known-hosts", "jsonl", "yaml", "toml", "ini", "sqlite", "sqlite-wal", "vcard":
		return true
	}
	return false
}
