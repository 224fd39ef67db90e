package keyring

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/bytemare/ksf"
	"github.com/bytemare/opaque"
)

// updateVectors writes the vectors anew. What is in them was said and stored by versions
// that are in use: do it only when that may break, and say so in the change.
var updateVectors = flag.Bool("update-vectors", false, "write the vectors anew")

var vectorFile = filepath.Join("..", "..", "testdata", "vectors", "keyring.json")

// vectors are what this package has once made, with keys that lie open here.
type vectors struct {
	Pairing  ceremony          `json:"pairing"`  // steps 418 to 422
	Passcode ceremony          `json:"passcode"` // steps 616 to 620, with Argon2id
	Recovery ceremony          `json:"recovery"`
	Slots    map[string][]byte `json:"slots"`
	Bundle   []byte            `json:"bundle"` // what each of the slots holds
	Open     []byte            `json:"open"`   // the reader's slot
}

// ceremony is one run of OPAQUE with all that is random in it made to a fixed value.
type ceremony struct {
	Secret    string `json:"secret"`
	Kind      string `json:"kind"` // of the slot; none: a pairing
	Binding   []byte `json:"binding"`
	Check     []byte `json:"check"` // what the reader has stored
	KE1       []byte `json:"ke1"`
	KE2       []byte `json:"ke2"`
	KE3       []byte `json:"ke3"`
	ExportKey []byte `json:"export_key"`
}

// repeated is what the ceremonies take for random bytes.
func repeated(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func vectorVault() [16]byte { return [16]byte{0xA0, 15: 0x0A} }

func vectorBundle(t *testing.T, v vectors) Bundle {
	t.Helper()
	b := Bundle{Keys: [][]byte{repeated(1), repeated(2)}, Recipients: map[string][]byte{}, Epoch: 7}
	for _, c := range []ceremony{v.Passcode, v.Recovery} {
		key, err := NewSlotKey(c.Kind, c.ExportKey)
		if err != nil {
			t.Fatal(err)
		}
		b.Recipients[c.Kind] = key.Recipient()
	}
	return b
}

// begin registers the secret.
func (c ceremony) begin(t *testing.T) ceremony {
	t.Helper()
	r, err := NewRegistration()
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEnrolment(c.Secret, c.stretch())
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Respond(e.Request())
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := e.Finish(response)
	if err != nil {
		t.Fatal(err)
	}
	if c.Check, err = r.Finish(record); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c ceremony) stretch() ksf.Identifier {
	if c.Kind == "" {
		return NoStretch
	}
	return StretchOf(c.Kind)
}

// replay does what both sides do, from the stored check on, and returns all that was said.
func (c ceremony) replay(t *testing.T) ceremony {
	t.Helper()
	c.Binding = c.bind(t)
	v, err := LoadVerifier(c.Check, c.Binding)
	if err != nil {
		t.Fatal(err)
	}
	p := c.prover(t)
	c.KE1 = p.KE1()
	c.KE2 = respondFixed(t, v, c.KE1)
	if c.KE3, c.ExportKey, err = p.FinishWithKey(c.KE2); err != nil {
		t.Fatal(err)
	}
	if err := v.Finish(c.KE3); err != nil {
		t.Errorf("the reader refuses KE3: %v", err)
	}
	return c
}

func (c ceremony) bind(t *testing.T) []byte {
	t.Helper()
	device := ed25519.NewKeyFromSeed(repeated(3)).Public().(ed25519.PublicKey)
	reader := ed25519.NewKeyFromSeed(repeated(4)).Public().(ed25519.PublicKey)
	var b []byte
	var err error
	if c.Kind == "" {
		b, err = Binding(repeated(5), device, reader)
	} else {
		b, err = UnlockBinding(repeated(5), device, reader, vectorVault(), c.Kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// prover is NewProver without chance.
func (c ceremony) prover(t *testing.T) *Prover {
	t.Helper()
	conf := configuration(c.Binding, c.stretch())
	client, err := conf.Client()
	if err != nil {
		t.Fatal(err)
	}
	ke1, err := client.GenerateKE1(spelled(c.Secret), &opaque.ClientOptions{
		OPRFBlind: conf.OPRF.Group().HashToScalar([]byte("blind"), []byte("vectors")),
		AKE:       &opaque.AKEOptions{SecretKeyShareSeed: repeated(6), Nonce: repeated(7)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Prover{client: client, ke1: ke1.Serialize()}
}

// respondFixed is Verifier.Respond without chance.
func respondFixed(t *testing.T, v *Verifier, ke1 []byte) []byte {
	t.Helper()
	message, err := v.server.Deserialize.KE1(ke1)
	if err != nil {
		t.Fatal(err)
	}
	ke2, output, err := v.server.GenerateKE2(message, v.record, &opaque.ServerOptions{
		MaskingNonce: repeated(8), AKE: &opaque.AKEOptions{SecretKeyShareSeed: repeated(9), Nonce: repeated(10)},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.record, v.mac = nil, output.ClientMAC
	return ke2.Serialize()
}

func writeVectors(t *testing.T) {
	t.Helper()
	v := vectors{
		Pairing:  ceremony{Secret: "12345678"}.begin(t).replay(t),
		Passcode: ceremony{Secret: "correct horse", Kind: SlotPasscode}.begin(t).replay(t),
		Recovery: ceremony{Secret: encodeRecovery(repeated(11)[:recoverySecret]), Kind: SlotRecovery}.begin(t).replay(t),
		Slots:    map[string][]byte{},
	}
	b := vectorBundle(t, v)
	var err error
	for _, kind := range b.Kinds() {
		if v.Slots[kind], err = b.SealSlot(vectorVault(), kind); err != nil {
			t.Fatal(err)
		}
	}
	if v.Bundle, err = b.Encode(); err != nil {
		t.Fatal(err)
	}
	if v.Open, err = b.EncodeOpen(); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	if *updateVectors {
		writeVectors(t)
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Slots) != 2 {
		t.Fatalf("%d slots", len(v.Slots))
	}
	return v
}

// TestTranscripts plays pairing and passcode again with what was recorded, and says the
// same bytes as then: a passcode that was set with an earlier version stays right, and
// two versions understand each other.
func TestTranscripts(t *testing.T) {
	v := readVectors(t)
	for name, want := range map[string]ceremony{"pairing": v.Pairing, "passcode": v.Passcode, "recovery": v.Recovery} {
		t.Run(name, func(t *testing.T) {
			if got := (ceremony{Secret: want.Secret, Kind: want.Kind, Check: want.Check}).replay(t); !reflect.DeepEqual(got, want) {
				t.Errorf("the ceremony has changed:\n%x\nwas\n%x", got, want)
			}
		})
	}
	if _, err := NormalizeRecoveryCode(v.Recovery.Secret); err != nil {
		t.Error(err)
	}
}

// TestRecordedSlots opens key slots that were sealed once.
func TestRecordedSlots(t *testing.T) {
	v := readVectors(t)
	want := vectorBundle(t, v)
	for kind, slot := range v.Slots {
		secret := map[string][]byte{SlotPasscode: v.Passcode.ExportKey, SlotRecovery: v.Recovery.ExportKey}[kind]
		key, err := NewSlotKey(kind, secret)
		if err != nil {
			t.Fatal(err)
		}
		got, err := key.Open(vectorVault(), slot)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the %s slot: %v, %v", kind, got.Kinds(), err)
		}
	}
	if got, err := want.Encode(); err != nil || !bytes.Equal(got, v.Bundle) {
		t.Errorf("a bundle is encoded as %x, was %x (%v)", got, v.Bundle, err)
	}
	if got, err := want.EncodeOpen(); err != nil || !bytes.Equal(got, v.Open) {
		t.Errorf("the reader's slot is %x, was %x (%v)", got, v.Open, err)
	}
}
