package cardtest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/reprovision/reprovision/pkg/card"
)

// noise makes n reproducible bytes that do not repeat.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	p := make([]byte, n)
	rand.NewChaCha8(key).Read(p)
	return p
}

// edited is data with count bytes changed, evenly spread and far enough apart to
// be written one by one.
func edited(data []byte, count int) []byte {
	p := bytes.Clone(data)
	for i := range count {
		p[i*len(p)/count] ^= 0x5A
	}
	return p
}

func mustCommit(t *testing.T, m card.Medium, generation uint64, data []byte) {
	t.Helper()
	if err := card.NewStore(m).Commit(t.Context(), generation, data); err != nil {
		t.Fatal(err)
	}
}

// mustLoad checks that the card holds exactly one version.
func mustLoad(t *testing.T, m card.Medium, generation uint64, data []byte) card.Object {
	t.Helper()
	object, err := card.NewStore(m).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if object.Generation != generation || !bytes.Equal(object.Data, data) {
		t.Fatalf("generation %d with %d bytes was loaded, want %d with %d", object.Generation, len(object.Data), generation, len(data))
	}
	return object
}

func mustFormat(t *testing.T, m card.Medium, size int) card.Layout {
	t.Helper()
	if err := m.Format(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	layout, err := m.Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !layout.Formatted || layout.Profile == "" || layout.SlotSize <= card.HeaderSize || size != 0 && layout.SlotSize != size {
		t.Fatalf("layout after Format(%d): %+v", size, layout)
	}
	return layout
}

func want(t *testing.T, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got error %v, want %v", err, sentinel)
	}
}
