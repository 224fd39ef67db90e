package validate

import (
	"bytes"
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
)

func recogniseWPASupplicant(name string, head []byte) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, "wpa_supplicant") && strings.HasSuffix(base, ".conf") {
		return true
	}
	if !hasSuffix(name, ".conf") || bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	lines := headLines(head)
	return headHas(lines, `^network=\{`) && headHas(lines, `^(ssid|ctrl_interface) *=`)
}

const wpaNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

// wpaFile is what was read of a wpa_supplicant.conf so far.
type wpaFile struct {
	format  Format
	block   string // "network", "cred", "blob", or "" between blocks
	blockAt int    // its line
	blob    []byte
	entries int
}

// checkWPASupplicant reads as wpa_supplicant's config_file.c does. Names of settings
// are not looked up, because each version knows others. A name of a network is
// bytes, and not always UTF-8.
func checkWPASupplicant(ctx context.Context, f File) error {
	t, err := f.settings(ctx, "wpa-supplicant")
	if err != nil {
		return err
	}
	t.utf8 = false
	w := &wpaFile{format: "wpa-supplicant"}
	if err := t.eachLine(w.take); err != nil {
		return err
	}
	if w.block != "" {
		return broken(w.format, "the block of line %d does not end", w.blockAt)
	}
	if w.entries == 0 {
		return broken(w.format, "it holds no settings")
	}
	return nil
}

func (w *wpaFile) take(n int, line string) error {
	line = strings.TrimSpace(wpaUncommented(line))
	switch {
	case line == "":
		return nil
	case w.block == "":
		w.entries++
		return w.outside(n, line)
	case line == "}":
		return w.end(n)
	case w.block == "blob":
		w.blob = append(w.blob, line...)
		return nil
	}
	return w.setting(n, line)
}

// wpaUncommented cuts a comment off: what follows a "#" that is in no quotation marks.
func wpaUncommented(line string) string {
	quoted := false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '#' && !quoted:
			return line[:i]
		}
	}
	return line
}

func (w *wpaFile) outside(n int, line string) error {
	key, value, _ := strings.Cut(line, "=")
	if strings.TrimSpace(value) != "{" {
		return w.setting(n, line)
	}
	key = strings.TrimSpace(key)
	if strings.HasPrefix(key, "blob-base64-") {
		key = "blob"
	}
	if key != "network" && key != "cred" && key != "blob" {
		return broken(w.format, "the block that begins in line %d is of no kind that is known", n)
	}
	w.block, w.blockAt, w.blob = key, n, nil
	return nil
}

func (w *wpaFile) end(n int) error {
	if w.block == "blob" {
		if b, err := base64.StdEncoding.DecodeString(string(w.blob)); err != nil || len(b) == 0 {
			return broken(w.format, "the blob that ends in line %d is no Base64", n)
		}
	}
	w.block = ""
	return nil
}

func (w *wpaFile) setting(n int, line string) error {
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" || strings.Trim(key, wpaNameCharacters) != "" {
		return broken(w.format, "line %d is neither a setting nor a block", n)
	}
	if w.block == "" {
		return nil
	}
	inner, quoted := strings.CutPrefix(value, `"`)
	printf := strings.HasPrefix(value, `P"`)
	if (quoted && !strings.HasSuffix(inner, `"`)) || printf && (len(value) < 3 || !strings.HasSuffix(value, `"`)) {
		return broken(w.format, "the quotation in line %d does not end", n)
	}
	return w.value(n, key, value, strings.TrimSuffix(inner, `"`), quoted, printf)
}

func (w *wpaFile) value(n int, key, value, inner string, quoted, printf bool) error {
	switch {
	case w.block != "network" || printf:
	case key == "ssid" && quoted && len(inner) > 32:
		return broken(w.format, "the ssid in line %d has more than 32 bytes", n)
	case key == "ssid" && !quoted && (value == "" || len(value)%2 != 0 || len(value) > 64 || !isHex(value)):
		return broken(w.format, "the ssid in line %d is neither in quotation marks nor hexadecimal", n)
	case key == "psk" && quoted && (len(inner) < 8 || len(inner) > 63):
		return broken(w.format, "the psk in line %d does not have 8 to 63 characters", n)
	case key == "psk" && !quoted && !strings.HasPrefix(value, "ext:") && (len(value) != 64 || !isHex(value)):
		return broken(w.format, "the psk in line %d is neither in quotation marks nor 64 hexadecimal digits", n)
	}
	return nil
}
