package vault

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestSealRoundTrip(t *testing.T) {
	k := testKey(t)
	for _, size := range []int{0, 1, 1000, MaxBlob - 2*SealOverhead} {
		plain := bytes.Repeat([]byte{3}, size)
		sealed, err := k.Seal(KindPack, VaultID{1}, BlobID{2}, plain)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != size+SealOverhead {
			t.Errorf("%d bytes sealed in %d", size, len(sealed))
		}
		if got, err := k.Open(KindPack, VaultID{1}, BlobID{2}, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes do not come back: %v", size, err)
		}
	}
	if _, err := k.Seal(KindPack, VaultID{1}, BlobID{2}, make([]byte, MaxBlob)); !errors.Is(err, ErrLimit) {
		t.Errorf("over the limit: got %v", err)
	}
}

func TestSealTwiceDiffers(t *testing.T) {
	k := testKey(t)
	a, _ := k.Seal(KindPack, VaultID{1}, BlobID{2}, []byte("same"))
	b, _ := k.Seal(KindPack, VaultID{1}, BlobID{2}, []byte("same"))
	if bytes.Equal(a, b) {
		t.Fatal("the nonce repeats")
	}
}

func TestOpenRefuses(t *testing.T) {
	k := testKey(t)
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal(KindPack, VaultID{1}, BlobID{2}, []byte("contents"))
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"key":      func() ([]byte, error) { return other.Open(KindPack, VaultID{1}, BlobID{2}, sealed) },
		"zero key": func() ([]byte, error) { return Key{}.Open(KindPack, VaultID{1}, BlobID{2}, sealed) },
		"kind":     func() ([]byte, error) { return k.Open(KindIndex, VaultID{1}, BlobID{2}, sealed) },
		"vault":    func() ([]byte, error) { return k.Open(KindPack, VaultID{2}, BlobID{2}, sealed) },
		"id":       func() ([]byte, error) { return k.Open(KindPack, VaultID{1}, BlobID{1}, sealed) },
		"longer": func() ([]byte, error) {
			return k.Open(KindPack, VaultID{1}, BlobID{2}, append(sealed[:len(sealed):len(sealed)], 0))
		},
		"empty": func() ([]byte, error) { return k.Open(KindPack, VaultID{1}, BlobID{2}, nil) },
	} {
		if _, err := open(); !errors.Is(err, ErrSealBroken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x40
		if _, err := k.Open(KindPack, VaultID{1}, BlobID{2}, bad); !errors.Is(err, ErrSealBroken) {
			t.Fatalf("byte %d changed: got %v", i, err)
		}
		if _, err := k.Open(KindPack, VaultID{1}, BlobID{2}, sealed[:i]); !errors.Is(err, ErrSealBroken) {
			t.Fatalf("cut to %d: got %v", i, err)
		}
	}
}

func TestZeroKeySealsNothing(t *testing.T) {
	if _, err := (Key{}).Seal(KindPack, VaultID{1}, BlobID{2}, nil); !errors.Is(err, ErrNoKey) {
		t.Fatalf("got %v", err)
	}
	if _, err := KeyFromBytes(make([]byte, 31)); err == nil {
		t.Fatal("a short key was taken")
	}
	if (Key{}).Equal(Key{}) {
		t.Fatal("two zero keys are equal")
	}
}

func TestKeyStaysSecret(t *testing.T) {
	k, err := KeyFromBytes([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k)
	all := log.String() + fmt.Sprintf("%v %+v %#v %s %x %q %d", k, k, k, k, k, k, &k)
	for _, leak := range []string{"ABCDEF", "41424344", "414243", "65 66", "0x41"} {
		if strings.Contains(all, leak) {
			t.Errorf("the key shows in %q", all)
		}
	}
	again, err := KeyFromBytes(k.Bytes())
	if err != nil || !again.Equal(k) {
		t.Fatalf("the key does not come back: %v", err)
	}
}

// TestSubkeys pins that no purpose shares a key with another.
func TestSubkeys(t *testing.T) {
	k := testKey(t)
	seen := map[[KeySize]byte]bool{k.secret: true, k.seal: true, k.id: true, k.chunk: true}
	if len(seen) != 4 {
		t.Fatal("two keys are equal")
	}
}

func TestBlobID(t *testing.T) {
	k := testKey(t)
	base := k.BlobID(KindPack, Bulk, SnapshotID{}, []byte("x"))
	if base != k.BlobID(KindPack, Bulk, SnapshotID{}, []byte("x")) {
		t.Error("the id of the same contents differs")
	}
	for name, id := range map[string]BlobID{
		"kind":     k.BlobID(KindIndex, Bulk, SnapshotID{}, []byte("x")),
		"part":     k.BlobID(KindPack, Critical, SnapshotID{}, []byte("x")),
		"salt":     k.BlobID(KindPack, Bulk, SnapshotID{1}, []byte("x")),
		"contents": k.BlobID(KindPack, Bulk, SnapshotID{}, []byte("y")),
	} {
		if id == base {
			t.Errorf("the id does not depend on the %s", name)
		}
	}
}

func TestIDs(t *testing.T) {
	v, b, s := NewVaultID(), BlobID(NewSnapshotID()), NewSnapshotID()
	if got, err := ParseVaultID(v.String()); err != nil || got != v {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := ParseBlobID(b.String()); err != nil || got != b {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := ParseSnapshotID(s.String()); err != nil || got != s {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("g", 32), v.String() + "0", v.String()[:31]} {
		if _, err := ParseVaultID(bad); !errors.Is(err, ErrBadID) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestDecompressBounds(t *testing.T) {
	k := testKey(t)
	for name, tc := range map[string]struct {
		size int
		ok   bool
	}{"full": {MaxPack, true}, "one more": {MaxPack + 1, false}, "bomb": {32 << 20, false}} {
		var z compressor
		packed, err := z.compress(zstd.SpeedDefault, make([]byte, tc.size))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := k.Seal(KindPack, VaultID{1}, BlobID{2}, packed)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := OpenPack(k, VaultID{1}, BlobID{2}, sealed)
		if tc.ok && (err != nil || len(plain) != tc.size) {
			t.Errorf("%s: %d bytes, %v", name, len(plain), err)
		}
		if !tc.ok && !errors.Is(err, ErrCompressed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
