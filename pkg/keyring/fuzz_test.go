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
		_, key, err := parseVaultKey(data)
		if err == nil && len(key) != vaultKeyLength || err != nil && (key != nil || !errors.Is(err, ErrCorrupt)) {
			t.Errorf("%d bytes of key, %v", len(key), err)
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

func FuzzOpenSlot(f *testing.F) {
	secret, id := bytes.Repeat([]byte{7}, 32), [16]byte{1}
	slot, err := SealSlot(secret, id, bytes.Repeat([]byte{9}, vaultKeyLength))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slot)
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := OpenSlot(secret, id, b); err == nil && (len(key) != vaultKeyLength || !bytes.Equal(b, slot)) || err != nil && !errors.Is(err, ErrSlot) {
			t.Errorf("%x opens: %d bytes, %v", b, len(key), err)
		}
	})
}

func FuzzParseSlot(f *testing.F) {
	f.Add([]byte(`{"version":1,"vault":"AAAAAAAAAAAAAAAAAAAAAA==","kind":"card-pin","slot":"AAAA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := parseSlot(data)
		if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && (len(doc.Vault) != 16 || doc.Kind == "") {
			t.Errorf("%+v, %v", doc, err)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
