package authorization_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/authorization"
	"github.com/reprovision/reprovision/pkg/card"
	"github.com/reprovision/reprovision/pkg/keyring"
)

func newDevice(t testing.TB) keyring.Identity {
	t.Helper()
	k, err := keyring.Open(filepath.Join(t.TempDir(), "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := k.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRecord(t testing.TB, device keyring.Identity, vault [16]byte, c authorization.Card) []byte {
	t.Helper()
	b, err := authorization.NewRecord(device, vault, c, time.Unix(1_700_000_000, 5))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is a card's, signed by its key if there is one.
func answer(t *testing.T, key *ecdsa.PrivateKey, identity string, challenge []byte, vault [16]byte, record []byte) authorization.Proof {
	t.Helper()
	p := authorization.Proof{Card: authorization.Card{Identity: identity}, Record: record}
	if key == nil {
		return p
	}
	p.Card.Key = &key.PublicKey
	digest := card.KeyDigest(authorization.Message(challenge, vault, identity, record))
	var err error
	if p.Signature, err = ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRecord(t *testing.T) {
	device, vault := newDevice(t), [16]byte{1, 2}
	for name, c := range map[string]authorization.Card{
		"key": {Identity: "piv:00:01", Key: &newKey(t).PublicKey}, "no key": {Identity: strings.Repeat("i", authorization.MaxIdentity)},
	} {
		b := newRecord(t, device, vault, c)
		r, err := authorization.ParseRecord(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Vault != vault || r.Device != device.ID() || !r.Card.Same(c) || r.Card.Identity != c.Identity || r.Created.Unix() != 1_700_000_000 {
			t.Errorf("%s: read %+v", name, r)
		}
		if !r.SignedBy(device.Public()) || r.SignedBy(newDevice(t).Public()) || r.SignedBy(nil) {
			t.Errorf("%s: the signature is judged wrong", name)
		}
		for i := range b { // any other bit is another record, or none
			changed := bytes.Clone(b)
			changed[i] ^= 1
			if r, err := authorization.ParseRecord(changed); err == nil && r.SignedBy(device.Public()) {
				t.Fatalf("%s: byte %d does not matter", name, i)
			}
		}
		for n := range b {
			if _, err := authorization.ParseRecord(b[:n]); !errors.Is(err, authorization.ErrRecord) {
				t.Fatalf("%s: %d bytes give %v", name, n, err)
			}
		}
	}
	for _, identity := range []string{"", strings.Repeat("i", authorization.MaxIdentity+1)} {
		if _, err := authorization.NewRecord(device, vault, authorization.Card{Identity: identity}, time.Now()); err == nil {
			t.Errorf("a record for an identity of %d bytes", len(identity))
		}
	}
}

func TestKeyKinds(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []any{&other.PublicKey, &long.PublicKey} {
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := authorization.ParseKey(der); !errors.Is(err, authorization.ErrRecord) {
			t.Errorf("%T gives %v", public, err)
		}
	}
	if key, err := authorization.ParseKey(nil); key != nil || err != nil {
		t.Errorf("no key gives %v, %v", key, err)
	}
}

// TestVerify lets cards, copies and liars answer.
func TestVerify(t *testing.T) {
	device, stranger, vault := newDevice(t), newDevice(t), [16]byte{1}
	key, theirs := newKey(t), newKey(t)
	mine := authorization.Card{Identity: "piv:a:1", Key: &key.PublicKey}
	record := newRecord(t, device, vault, mine)
	challenge, err := authorization.NewChallenge()
	if err != nil {
		t.Fatal(err)
	}
	answers := func(key *ecdsa.PrivateKey, identity string, record []byte) authorization.Proof {
		return answer(t, key, identity, challenge, vault, record)
	}
	copied := answers(theirs, "piv:a:1", record) // the data of the card, on another
	pretended := copied
	pretended.Card.Key = &key.PublicKey
	keyless := answers(nil, "piv:a:1", record)
	replayed := answer(t, key, "piv:a:1", []byte("an earlier challenge"), vault, record)
	elsewhere := answer(t, key, "piv:a:1", challenge, [16]byte{2}, record)
	mute := answers(key, "piv:a:1", record)
	mute.Signature = nil
	swapped := answers(key, "piv:a:1", record)
	swapped.Record = newRecord(t, device, vault, mine)
	for name, c := range map[string]struct {
		proof authorization.Proof
		want  error
	}{
		"the card":                        {answers(key, "piv:a:1", record), nil},
		"a copy with a key of its own":    {copied, authorization.ErrOtherCard},
		"a copy that pretends":            {pretended, authorization.ErrUnproven},
		"a copy without a key":            {keyless, authorization.ErrOtherCard},
		"a replay":                        {replayed, authorization.ErrUnproven},
		"an answer for another vault":     {elsewhere, authorization.ErrUnproven},
		"no signature":                    {mute, authorization.ErrUnproven},
		"a record put in after signing":   {swapped, authorization.ErrUnproven},
		"formatted since":                 {answers(key, "piv:a:2", record), authorization.ErrNoRecord},
		"no record":                       {answers(key, "piv:a:1", nil), authorization.ErrNoRecord},
		"a record of another device":      {answers(key, "piv:a:1", newRecord(t, stranger, vault, mine)), authorization.ErrNoRecord},
		"a record for another vault":      {answers(key, "piv:a:1", newRecord(t, device, [16]byte{2}, mine)), authorization.ErrNoRecord},
		"a record for a card without key": {answers(key, "piv:a:1", newRecord(t, device, vault, authorization.Card{Identity: "piv:a:1"})), authorization.ErrNoRecord},
	} {
		o := authorization.Owner{Device: device.Public(), Vault: vault, Card: mine}
		if err := o.Verify(challenge, c.proof); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	plain := authorization.Card{Identity: "file:1"}
	o := authorization.Owner{Device: device.Public(), Vault: vault, Card: plain}
	own := newRecord(t, device, vault, plain)
	for name, c := range map[string]struct {
		proof authorization.Proof
		want  error
	}{
		"card without key":      {answers(nil, "file:1", own), nil},
		"another without key":   {answers(nil, "file:2", own), authorization.ErrOtherCard},
		"one with a key now":    {answers(key, "file:1", own), authorization.ErrOtherCard},
		"the record of another": {answers(nil, "file:1", record), authorization.ErrNoRecord},
	} {
		if err := o.Verify(challenge, c.proof); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	device := newDevice(f)
	f.Add(newRecord(f, device, [16]byte{1}, authorization.Card{Identity: "piv:00:01", Key: &newKey(f).PublicKey}))
	f.Add(newRecord(f, device, [16]byte{1}, authorization.Card{Identity: "i"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := authorization.ParseRecord(b)
		if err != nil {
			if !errors.Is(err, authorization.ErrRecord) {
				t.Errorf("error without ErrRecord: %v", err)
			}
			return
		}
		if r.Card.Identity == "" || len(r.Device) != 32 {
			t.Errorf("read %+v", r)
		}
	})
}
