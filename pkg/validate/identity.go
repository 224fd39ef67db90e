package validate

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Identity is what tells a file of the format from others of its kind, whatever
// its name: 8 hexadecimal digits made of a NetworkManager connection's uuid. It is
// empty for a format that has no such thing, and for a file that is not valid.
func Identity(format Format, f File) string {
	if format != "networkmanager" {
		return ""
	}
	b, err := f.whole(settingsMax)
	if err != nil {
		return ""
	}
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && section == "[connection]" && strings.TrimSpace(key) == "uuid" {
			sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(value))))
			return hex.EncodeToString(sum[:4])
		}
	}
	return ""
}
