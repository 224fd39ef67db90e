package keyring

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"
)

func FuzzParsePeers(f *testing.F) {
	p := NewPeer(ed25519.PublicKey(make([]byte, 32)), "phone", "00:1A:7D:DA:71:0F", time.Unix(1, 0))
	data, err := formatPeers([]Peer{p})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"peers":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		peers, err := parsePeers(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error without ErrCorrupt: %v", err)
			}
			return
		}
		again, err := formatPeers(peers)
		if err != nil {
			t.Fatalf("cannot write what was read: %v", err)
		}
		if reread, err := parsePeers(again); err != nil || len(reread) != len(peers) {
			t.Errorf("%s: %v", again, err)
		}
	})
}

func FuzzParseIdentity(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, err := parseIdentity(data)
		if err == nil && !ed25519.Verify(id.Public(), []byte("m"), ed25519.Sign(id.key, []byte("m"))) {
			t.Error("the identity does not sign for itself")
		}
	})
}

func FuzzParseVaultKey(f *testing.F) {
	f.Add([]byte(`{"version":1,"vault":"AAAAAAAAAAAAAAAAAAAAAA==","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseVaultKey(data)
		if err == nil && v.check() != nil || err != nil && (v.Keys != nil || !errors.Is(err, ErrCorrupt)) {
			t.Errorf("%d keys, %v", len(v.Keys), err)
		}
		if bytes.Contains([]byte(errorText(err)), []byte("AAAAAAAA")) {
			t.Error("the error tells of the key")
		}
	})
}

func FuzzParseCard(f *testing.F) {
	f.Add([]byte(`{"version":1,"identity":"piv:00:01","key":"AAAA","pinned":"2026-11-23T01:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCard(data)
		if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && c.Identity == "" {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzDecodeBundle(f *testing.F) {
	plain, err := Bundle{Keys: [][]byte{make([]byte, 32), make([]byte, 32)}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBundle(data)
		if err != nil {
			if !errors.Is(err, ErrBundle) {
				t.Errorf("error without ErrBundle: %v", err)
			}
			return
		}
		if _, err := b.Encode(); err != nil {
			t.Errorf("cannot write what was read: %v", err)
		}
	})
}

func FuzzNormalizeRecoveryCode(f *testing.F) {
	f.Add("0000-0000-0000-0000-0000-0000-00V1")
	f.Fuzz(func(t *testing.T, s string) {
		code, err := NormalizeRecoveryCode(s)
		if err != nil {
			return
		}
		if again, err := NormalizeRecoveryCode(FormatRecoveryCode(code)); err != nil || again != code || len(code) != RecoveryDigits {
			t.Errorf("%q is %q, then %q: %v", s, code, again, err)
		}
	})
}

func FuzzLoadVerifier(f *testing.F) {
	r, err := NewRegistration()
	if err != nil {
		f.Fatal(err)
	}
	e, err := NewEnrolment("secret", NoStretch)
	if err != nil {
		f.Fatal(err)
	}
	response, err := r.Respond(e.Request())
	if err != nil {
		f.Fatal(err)
	}
	record, _, err := e.Finish(response)
	if err != nil {
		f.Fatal(err)
	}
	stored, err := r.Finish(record)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := LoadVerifier(data, nil); err != nil && !errors.Is(err, ErrCheck) {
			t.Errorf("error without ErrCheck: %v", err)
		}
	})
}
