package validate

import (
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

func recogniseWireGuard(name string, head []byte) bool {
	if !hasSuffix(name, ".conf") {
		return false
	}
	lines := headLines(head)
	return len(lines) > 0 && headHas(lines[:1], `(?i)^\[(interface|peer)\]`) &&
		headHas(lines, `(?i)^(privatekey|publickey) *=`)
}

// wgFile is what was read of a file for wg-quick so far.
type wgFile struct {
	format     Format
	section    string // "interface", "peer" or ""
	sectionAt  int    // its line
	interfaces int
	privateKey bool // there is one, or a command that may set it
	publicKey  bool // the peer has one
}

func checkWireGuard(ctx context.Context, f File) error {
	t, err := f.settings(ctx, "wireguard")
	if err != nil {
		return err
	}
	w := &wgFile{format: "wireguard"}
	if err := t.eachLine(w.take); err != nil {
		return err
	}
	if err := w.endSection(); err != nil {
		return err
	}
	switch {
	case w.interfaces == 0:
		return broken(w.format, "the section [Interface] is missing")
	case !w.privateKey:
		return broken(w.format, "[Interface] has no PrivateKey")
	}
	return nil
}

func (w *wgFile) take(n int, line string) error {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if line == "" {
		return nil
	}
	if line[0] == '[' {
		return w.begin(n, strings.ToLower(line))
	}
	key, value, ok := strings.Cut(line, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	if !ok || key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return broken(w.format, "line %d is neither a section nor a setting", n)
	}
	if w.section == "" {
		return broken(w.format, "the setting in line %d stands before the first section", n)
	}
	return w.set(n, key, strings.TrimSpace(value))
}

func (w *wgFile) begin(n int, line string) error {
	if err := w.endSection(); err != nil {
		return err
	}
	switch line {
	case "[interface]":
		w.interfaces++
	case "[peer]":
	default:
		return broken(w.format, "the section in line %d is neither [Interface] nor [Peer]", n)
	}
	w.section, w.sectionAt, w.publicKey = strings.Trim(line, "[]"), n, false
	return nil
}

func (w *wgFile) endSection() error {
	if w.section == "peer" && !w.publicKey {
		return broken(w.format, "the [Peer] of line %d has no PublicKey", w.sectionAt)
	}
	return nil
}

// set looks at a setting. One that is not known passes: there are derivatives of
// WireGuard with more of them.
func (w *wgFile) set(n int, key, value string) error {
	switch key {
	case "privatekey", "preup", "postup":
		w.privateKey = true
	case "publickey":
		w.publicKey = true
	}
	if valid := wgValue(key); valid != nil && !valid(value) {
		return broken(w.format, "the %s in line %d is not what it should be", wgKind(key), n)
	}
	return nil
}

func wgKind(key string) string {
	switch key {
	case "privatekey", "publickey", "presharedkey":
		return "key (32 bytes in Base64)"
	case "address", "allowedips":
		return "list of addresses"
	case "endpoint":
		return "endpoint"
	}
	return "number"
}

func wgValue(key string) func(string) bool {
	switch key {
	case "privatekey", "publickey", "presharedkey":
		return wgKey
	case "listenport":
		return wgNumber(16)
	case "mtu":
		return wgNumber(32)
	case "fwmark":
		return wgNumber(32, "off")
	case "persistentkeepalive":
		return wgNumber(16, "off")
	case "address", "allowedips":
		return wgAddresses
	case "endpoint":
		return wgEndpoint
	}
	return nil
}

func wgKey(s string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32
}

func wgNumber(bits int, words ...string) func(string) bool {
	return func(s string) bool {
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return true
			}
		}
		_, err := strconv.ParseUint(s, 0, bits)
		return err == nil
	}
}

func wgAddresses(s string) bool {
	for _, one := range strings.Split(s, ",") {
		one = strings.TrimLeft(strings.TrimSpace(one), "+-")
		if one == "" {
			continue // AllowedIPs may be empty
		}
		if _, err := netip.ParsePrefix(one); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(one); err != nil {
			return false
		}
	}
	return true
}

func wgEndpoint(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && !strings.ContainsAny(host, " \t") && wgNumber(16)(port)
}
