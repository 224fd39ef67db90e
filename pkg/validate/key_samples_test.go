package validate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// keySamples are whole files of what people and programs write by the line, as the
// programs' documentation shows them.
func keySamples() []damages {
	return []damages{
		{"networkmanager", "home.nmconnection", []byte(sampleWiFi)},
		{"networkmanager", "office.nmconnection", []byte(sampleEthernet)},
		{"wireguard", "wg0.conf", []byte(sampleWireGuard)},
		{"wpa-supplicant", "wpa_supplicant.conf", []byte(sampleWPA)},
		{"iwd", "home.psk", []byte("[Security]\nPreSharedKey=" + strings.Repeat("0af3", 16) + "\nPassphrase=correct horse\n[Settings]\nAutoConnect=true\n")},
		{"iwd", "campus.8021x", []byte("[Security]\nEAP-Method=PEAP\nEAP-Identity=anonymous\n[@pem@ca]\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
		{"vcard", "people.vcf", []byte(sampleCards)},
		{"icalendar", "home.ics", []byte(sampleCalendar)},
	}
}

const sampleWiFi = `# made by hand
[connection]
id=Café
uuid=5a1f1c70-9d1b-4a5e-8f3a-0c8a1a2b3c4d
type=wifi
permissions=user:mary:;

[wifi]
mode=infrastructure
ssid=Café;\;#1

[wifi-security]
auth-alg=open
key-mgmt=wpa-psk
psk=pass word#with;all

[ipv4]
dns=192.0.2.53;192.0.2.54;
method=auto

[ipv6]
addr-gen-mode=stable-privacy
method=auto

[proxy]
`

const sampleEthernet = `[connection]
id=office
uuid=F5D3B6A2-0C1D-4E3F-9A8B-7C6D5E4F3A2B
type=ethernet
timestamp=1700000000
[ethernet]
[ipv4]
address1=192.0.2.7/24,192.0.2.1
method=manual
`

const sampleWireGuard = `[Interface]
Address = 192.0.2.2/24, 2001:db8::2/64 # inline
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
ListenPort = 51820
DNS = 192.0.2.1, example.org
MTU = 1420
PostUp = ip rule add from 192.0.2.2 table 7

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
PresharedKey = /UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak=
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = [2001:db8::1]:51820
PersistentKeepalive = 25
`

const sampleWPA = `ctrl_interface=DIR=/run/wpa_supplicant GROUP=netdev
update_config=1
country=DE

# home
network={
	ssid="simple # not a comment"
	psk="very secret passphrase" # a comment
	priority=5
}
network={
	ssid=68656c6c6f
	key_mgmt=WPA-PSK
	psk=06b4be19da289f475aa46a33cb793029d4ab3db7a23ee92382eb0106c72ac7bb
}
cred={
	realm="example.org"
	eap=TTLS
}
blob-base64-ca={
SGVsbG8sIHdvcmxkIQ==
}
`

const sampleCards = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Jörg Muster\r\nN:Muster;Jörg;;;\r\n" +
	"item1.EMAIL;TYPE=INTERNET:joerg@example.org\r\nNOTE:A long note that goes on and on\r\n  and on\r\n" +
	"PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgAB\r\n AQEASABIAAD\r\nEND:VCARD\r\n" +
	"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Erika\r\nEND:VCARD\r\n"

const sampleOldCard = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:M=FCller;=\r\n" +
	"J=F6rg;;;\r\nORG:M\xfcller\r\nPHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgAB\r\nAQEASABIAAD=\r\n\r\nEND:VCARD\r\n"

const sampleCalendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//1//EN\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\n" +
	"DTSTART;TZID=Europe/Berlin:20261122T200000\r\nSUMMARY:Essen\r\n" +
	"ATTENDEE;CN=\"A name that is so long that the line is folded before its col\r\n on\";ROLE=REQ-PARTICIPANT:mailto:a@example.org\r\n" +
	"BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT10M\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// sshKeys makes keys with ssh-keygen, and gives the files of the directory.
func sshKeys(t testing.TB) map[string][]byte {
	dir := t.TempDir()
	for name, args := range map[string]string{
		"id_ed25519": "-t ed25519 -N|", "id_rsa": "-t rsa -b 1024 -N|", "id_ecdsa": "-t ecdsa -b 256 -N|",
		"id_ecdsa384": "-t ecdsa -b 384 -N|", "id_ecdsa521": "-t ecdsa -b 521 -N|",
		"sealed": "-t ed25519 -a 1 -N secret", "sealed_gcm": "-t ed25519 -a 1 -Z aes256-gcm@openssh.com -N secret",
		"sealed_chacha": "-t rsa -b 1024 -a 1 -Z chacha20-poly1305@openssh.com -N secret",
		"pem_rsa":       "-t rsa -b 1024 -m PEM -N|", "pem_ec": "-t ecdsa -m PEM -N|", "pkcs8_rsa": "-t rsa -b 1024 -m PKCS8 -N|",
		"pem_sealed": "-t rsa -b 1024 -m PEM -N secret",
	} {
		fields := strings.Fields(strings.Replace(args, "-N|", "-N |", 1))
		for i := range fields {
			fields[i] = strings.TrimPrefix(fields[i], "|")
		}
		fields = append(fields, "-q", "-C", "a comment", "-f", filepath.Join(dir, name))
		runIn(t, dir, "ssh-keygen", fields...)
	}
	return directory(t, dir)
}

// runIn runs a program in a directory.
func runIn(t testing.TB, dir, name string, args ...string) []byte {
	t.Helper()
	c := exec.Command(program(t, name), args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GNUPGHOME="+dir, "LC_ALL=C")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("cannot run %s %s: %v\n%s", name, args, err, out)
	}
	return out
}

// directory reads the files of a directory and of those in it, by their base names.
func directory(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			files[filepath.Base(path)] = readFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// opensslFiles makes keys, certificates and stores with openssl.
func opensslFiles(t testing.TB) map[string][]byte {
	dir := t.TempDir()
	for _, command := range []string{
		"genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.key",
		"rsa -in rsa.key -traditional -out rsa1.key",
		"rsa -in rsa.key -traditional -aes256 -passout pass:secret -out rsa1s.key",
		"rsa -in rsa.key -pubout -out rsapub.pem",
		"pkcs8 -topk8 -in rsa.key -passout pass:secret -out rsas.key",
		"genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key",
		"ecparam -name prime256v1 -genkey -out ec1.key",
		"genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k1.key",
		"genpkey -quiet -algorithm ed25519 -out ed.key",
		"genpkey -quiet -algorithm x25519 -out x.key",
		"genpkey -quiet -algorithm ed448 -out ed448.key",
		"pkey -in rsa.key -outform DER -out rsakey.der",
		"req -x509 -new -key ec.key -subj /CN=authority -days 30 -out ca.crt",
		"x509 -in ca.crt -text -out catext.pem",
		"x509 -in ca.crt -trustout -addtrust serverAuth -out trusted.pem",
		"x509 -in ca.crt -outform DER -out ca.der",
		"req -new -key rsa.key -subj /CN=host -out host.csr",
		"x509 -req -in host.csr -CA ca.crt -CAkey ec.key -CAcreateserial -days 30 -out host.crt",
		"crl2pkcs7 -nocrl -certfile host.crt -out host.p7b",
		"pkcs12 -export -inkey rsa.key -in host.crt -certfile ca.crt -passout pass:secret -out new.p12",
		"pkcs12 -export -legacy -inkey rsa.key -in host.crt -passout pass:secret -out old.p12",
		"pkcs12 -export -keypbe NONE -certpbe NONE -inkey ec.key -in ca.crt -passout pass: -out open.pfx",
	} {
		runIn(t, dir, "openssl", strings.Fields(command)...)
	}
	files := directory(t, dir)
	files["chain.pem"] = append(bytes.Clone(files["host.crt"]), files["ca.crt"]...)
	return files
}

// gpgFiles makes keys and messages with GnuPG, in a home of their own.
func gpgFiles(t testing.TB) map[string][]byte {
	program(t, "gpg")
	// The agent's socket lies in it, and a socket's path must be short.
	dir, err := os.MkdirTemp("", "g")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer exec.Command("gpgconf", "--homedir", dir, "--kill", "gpg-agent").Run()
	gpg := func(args ...string) {
		t.Helper()
		runIn(t, dir, "gpg", append(strings.Fields("--batch --yes --quiet --trust-model always --pinentry-mode loopback --passphrase"), args...)...)
	}
	parameters := filepath.Join(dir, "parameters")
	erika := "Key-Type: eddsa\nKey-Curve: ed25519\nSubkey-Type: ecdh\nSubkey-Curve: cv25519\nName-Real: Erika\n%no-protection\n"
	if err := os.WriteFile(parameters, []byte(erika), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg("", "--generate-key", parameters)
	gpg("", "--quick-generate-key", "Rita <rita@example.org>", "rsa1024", "default", "never")
	gpg("", "--quick-generate-key", "Nils <nils@example.org>", "nistp256", "default", "never")
	gpg("", "--quick-generate-key", "Vera <vera@example.org>", "ed25519", "default", "never")
	gpg("secret", "--quick-generate-key", "Sealed <sealed@example.org>", "rsa1024", "default", "never")
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("a text, ", 3000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for out, args := range map[string]string{
		"public.gpg": "--export", "public.asc": "--armor --export", "erika.gpg": "--export-secret-keys erika",
		"rita.gpg": "--export-secret-keys rita", "nils.gpg": "--export-secret-keys nils", "vera.gpg": "--export-secret-keys vera",
		"secret.asc": "--armor --export-secret-keys rita", "sealed.gpg": "--export-secret-keys sealed",
		"message.gpg": "-r erika --encrypt text.txt", "message.asc": "--armor -r erika --encrypt text.txt",
		"password.gpg": "--symmetric text.txt", "signed.gpg": "-u erika --sign text.txt", "text.sig": "-u rita --detach-sign text.txt",
		"text.asc": "-u nils --clearsign text.txt", "bzip2.gpg": "-u vera --compress-algo bzip2 --sign text.txt",
		"zlib.gpg": "-u vera --compress-algo zlib --sign text.txt",
	} {
		passphrase := ""
		if strings.Contains(args, "sealed") || strings.Contains(args, "symmetric") {
			passphrase = "secret"
		}
		gpg(append([]string{passphrase, "--output", filepath.Join(dir, out)}, strings.Fields(args)...)...)
	}
	return directory(t, dir)
}
