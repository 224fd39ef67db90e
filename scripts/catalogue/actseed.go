package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// manyFiles is how many files a directory of many has, unless the act says so.
const manyFiles = 40

// seed makes the files that are there at the backup: those that every act finds,
// and those that this one names:
//
//	NAME        a file of that name
//	DIR/text    a file like $F in a directory
//	DIR/other   a file like $B in a directory
//	many/NAME   many files like NAME, "text" and "other" among them
//
// No two files have the same contents, here or in the directory of another act,
// so that none can be taken for another that moved.
func seed(a act, class, dir string) error {
	names := []string{textOf(class), otherOf(class), "left-alone.txt"}
	for _, s := range a.seed {
		switch path.Base(s) {
		case "text":
			s = path.Join(path.Dir(s), textOf(class))
		case "other":
			s = path.Join(path.Dir(s), otherOf(class))
		}
		if path.Dir(s) != "many" {
			names = append(names, s)
			continue
		}
		n := a.many
		if n == 0 {
			n = manyFiles
		}
		for i := range n {
			names = append(names, fmt.Sprintf("many/%03d-%s", i, path.Base(s)))
		}
	}
	for _, n := range names {
		if err := seedFile(dir, n); err != nil {
			return fmt.Errorf("cannot make %s: %w", n, err)
		}
	}
	return nil
}

// seedFile makes one file and what belongs to it, such as the public key.
func seedFile(dir, name string) error {
	full := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Lstat(full); err == nil {
		return nil // made with the file that it belongs to
	}
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	files, err := sample(path.Base(name), full)
	if err != nil {
		return err
	}
	for ending, raw := range files {
		file := full + ending
		if ending != "" && ending[0] == '=' {
			file = filepath.Join(filepath.Dir(full), ending[1:])
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// sample makes contents that fit the name: by what must be added to the name,
// "" for the file itself, "=NAME" for another name. The token is unique.
func sample(base, token string) (map[string][]byte, error) {
	kind := base
	if len(base) > 4 && strings.Trim(base[:3], "0123456789") == "" && base[3] == '-' {
		kind = base[4:] // one of many
	}
	switch kind {
	case "id_ed25519":
		return sampleKeys(token)
	case "server.pem", "server.crt":
		return sampleCertificate()
	case "report.odt":
		return sampleDocument(token)
	}
	var raw []byte
	var err error
	switch {
	case strings.HasSuffix(kind, ".jpg"), strings.HasSuffix(kind, ".png"):
		raw, err = samplePicture(kind, token)
	case kind == "letter.pdf":
		raw = samplePDF(token)
	case kind == "random.bin":
		raw = sampleNoise(token, 20000)
	case kind == "holes.bin":
		raw = append(append(sampleNoise(token, 8192), make([]byte, 65536)...), sampleNoise(token+"2", 8192)...)
	case kind == "disk.img":
		raw = make([]byte, 65536)
	case kind == "known_hosts", kind == "authorized_keys":
		raw, err = sampleHosts(token)
	default:
		raw = []byte(sampleText(kind, token))
	}
	return map[string][]byte{"": raw}, err
}

// sampleText makes the contents of a text file.
func sampleText(kind, token string) string {
	id := sha256.Sum256([]byte(token))
	h := hex.EncodeToString(id[:])
	uuid := h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
	switch kind {
	case "home.nmconnection", "office.nmconnection":
		name := strings.TrimSuffix(kind, ".nmconnection")
		return fmt.Sprintf("# version alpha\n[connection]\nid=%s\nuuid=%s\ntype=wifi\nautoconnect=false\n\n[wifi]\nmode=infrastructure\nssid=%s\n\n"+
			"[wifi-security]\nkey-mgmt=wpa-psk\npsk=%x\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n", name, uuid, name, id[:10])
	case "settings.conf":
		return fmt.Sprintf("# version alpha\n[app]\nname = alpha\nid = %s\nsize = 12\n\n[window]\nwidth = 800\nheight = 600\n", uuid)
	case "data.json":
		return fmt.Sprintf("{\n  \"name\": \"alpha\",\n  \"id\": %q,\n  \"sizes\": [1, 2, 3],\n  \"deep\": {\"on\": true, \"off\": null}\n}\n", uuid)
	case "conf.yaml":
		return fmt.Sprintf("name: alpha\nid: %s\nsizes:\n  - 1\n  - 2\n", uuid)
	case "app.toml":
		return fmt.Sprintf("name = \"alpha\"\nid = %q\n\n[window]\nwidth = 800\n", uuid)
	case "app.xml":
		return fmt.Sprintf("<?xml version=\"1.0\"?>\n<app>\n  <name>alpha</name>\n  <id>%s</id>\n</app>\n", uuid)
	case "app.desktop":
		return fmt.Sprintf("[Desktop Entry]\nType=Application\nName=Alpha\nExec=true\nX-Id=%s\n", uuid)
	case "wgact.conf":
		return fmt.Sprintf("[Interface]\nAddress = 10.9.0.2/24\nPrivateKey = %s\nSaveConfig = true\n\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.9.0.0/24\n"+
			"Endpoint = 192.0.2.1:51820\n", base64Key(token), base64Key(token+"peer"))
	case "wpa.conf":
		return fmt.Sprintf("ctrl_interface=/run/wpa\nupdate_config=1\n\nnetwork={\n\tssid=\"home\"\n\tpsk=\"%x\"\n}\n", id[:10])
	case "contacts.vcf":
		return fmt.Sprintf("BEGIN:VCARD\r\nVERSION:3.0\r\nN:Alpha;;;;\r\nFN:Alpha\r\nUID:%s\r\nEND:VCARD\r\n", uuid)
	case "calendar.ics":
		return fmt.Sprintf("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//alpha//EN\r\nBEGIN:VEVENT\r\nUID:%s\r\nDTSTAMP:20250101T000000Z\r\n"+
			"DTSTART:20250102T000000Z\r\nSUMMARY:alpha\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", uuid)
	case "mail.mbox":
		return fmt.Sprintf("From a@example.org Thu Jan  1 00:00:00 2025\nSubject: alpha\nMessage-Id: <%s>\n\ntext\n\n", uuid)
	}
	return fmt.Sprintf("version alpha of %s\n", uuid) + strings.Repeat("a line of alpha text, and more of it "+uuid[:8]+"\n", 20) + "the end\n"
}
