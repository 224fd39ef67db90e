package validate

import (
	"bytes"
	"context"
	"regexp"
	"strings"
)

func recogniseNetworkManager(name string, head []byte) bool {
	if strings.HasSuffix(name, ".nmconnection") {
		return true
	}
	if !bytes.Contains(head, []byte("[connection]")) || bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	lines := headLines(head)
	return len(lines) > 0 && lines[0][0] == '[' &&
		headHas(lines, `^\[connection\]$`) && headHas(lines, `^uuid *=`) && headHas(lines, `^type *=`)
}

// checkNetworkManager asks for what NetworkManager's keyfile plugin asks for: it
// makes up a missing UUID from the file's name, and asks people for a missing
// secret, so neither is a fault.
func checkNetworkManager(ctx context.Context, f File) error {
	k, err := readKeyfile(ctx, f, "networkmanager")
	if err != nil {
		return err
	}
	if err := nmConnection(k); err != nil {
		return err
	}
	kind, _ := k.get("type", "connection")
	if kind.text == "wifi" || kind.text == "802-11-wireless" {
		return nmWiFi(k)
	}
	return nil
}

func nmConnection(k *keyfile) error {
	if k.groups["connection"] == nil {
		return broken(k.format, "the section [connection] is missing")
	}
	if v, ok := k.get("uuid", "connection"); ok && !nmUUID(v.text) {
		return broken(k.format, "the uuid in line %d is no UUID", v.line)
	}
	v, ok := k.get("type", "connection")
	if !ok || v.text == "" {
		return broken(k.format, "[connection] tells no type")
	}
	if strings.Trim(v.text, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return broken(k.format, "the type in line %d is no name of a type", v.line)
	}
	return nil
}

// nmUUID takes what nm_uuid_is_valid takes: also 40 hexadecimal digits, of old.
func nmUUID(s string) bool {
	return regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{40})$`).MatchString(s)
}

func nmWiFi(k *keyfile) error {
	ssid, ok := k.get("ssid", "wifi", "802-11-wireless")
	if !ok {
		return broken(k.format, "the Wi-Fi network's ssid is missing")
	}
	if n := nmByteLength(ssid.text); n < 1 || n > 32 {
		return broken(k.format, "the ssid in line %d does not have 1 to 32 bytes", ssid.line)
	}
	const security, oldSecurity = "wifi-security", "802-11-wireless-security"
	management, _ := k.get("key-mgmt", security, oldSecurity)
	psk, ok := k.get("psk", security, oldSecurity)
	if !ok || management.text != "wpa-psk" {
		return nil
	}
	if fault := pskFault(psk.text, unescapedLength(psk.text)); fault != "" {
		return broken(k.format, "the psk in line %d %s", psk.line, fault)
	}
	return nil
}

// nmByteLength counts the bytes of a value that is a string or a list of byte values,
// "104;105;", whose last ";" may be missing.
func nmByteLength(value string) int {
	if regexp.MustCompile(`^([0-9]{1,3} *; *)+([0-9]{1,3})?$`).MatchString(value) {
		return len(strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ' ' }))
	}
	return unescapedLength(value)
}
