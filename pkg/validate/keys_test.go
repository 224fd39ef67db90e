package validate

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// keyDamage is how many damages of each kind may be missed at most, in percent.
type keyDamage struct{ cut, flip, zero int }

// harm does every damage that a format must bear, and fails when one is missed that may
// not be. Blocks of 64 zeros are wiped: less than the smallest sector.
func harm(t *testing.T, d damages, allowed keyDamage) {
	t.Helper()
	say := func(kind string, missed []int, all, percent int) {
		t.Helper()
		t.Logf("%-14s %-20s %-4s found %4d of %4d", d.format, d.name, kind, all-len(missed), all)
		if len(missed)*100 > percent*all {
			t.Errorf("%s: %d of %d damages of kind %s were missed, at %v", d.name, len(missed), all, kind, missed)
		}
	}
	missed, all := d.cut(t)
	say("cut", missed, all, allowed.cut)
	missed, all = d.flip(t)
	say("flip", missed, all, allowed.flip)
	missed, all = d.zero(t, 64)
	say("zero", missed, all, allowed.zero)
	if err := checkBytes(t, d.format, d.name, nil); !isInvalid(err) {
		t.Errorf("%s: empty: %v", d.name, err)
	}
}

// TestKeySamples: what is written by the line. A cut behind the last line that is needed, or
// inside of a value, cannot be seen, nor a bit in a value; NULs always are.
func TestKeySamples(t *testing.T) {
	allowed := map[string]keyDamage{
		"home.nmconnection":   {cut: 75, flip: 85},
		"office.nmconnection": {cut: 75, flip: 85},
		"wg0.conf":            {cut: 45, flip: 60},
		"wpa_supplicant.conf": {cut: 40, flip: 90},
		"home.psk":            {cut: 40, flip: 70},
		"campus.8021x":        {cut: 30, flip: 80},
		"people.vcf":          {cut: 3, flip: 80}, // between the two cards
		"home.ics":            {cut: 1, flip: 80},
	}
	for _, s := range keySamples() {
		t.Run(s.name, func(t *testing.T) {
			wantValid(t, s.format, inMemory(s.name, s.whole))
			harm(t, s, allowed[s.name])
			if !s.format.ByHand() {
				t.Error("people edit it")
			}
		})
	}
}

// TestKeySamplesNoText: what no editor writes is told from a mistake, also behind one.
func TestKeySamplesNoText(t *testing.T) {
	samples := append(keySamples(),
		damages{"known-hosts", "known_hosts", []byte("# one\n# two\n")},
		damages{"authorized-keys", "authorized_keys", []byte("# one\n# two\n")})
	for _, s := range samples {
		middle := len(s.whole) / 2
		for _, bad := range []string{"\x00", "\xc3\x28", "\xff"} {
			if s.format == "wpa-supplicant" && bad != "\x00" {
				continue // a network's name is any bytes
			}
			b := slices.Concat([]byte("mistake\n"), s.whole[:middle], []byte(bad), s.whole[middle:])
			for _, b := range [][]byte{b, b[len("mistake\n"):]} {
				if err := checkBytes(t, s.format, s.name, b); !isNoText(err) {
					t.Errorf("%s with %q: %v", s.name, bad, err)
				}
			}
		}
		if err := checkBytes(t, s.format, s.name, []byte("mistake\n")); isNoText(err) || err == nil {
			t.Errorf("%s with a mistake: %v", s.name, err)
		}
	}
	cut := []byte(sampleWiFi)[:bytes.Index([]byte(sampleWiFi), []byte("é"))+1]
	if err := checkBytes(t, "networkmanager", "x.nmconnection", cut); !isNoText(err) {
		t.Errorf("cut inside of a character: %v", err)
	}
}

// TestKeyText: what the programs take and what they refuse.
func TestKeyText(t *testing.T) {
	replace := strings.Replace
	const key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	for _, c := range []struct {
		format     Format
		name, text string
		want       string // of the reason; "" when it is valid
	}{
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "psk=pass word#with;all\n", "psk-flags=1\n", 1), ""},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "psk=pass word#with;all", "psk=short", 1), "psk in line 15"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "psk=pass word#with;all", "psk="+strings.Repeat("f", 64), 1), ""},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "psk=pass word#with;all", "psk="+strings.Repeat("g", 64), 1), "psk in line 15"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, `ssid=Café;\;#1`, "ssid=104;101;108;108;111;", 1), ""},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, `ssid=Café;\;#1`, "ssid=", 1), "ssid in line 10"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, `ssid=Café;\;#1`, "", 1), "ssid is missing"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "uuid=5", "uuid=x", 1), "uuid in line 4"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "type=wifi", "", 1), "no type"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "[wifi]", "[wifi", 1), "line 8"},
		{"networkmanager", "x.nmconnection", replace(sampleWiFi, "mode=infra", "mode infra", 1), "line 9"},
		{"networkmanager", "x.nmconnection", "[connection]\nid=a\ntype=bridge\n[bridge]\n", ""},
		{"wireguard", "wg.conf", "[interface]\nprivatekey=" + key + "\n", ""},
		{"wireguard", "wg.conf", "[Interface]\nPostUp = wg set %i private-key /etc/key\nJc = 4\n", ""},
		{"wireguard", "wg.conf", "[Interface]\nAddress = 192.0.2.1\n", "no PrivateKey"},
		{"wireguard", "wg.conf", "[Interface]\nPrivateKey=" + key[:40] + "\n", "line 2"},
		{"wireguard", "wg.conf", "[Interface]\nPrivateKey=" + key + "\n[Peer]\nAllowedIPs=::/0\n", "no PublicKey"},
		{"wireguard", "wg.conf", "[Interface]\nPrivateKey=" + key + "\nAddress = 192.0.2.300\n", "line 3"},
		{"wireguard", "wg.conf", "[Interface]\nPrivateKey=" + key + "\n[Peer]\nPublicKey=" + key + "\nEndpoint=host\n", "line 5"},
		{"wireguard", "wg.conf", "[Peers]\n", "line 1"},
		{"wireguard", "wg.conf", "PrivateKey=" + key + "\n", "before the first section"},
		{"wpa-supplicant", "wpa_supplicant.conf", "network={\n\tssid=\"x\"\n", "line 1 does not end"},
		{"wpa-supplicant", "wpa_supplicant.conf", "network={\n\tssid=\"x\n}\n", "quotation in line 2"},
		{"wpa-supplicant", "wpa_supplicant.conf", "network={\n\tpsk=\"short\"\n}\n", "psk in line 2"},
		{"wpa-supplicant", "wpa_supplicant.conf", "network={\n\tpsk=abc\n}\n", "psk in line 2"},
		{"wpa-supplicant", "wpa_supplicant.conf", "network={\n\tpsk=ext:home\n\tssid=P\"caf\\xc3\"\n}\n", ""},
		{"wpa-supplicant", "wpa_supplicant.conf", "networks={\n}\n", "line 1"},
		{"wpa-supplicant", "wpa_supplicant.conf", "}\n", "line 1"},
		{"wpa-supplicant", "wpa_supplicant.conf", "blob-base64-a={\n!!\n}\n", "blob"},
		{"iwd", "x.open", "[Settings]\nHidden=true\n", ""},
		{"iwd", "x.psk", "[Security]\nEncryptedSalt=00ff\nEncryptedSecurity=00ff\n", ""},
		{"iwd", "x.psk", "[Security]\nEncryptedSecurity=00ff\n", "EncryptedSalt"},
		{"iwd", "x.psk", "[Security]\nPreSharedKey=00ff\n", "line 2"},
		{"iwd", "x.psk", "[Settings]\nHidden=true\n", "neither"},
		{"iwd", "x.8021x", "[Security]\n[@pem@ca]\n-----BEGIN", "embedded"},
		{"vcard", "x.vcf", sampleOldCard, ""},
		{"vcard", "x.vcf", "\ufeff" + sampleCards, ""},
		{"vcard", "x.vcf", "BEGIN:VCARD\nVERSION:3.0\nFN\nEND:VCARD\n", "line 3"},
		{"vcard", "x.vcf", "BEGIN:VCARD\nFN:a\nEND:VCALENDAR\n", "line 3"},
		{"vcard", "x.vcf", "FN:a\n", "line 1"},
		{"icalendar", "x.ics", strings.Replace(sampleCalendar, "END:VALARM\r\n", "", 1), "END"},
		{"icalendar", "x.ics", strings.Repeat("BEGIN:VCALENDAR\n", 40), "too deep"},
		{"pem", "x.ovpn", "client\n<ca>\n</ca>\n", "no line with BEGIN"},
		{"pem", "x.ovpn", "client\n<tls-auth>\n" + openVPNStatic() + "</tls-auth>\n", ""},
		{"pem", "x.ovpn", "client\n<tls-auth>\n" + openVPNStatic(), "line 2 does not end"},
		{"pem", "x.ovpn", strings.Replace(openVPNStatic(), "ab", "xy", 1), "512"},
	} {
		err := checkBytes(t, c.format, c.name, []byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (!isInvalid(err) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %q: %v, want %q", c.format, c.text, err, c.want)
		}
	}
}

func openVPNStatic() string {
	return "#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\n" +
		strings.Repeat(strings.Repeat("ab", 16)+"\n", 16) + "-----END OpenVPN Static key V1-----\n"
}

// TestKeyRecognise: files of another kind are not claimed.
func TestKeyRecognise(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"notes.md", "Paste this:\n-----BEGIN CERTIFICATE-----\n"}, {"x.conf", "[Interface]\nname=a\n"},
		{"x.psk", "raw"}, {"calls.vcf", "##fileformat=VCFv4.2\n"}, {"x.pub", "a book"}, {"x.key", "a license"},
		{"x.open", "{}"}, {"x.p12", "PK\x03\x04"}, {"x.gpg", "gpg"}, {"trustdb.gpg", "\x01gpg\x03\x03\x01\x05"},
		{"sshd_config", "Port 22\n"}, {"x.der", "hello"}, {"x.ini", "[connection]\nurl=a\n"},
	} {
		if got, err := New().Recognise(inMemory(c.name, []byte(c.text))); err != nil ||
			slices.ContainsFunc(keyFormats(), func(d definition) bool { return d.format == got }) {
			t.Errorf("%s is claimed as %q, %v", c.name, got, err)
		}
	}
	system := "[connection]\nid=x\nuuid=5a1f1c70-9d1b-4a5e-8f3a-0c8a1a2b3c4d\ntype=vpn\n"
	if got, _ := New().Recognise(inMemory("my vpn", []byte(system))); got != "networkmanager" {
		t.Errorf("a keyfile without an ending is %q", got)
	}
}

// TestKeyReasonsHoldNoContents: a reason never holds part of a key or a password.
func TestKeyReasonsHoldNoContents(t *testing.T) {
	const secret = "HUNTER2SECRET"
	for _, c := range []struct {
		format     Format
		name, text string
	}{
		{"networkmanager", "x.nmconnection", "[connection]\n" + secret}, {"networkmanager", "x.nmconnection", "[" + secret},
		{"networkmanager", "x.nmconnection", "[connection]\ntype=" + secret}, {"wireguard", "x.conf", "[" + secret + "]"},
		{"wireguard", "x.conf", "[Interface]\nPrivateKey=" + secret}, {"wpa-supplicant", "x.conf", "network={\npsk=" + secret + "\n}"},
		{"wpa-supplicant", "x.conf", secret + "={"}, {"iwd", "x.psk", "[Security]\nPreSharedKey=" + secret},
		{"known-hosts", "x", secret}, {"authorized-keys", "x", "ssh-rsa " + secret}, {"vcard", "x.vcf", "BEGIN:" + secret},
		{"vcard", "x.vcf", secret}, {"pem", "x", "-----BEGIN " + secret}, {"gnupg-key", "x.key", "Key: (" + secret},
		{"pem-key", "x", "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n"},
		{"openpgp", "x", "-----BEGIN PGP MESSAGE-----\n\n" + secret + "!\n"},
	} {
		if err := checkBytes(t, c.format, c.name, []byte(c.text)); err == nil || strings.Contains(strings.ToUpper(err.Error()), secret) {
			t.Errorf("%s %q: %v", c.format, c.text, err)
		}
	}
}

// TestKeyReadErrors: a disk that does not read is no verdict on the contents.
func TestKeyReadErrors(t *testing.T) {
	b := bytes.Repeat([]byte("-----BEGIN \x30\n"), 100)
	for _, d := range keyFormats() {
		f := inMemory("x", b)
		f.Data = brokenDisk{bytes.NewReader(b), 0}
		if err := New().Check(context.Background(), d.format, f); !errors.Is(err, errDisk) || isInvalid(err) {
			t.Errorf("%s on a broken disk: %v", d.format, err)
		}
	}
}

// TestKeyNeighbourReadErrors: nor is one that does not read the file beside it.
func TestKeyNeighbourReadErrors(t *testing.T) {
	name := "id"
	dir := runProgram(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
	f := inMemory(name, readFile(t, dir, name))
	f.Beside = func(string) (File, error) {
		return File{Name: "id.pub", Size: 100, Data: brokenDisk{bytes.NewReader(make([]byte, 100)), 0}}, nil
	}
	if err := New().Check(context.Background(), "openssh-key", f); !errors.Is(err, errDisk) {
		t.Errorf("beside a broken file: %v", err)
	}
}

// TestKeyContextEnds: a check that is given up tells nothing of the contents.
func TestKeyContextEnds(t *testing.T) {
	b := bytes.Repeat([]byte("FN:\n"), 100_000)
	for _, d := range keyFormats() {
		ctx, cancel := context.WithCancel(context.Background())
		f := inMemory("x", b[:64<<10])
		f.Data = endsContext{bytes.NewReader(b), cancel}
		if err := New().Check(ctx, d.format, f); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after its context ended: %v", d.format, err)
		}
		cancel()
	}
}

// TestKeySizes: what is too large is not looked at, and packets in packets end.
func TestKeySizes(t *testing.T) {
	for _, d := range keyFormats() {
		f := File{Name: "x", Size: MaxSize + 1, Data: bytes.NewReader(nil)}
		if err := New().Check(context.Background(), d.format, f); !errors.Is(err, ErrNotJudged) {
			t.Errorf("%s of %d bytes: %v", d.format, f.Size, err)
		}
	}
	packet := []byte{0xcb, 7, 'b', 0, 0, 0, 0, 0, 'x'}
	for depth := 1; depth <= pgpDepth+1; depth++ {
		packet = append([]byte{0xa3, 0}, packet...) // compressed with nothing, to the end
		err := checkBytes(t, openpgp, "x.gpg", packet)
		if deep := errors.Is(err, ErrNotJudged); deep != (depth > pgpDepth) || !deep && err != nil {
			t.Errorf("%d compressed packets in each other: %v", depth, err)
		}
	}
	deep := bytes.Repeat([]byte("("), 100_000)
	if err := checkBytes(t, "gnupg-key", "x.key", deep); !isInvalid(err) {
		t.Errorf("lists in lists: %v", err)
	}
	if err := checkBytes(t, "pkcs12", "x.p12", bytes.Repeat([]byte{0x30, 0x80}, 50_000)); !isInvalid(err) {
		t.Errorf("elements in elements: %v", err)
	}
}
