package keyring_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/bytemare/ksf"

	"github.com/reprovision/reprovision/pkg/keyring"
)

func TestNewPasscode(t *testing.T) {
	seen := make(map[string]bool)
	var digits [10]int
	for range 2000 {
		p, err := keyring.NewPasscode(rand.Reader)
		if err != nil || len(p) != 8 {
			t.Fatalf("%q, %v", p, err)
		}
		seen[p] = true
		for _, d := range p {
			digits[d-'0']++
		}
	}
	if len(seen) < 1990 {
		t.Errorf("only %d different passcodes of 2000", len(seen))
	}
	for d, n := range digits { // 1600 expected, standard deviation 38
		if n < 1200 || n > 2000 {
			t.Errorf("digit %d came %d times of 16000", d, n)
		}
	}
}

// TestNewPasscodeRejects feeds numbers of the incomplete last run, which would
// make low passcodes likelier.
func TestNewPasscodeRejects(t *testing.T) {
	source := append(bytes.Repeat([]byte{0xff}, 8), 0, 0, 0, 42)
	if p, err := keyring.NewPasscode(bytes.NewReader(source)); err != nil || p != "00000042" {
		t.Errorf("got %q, %v", p, err)
	}
	if _, err := keyring.NewPasscode(strings.NewReader("abc")); err == nil {
		t.Error("a dry source gave a passcode")
	}
}

func TestFormatAndNormalize(t *testing.T) {
	if got := keyring.FormatPasscode("12345678"); got != "1234 5678" {
		t.Errorf("FormatPasscode = %q", got)
	}
	for _, s := range []string{"12345678", "1234 5678", "1234-5678\n", " 12 34\t56 78 "} {
		if got, err := keyring.NormalizePasscode(s); err != nil || got != "12345678" {
			t.Errorf("NormalizePasscode(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "1234567", "123456789", "1234567x", "١٢٣٤٥٦٧٨", strings.Repeat(" ", 100) + "12345678"} {
		if got, err := keyring.NormalizePasscode(s); !errors.Is(err, keyring.ErrMalformedPasscode) {
			t.Errorf("NormalizePasscode(%q) = %q, %v", s, got, err)
		}
	}
}

func binding(t *testing.T, tag byte) []byte {
	t.Helper()
	key := bytes.Repeat([]byte{1}, 32)
	b, err := keyring.Binding(bytes.Repeat([]byte{tag}, 32), key, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run plays a whole ceremony and returns each side's verdict.
func run(t *testing.T, displayed, entered string, reader, device []byte, stretch ksf.Identifier) (device3, reader3 error) {
	t.Helper()
	v, err := keyring.NewVerifier(displayed, reader, stretch)
	if err != nil {
		t.Fatal(err)
	}
	p, err := keyring.NewProver(entered, device, stretch)
	if err != nil {
		t.Fatal(err)
	}
	ke2, err := v.Respond(p.KE1())
	if err != nil {
		t.Fatal(err)
	}
	ke3, err := p.Finish(ke2)
	if err != nil {
		return err, v.Finish(bytes.Repeat([]byte{1}, 64))
	}
	return nil, v.Finish(ke3)
}

func TestCeremony(t *testing.T) {
	b := binding(t, 1)
	for _, stretch := range []ksf.Identifier{keyring.NoStretch, ksf.Argon2id} {
		if d, r := run(t, "12345678", "12345678", b, b, stretch); d != nil || r != nil {
			t.Errorf("stretch %d: right passcode: device %v, reader %v", stretch, d, r)
		}
		if d, r := run(t, "12345678", "12345679", b, b, stretch); !errors.Is(d, keyring.ErrWrongPasscode) || !errors.Is(r, keyring.ErrWrongPasscode) {
			t.Errorf("stretch %d: wrong passcode: device %v, reader %v", stretch, d, r)
		}
	}
	if d, r := run(t, "12345678", "12345678", b, binding(t, 2), keyring.NoStretch); !errors.Is(d, keyring.ErrWrongPasscode) || !errors.Is(r, keyring.ErrWrongPasscode) {
		t.Errorf("other binding: device %v, reader %v", d, r)
	}
}

func TestOneRunEach(t *testing.T) {
	b := binding(t, 1)
	v, err := keyring.NewVerifier("12345678", b, keyring.NoStretch)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Finish(make([]byte, 64)); !errors.Is(err, keyring.ErrSpent) {
		t.Errorf("Finish before Respond: %v", err)
	}
	p, err := keyring.NewProver("12345678", b, keyring.NoStretch)
	if err != nil {
		t.Fatal(err)
	}
	ke2, err := v.Respond(p.KE1())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.KE1()) != 96 || len(ke2) != 320 { // as docs/protocol.md says
		t.Errorf("KE1 has %d bytes, KE2 %d", len(p.KE1()), len(ke2))
	}
	if _, err := v.Respond(p.KE1()); !errors.Is(err, keyring.ErrSpent) {
		t.Errorf("replayed KE1: %v", err)
	}
	ke3, err := p.Finish(ke2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(ke2); !errors.Is(err, keyring.ErrSpent) {
		t.Errorf("second Finish of the prover: %v", err)
	}
	if err := v.Finish(append(ke3[:63:63], ke3[63]^1)); !errors.Is(err, keyring.ErrWrongPasscode) {
		t.Errorf("forged KE3: %v", err)
	}
	if err := v.Finish(ke3); !errors.Is(err, keyring.ErrSpent) {
		t.Errorf("right KE3 after a forged one: %v", err)
	}
}

func TestGarbageSpendsTheVerifier(t *testing.T) {
	for _, ke1 := range [][]byte{nil, {1}, make([]byte, 96), bytes.Repeat([]byte{0xff}, 96), make([]byte, 1<<16)} {
		v, err := keyring.NewVerifier("12345678", binding(t, 1), keyring.NoStretch)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Respond(ke1); !errors.Is(err, keyring.ErrBadMessage) {
			t.Errorf("%d bytes: %v; want ErrBadMessage", len(ke1), err)
		}
		if _, err := v.Respond(ke1); !errors.Is(err, keyring.ErrSpent) {
			t.Errorf("%d bytes again: %v; want ErrSpent", len(ke1), err)
		}
	}
}

func TestBindingRefuses(t *testing.T) {
	key := make([]byte, 32)
	for _, parts := range [][3][]byte{{nil, key, key}, {key, nil, key}, {key, key, key[:31]}} {
		if _, err := keyring.Binding(parts[0], parts[1], parts[2]); err == nil {
			t.Errorf("bound lengths %d, %d, %d", len(parts[0]), len(parts[1]), len(parts[2]))
		}
	}
	swapped, _ := keyring.Binding(key, bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32))
	straight, _ := keyring.Binding(key, bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32))
	if bytes.Equal(swapped, straight) {
		t.Error("the roles do not count")
	}
}

func FuzzNormalizePasscode(f *testing.F) {
	f.Add("1234 5678")
	f.Add("12-34-56-78\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := keyring.NormalizePasscode(s)
		if err != nil {
			return
		}
		if again, err := keyring.NormalizePasscode(keyring.FormatPasscode(p)); err != nil || again != p {
			t.Errorf("%q became %q, then %q, %v", s, p, again, err)
		}
	})
}

func FuzzRespond(f *testing.F) {
	b, err := keyring.Binding(make([]byte, 32), make([]byte, 32), make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	p, err := keyring.NewProver("12345678", b, keyring.NoStretch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.KE1(), make([]byte, 64))
	f.Fuzz(func(t *testing.T, ke1, ke3 []byte) {
		v, err := keyring.NewVerifier("87654321", b, keyring.NoStretch)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Respond(ke1); err != nil && !errors.Is(err, keyring.ErrBadMessage) {
			t.Errorf("Respond: %v", err)
		}
		if err := v.Finish(ke3); err == nil {
			t.Error("a proof without the passcode was taken")
		}
	})
}

func FuzzProverFinish(f *testing.F) {
	b, err := keyring.Binding(make([]byte, 32), make([]byte, 32), make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	v, err := keyring.NewVerifier("12345678", b, keyring.NoStretch)
	if err != nil {
		f.Fatal(err)
	}
	p, err := keyring.NewProver("12345678", b, keyring.NoStretch)
	if err != nil {
		f.Fatal(err)
	}
	ke2, err := v.Respond(p.KE1())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ke2)
	f.Fuzz(func(t *testing.T, ke2 []byte) {
		p, err := keyring.NewProver("12345678", b, keyring.NoStretch)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Finish(ke2)
		if !errors.Is(err, keyring.ErrWrongPasscode) && !errors.Is(err, keyring.ErrBadMessage) {
			t.Errorf("a reader without the passcode was taken: %v", err)
		}
	})
}
