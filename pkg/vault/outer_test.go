package vault

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// ages makes a vault's key as it is after 0 to n-1 rotations, the newest last.
func ages(t *testing.T, n int) (keys [][]byte, all []Key) {
	t.Helper()
	for i := range n {
		keys = append([][]byte{bytes.Repeat([]byte{byte(i + 1)}, KeySize)}, keys...)
		k, err := KeyOfAges(keys)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	return keys, all
}

// TestRotation rewraps a blob twice, as two rotations do, each of them twice, as when
// an answer was lost. The newest key opens it at every step, and the key that sealed
// it never again.
func TestRotation(t *testing.T) {
	_, key := ages(t, 3)
	id, blob := VaultID{1}, BlobID{2}
	sealed, err := key[0].Seal(KindPack, id, blob, []byte("contents"))
	if err != nil {
		t.Fatal(err)
	}
	size := len(sealed) + SealOverhead
	for i, rot := range []Rotation{
		{Wrap: key[1].Outer()}, {Wrap: key[1].Outer()},
		{Strip: []Outer{key[1].Outer()}, Wrap: key[2].Outer()}, {Strip: []Outer{key[1].Outer()}, Wrap: key[2].Outer()},
	} {
		before := sealed
		if sealed, err = rot.Blob(id, blob, sealed); err != nil {
			t.Fatal(err)
		}
		if again := i%2 == 1; again != bytes.Equal(before, sealed) || len(sealed) != size {
			t.Errorf("step %d: %d bytes", i, len(sealed))
		}
		if got, err := key[2].Open(KindPack, id, blob, sealed); err != nil || string(got) != "contents" {
			t.Errorf("step %d: the newest key: %v", i, err)
		}
		if _, err := key[0].Open(KindPack, id, blob, sealed); !errors.Is(err, ErrSealBroken) {
			t.Errorf("step %d: the old key opens it: %v", i, err)
		}
	}
	if _, err := key[1].Open(KindPack, id, blob, sealed); !errors.Is(err, ErrSealBroken) {
		t.Errorf("the key before the last opens it: %v", err)
	}
}

// TestRotationOfAnyAge rewraps at a reader that was not there for some rotations: what it
// has may have any earlier layer, or none.
func TestRotationOfAnyAge(t *testing.T) {
	_, key := ages(t, 5)
	id, blob := VaultID{1}, BlobID{2}
	newest := key[4]
	rot := Rotation{Wrap: newest.Outer()}
	for _, k := range key[:4] {
		rot.Strip = append(rot.Strip, k.Outer())
	}
	for age, k := range key {
		sealed, err := key[0].Seal(KindPack, id, blob, []byte("contents"))
		if err != nil {
			t.Fatal(err)
		}
		if age > 0 {
			if sealed, err = (Rotation{Wrap: k.Outer()}).Blob(id, blob, sealed); err != nil {
				t.Fatal(err)
			}
		}
		if sealed, err = rot.Blob(id, blob, sealed); err != nil {
			t.Errorf("a layer of age %d: %v", age, err)
			continue
		}
		if _, err := newest.Open(KindPack, id, blob, sealed); err != nil {
			t.Errorf("a layer of age %d: the newest key: %v", age, err)
		}
		if _, err := key[3].Open(KindPack, id, blob, sealed); !errors.Is(err, ErrSealBroken) {
			t.Errorf("a layer of age %d: the key before opens it: %v", age, err)
		}
	}
}

func TestRotationRefuses(t *testing.T) {
	_, key := ages(t, 2)
	id, blob := VaultID{1}, BlobID{2}
	sealed, err := key[0].Seal(KindPack, id, blob, []byte("contents"))
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := Rotation{Wrap: key[0].Outer()}.Blob(id, blob, sealed)
	if err != nil {
		t.Fatal(err)
	}
	rot := Rotation{Wrap: key[1].Outer()}
	for name, err := range map[string]error{
		"a layer of neither key": func() error { _, err := rot.Blob(id, blob, wrapped); return err }(),
		"another id": func() error {
			_, err := Rotation{Strip: []Outer{key[0].Outer()}, Wrap: key[1].Outer()}.Blob(id, BlobID{3}, wrapped)
			return err
		}(),
		"too short": func() error { _, err := rot.Blob(id, blob, sealed[:SealOverhead-1]); return err }(),
		"no key":    func() error { _, err := Rotation{}.Blob(id, blob, sealed); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: rewrapped", name)
		}
	}
	if _, err := key[1].Open(KindIndex, id, blob, wrapped); !errors.Is(err, ErrSealBroken) {
		t.Errorf("as another kind: %v", err)
	}
	if got := fmt.Sprintf("%v %x %s", rot, rot.Wrap, key[1]); bytes.Contains([]byte(got), []byte("02")) {
		t.Errorf("printed: %s", got)
	}
	if _, err := KeyOfAges(nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("no keys: %v", err)
	}
	if _, err := KeyOfAges([][]byte{{1}}); err == nil {
		t.Error("a short key")
	}
}

// FuzzRotationBlob gives the reader's side whatever a device may have stored.
func FuzzRotationBlob(f *testing.F) {
	key := testKey(f)
	sealed, err := key.Seal(KindPack, VaultID{1}, BlobID{2}, []byte("contents"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	rot := Rotation{Strip: []Outer{{1}}, Wrap: Outer{2}}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		wrapped, err := rot.Blob(VaultID{1}, BlobID{2}, sealed)
		if err != nil {
			return
		}
		again, err := rot.Blob(VaultID{1}, BlobID{2}, wrapped)
		if err != nil || !bytes.Equal(again, wrapped) {
			t.Errorf("a second time: %v", err)
		}
	})
}
