package validate

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// packWith packs some text with a program of this machine.
func packWith(t testing.TB, program string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
	var text bytes.Buffer
	for i := range 3000 {
		fmt.Fprintf(&text, "line %d of the text\n", i*i)
	}
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-c", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func judge(name string, b []byte) (Format, error) {
	f := File{Name: name, Size: int64(len(b)), Data: bytes.NewReader(b)}
	format, err := New().Recognise(f)
	if err != nil || format == "" {
		return format, err
	}
	return format, New().Check(context.Background(), format, f)
}

func TestPackers(t *testing.T) {
	for program, format := range map[string]Format{"zstd": "zstd", "bzip2": "bzip2", "xz": "xz"} {
		t.Run(program, func(t *testing.T) {
			whole := packWith(t, program)
			if got, err := judge("x", whole); got != format || err != nil {
				t.Fatalf("whole: %q, %v", got, err)
			}
			var bad *Invalid
			for n := 16; n < len(whole); n += 1 + len(whole)/50 {
				if got, err := judge("x", whole[:n]); got != format || err == nil || !errors.As(err, &bad) && !errors.Is(err, ErrNotJudged) {
					t.Errorf("cut to %d of %d: %q, %v", n, len(whole), got, err)
				}
			}
			if program == "xz" {
				return // what lies between its ends is not unpacked
			}
			flipped := bytes.Clone(whole)
			flipped[len(flipped)/2] ^= 1
			if _, err := judge("x", flipped); !errors.As(err, &bad) {
				t.Errorf("flipped: %v", err)
			}
		})
	}
}

func TestDERKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := judge("id.key", der); got != "der-key" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, _ := judge("id.key", der[:len(der)-5]); got == "der-key" {
		t.Error("a key that is cut short is recognised")
	}
}

func FuzzPackers(f *testing.F) {
	f.Add([]byte(xzMagic + "\x00\x04\xe6\xd6\xb4\x46"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Add([]byte("BZh91AY&SY"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = judge("x", b) })
}
