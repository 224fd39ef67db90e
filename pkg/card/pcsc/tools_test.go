//go:build cgo

package pcsc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/card/cardtest"
	"github.com/reprovision/reprovision/pkg/card/pcsc"
	"github.com/reprovision/reprovision/pkg/card/piv"
	"github.com/reprovision/reprovision/pkg/card/virtual"
)

// tool runs a program that others wrote on the card of the rig, and skips the
// test where it is not installed.
func (r *rig) tool(name string, args ...string) string {
	r.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		cardtest.Skip(r.t, err.Error()+" (packages opensc, yubico-piv-tool)")
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	reader := []string{"-r", r.name()}
	cmd := exec.CommandContext(ctx, path, append(reader, args...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// contents reads a data object as yubico-piv-tool sees it.
func (r *rig) contents(tag string) []byte {
	r.t.Helper()
	b, err := hex.DecodeString(strings.TrimSpace(r.tool("yubico-piv-tool", "-a", "read-object", "--id", tag, "-f", "hex", "-o", "-")))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// TestYubicoTool has an object of another program survive Format, and lets that
// program see ours, our key and its signature.
func TestYubicoTool(t *testing.T) {
	r := newRig(t, virtual.Options{PIV: &virtual.PIV{}})
	foreign, dir := bytes.Repeat([]byte("foreign"), 60), t.TempDir()
	file, certificate := filepath.Join(dir, "object"), filepath.Join(dir, "certificate")
	if err := os.WriteFile(file, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "010203040506070801020304050607080102030405060708"
	r.tool("yubico-piv-tool", "-k"+key, "-a", "write-object", "--id", "0x5fc10f", "-f", "binary", "-i", file)
	reader, data := pcsc.New(r.config(nil)), strings.Repeat("what a card is for ", 300)
	var made *ecdsa.PublicKey
	err := withCard(t, reader, func(ctx context.Context, m card.Medium) (err error) {
		if err = m.Format(ctx, 0); err == nil {
			err = card.NewStore(m).Commit(ctx, 1, []byte(data))
		}
		if err == nil {
			made, err = m.(card.Key).GenerateKey(ctx)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.contents("0x5fc10f"); !bytes.Equal(got, foreign) {
		t.Fatalf("the foreign object is %x", got)
	}
	if got := r.contents("0x5fc10e"); !bytes.Contains(got[:8], []byte("RPPV")) {
		t.Fatalf("our header is %x", got)
	}
	if got := r.contents("0x5fc110"); !bytes.Contains(got, []byte(data[:1000])) {
		t.Fatalf("our data are %x", got)
	}
	r.tool("yubico-piv-tool", "-a", "read-certificate", "-s", "9e", "-o", certificate)
	r.sameKey(certificate, made)
	r.tool("yubico-piv-tool", "-a", "test-signature", "-s", "9e", "-i", certificate)
	r.tool("yubico-piv-tool", "-a", "verify-pin", "-P", virtual.DefaultPIN)
	r.tool("yubico-piv-tool", "-a", "change-pin", "-P", virtual.DefaultPIN, "-N", "87654321")
	err = withCard(t, reader, func(ctx context.Context, m card.Medium) error { return m.(card.PIN).VerifyPIN(ctx, []byte("87654321")) })
	if err != nil {
		t.Fatal(err)
	}
	loads(t, reader, data)
}

func (r *rig) sameKey(file string, made *ecdsa.PublicKey) {
	r.t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		r.t.Fatalf("no certificate: %s", b)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !made.Equal(certificate.PublicKey) {
		r.t.Fatalf("the certificate is for another key, %v", err)
	}
}

// TestOpenSC has OpenSC know the PIV card and show our objects on both kinds.
func TestOpenSC(t *testing.T) {
	for name, test := range map[string]struct {
		options virtual.Options
		apdus   []string
		shows   string
	}{
		"PIV": {
			virtual.Options{PIV: &virtual.PIV{}},
			[]string{"00A4040009A0000003080000100000", "00CB3FFF055C035FC10E00"}, "RPPV",
		},
		"files": {
			virtual.Options{},
			[]string{"00A4040C0C" + hex.EncodeToString([]byte("\xF0reprovision")), "00A4020C025200", "00B000002C"}, "RPLB",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, test.options)
			reader := pcsc.New(r.config(nil))
			if err := withCard(t, reader, format); err != nil {
				t.Fatal(err)
			}
			if err := withCard(t, reader, commit(1, "one")); err != nil {
				t.Fatal(err)
			}
			var args []string
			for _, apdu := range test.apdus {
				args = append(args, "-s", apdu)
			}
			if out := r.tool("opensc-tool", args...); !strings.Contains(out, test.shows) {
				t.Fatalf("no %s in %s", test.shows, out)
			}
			if test.options.PIV == nil {
				return
			}
			if out := r.tool("piv-tool", "-s", "00A4040009A0000003080000100000", "-s", test.apdus[1]); !strings.Contains(out, test.shows) {
				t.Fatalf("no %s in %s", test.shows, out)
			}
			if out := r.tool("opensc-tool", "-n"); !strings.Contains(out, "Personal Identity Verification") {
				t.Fatalf("OpenSC takes it for %s", out)
			}
		})
	}
}

// TestForeignFile has a file of another program, made and read with opensc-tool,
// survive Format and commits.
func TestForeignFile(t *testing.T) {
	r := newRig(t, virtual.Options{})
	contents := hex.EncodeToString([]byte("somebody else's"))
	r.tool("opensc-tool", "-s", "00A4000C023F00", "-s", "00E000000D620B8002000F8201018302ABCD",
		"-s", "00A4020C02ABCD", "-s", "00D600000F"+contents)
	read := func() string {
		return r.tool("opensc-tool", "-s", "00A4000C023F00", "-s", "00A4020C02ABCD", "-s", "00B000000F")
	}
	before := read()
	if !strings.Contains(before, "somebody else's") {
		t.Fatalf("the file was not made: %s", before)
	}
	reader := pcsc.New(r.config(nil))
	for range 2 {
		if err := withCard(t, reader, func(ctx context.Context, m card.Medium) error { return m.Format(ctx, 0) }); err != nil {
			t.Fatal(err)
		}
		if err := withCard(t, reader, commit(1, "ours")); err != nil {
			t.Fatal(err)
		}
	}
	if after := read(); after != before {
		t.Fatalf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestForced checks that a profile that is not the card's is refused.
func TestForced(t *testing.T) {
	r := newRig(t, virtual.Options{})
	config := r.config(nil)
	config.Profiles = []card.Profile{piv.New(piv.Config{})}
	want(t, withCard(t, pcsc.New(config), format), card.ErrUnsupported)
}
