package vault

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/reprovision/reprovision/pkg/userdata"
)

func testRecord(id VaultID) Record {
	return Record{ID: id, Created: time.Unix(1_700_000_000, 0).UTC(), Label: []byte("label"), Slots: []Slot{{Kind: "passcode", Data: []byte("wrapped")}}}
}

// portable makes what goes on the card for the last commit.
func (b *bench) portable(c *Commit) Portable {
	b.t.Helper()
	s := SnapshotRecord{Snapshot: c.Snapshot, Parent: c.Parent, Seq: c.Seq, Committed: time.Unix(1_700_000_100, 0).UTC(), Header: c.Header, Critical: c.Critical, Blobs: c.Add, Bytes: 5}
	s.Books = c.Books
	r := testRecord(b.vault)
	r.Owner = "somebody"
	p, err := NewPortable(r, s, func(id BlobID) ([]byte, error) { return b.shelf.one(context.Background(), id) })
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func TestPortableRestoresFromTheCardAlone(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	tr.file("keys/new", []byte("new key"))
	c, _ := b.incremental(d, tr)
	enc, err := b.portable(c).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	card, err := UnmarshalPortable(enc)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(card, b.portable(c)) {
		t.Fatalf("got %+v", card)
	}
	got, err := LoadCritical(context.Background(), b.key, card.Record.ID, card.Snapshot.Snapshot, card.Snapshot.Header, card.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	if got.Complete() {
		t.Error("a critical part says it is complete")
	}
	if _, err := got.Encode(); err == nil {
		t.Error("a part of a data set was encoded as a whole")
	}
	critical := tree{}
	for name, f := range tr {
		if PartOf(f.item.Class) == Critical {
			critical[name] = f
		}
	}
	b.shelf.blobs = nil // the reader's flash is gone
	packs := NewPackReader(b.key, b.vault, card.Blob)
	for _, e := range got.Entries() {
		if e.Size == 0 {
			continue
		}
		var out bytes.Buffer
		if err := e.Content(context.Background(), packs, &out); err != nil || !bytes.Equal(out.Bytes(), critical[string(e.Name)].body) {
			t.Fatalf("%q: %v", e.Name, err)
		}
	}
	if got.Manifest().Len() != len(critical) {
		t.Errorf("%d items, want %d", got.Manifest().Len(), len(critical))
	}
}

// TestPortableBooks restores the service books from a card that has no room for the keys.
func TestPortableBooks(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	tr.file("keys/large", bytes.Repeat([]byte("not on the card"), 1000))
	d := b.full(tr)
	tr.file("keys/new", []byte("new key"))
	tr.file("service-books/new", []byte("new network"))
	c, _ := b.incremental(d, tr)
	whole := b.portable(c)
	books, ok := whole.Books()
	if !ok || len(books.Blobs) >= len(whole.Blobs) || whole.BooksOnly() || !books.BooksOnly() {
		t.Fatalf("%d blobs of %d", len(books.Blobs), len(whole.Blobs))
	}
	if _, again := books.Books(); again {
		t.Error("there is more to leave out")
	}
	for _, p := range []Portable{whole, books} {
		enc, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		card, err := UnmarshalPortable(enc)
		if err != nil || !reflect.DeepEqual(card, p) {
			t.Fatalf("got %+v, %v", card, err)
		}
		record, err := card.Adopted(nil)
		if err != nil || record.BooksOnly() != p.BooksOnly() {
			t.Errorf("taken up as %+v, %v", record, err)
		}
	}
	b.shelf.blobs = nil // the reader's flash is gone
	got, err := LoadBooks(context.Background(), b.key, b.vault, c.Snapshot, books.Snapshot.Header, books.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Blobs(Critical), c.Books) || got.Complete() {
		t.Errorf("the service books need %v, told were %v", got.Blobs(Critical), c.Books)
	}
	packs, count := NewPackReader(b.key, b.vault, books.Blob), 0
	for name, f := range tr {
		e, ok := got.Entry(userdata.Name(name))
		if ok != (f.item.Class == userdata.ServiceBooks) {
			t.Errorf("%s: %v", name, ok)
		}
		if !ok || e.Size == 0 {
			continue
		}
		var out bytes.Buffer
		if err := e.Content(context.Background(), packs, &out); err != nil || !bytes.Equal(out.Bytes(), f.body) {
			t.Errorf("%s: %v", name, err)
		}
		count++
	}
	if count == 0 {
		t.Error("no service book has contents")
	}
}

func TestPortableKeepsItsStart(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	first, err := b.portable(b.last).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	tr.file("service-books/net-01.nmconnection", connection(77))
	c, _ := b.incremental(d, tr)
	second, err := b.portable(c).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for same < min(len(first), len(second)) && first[same] == second[same] {
		same++
	}
	if blobs := b.shelf.size(d.Blobs(Critical)); same < blobs {
		t.Errorf("only %d bytes stay the same, the blobs alone have %d", same, blobs)
	}
}

func TestPortableTampered(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	tr.file("keys/k", []byte("secret"))
	b.full(tr)
	good, err := b.portable(b.last).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if _, err := UnmarshalPortable(bad); !errors.Is(err, ErrPortable) {
			t.Fatalf("byte %d: got %v", i, err)
		}
		if _, err := UnmarshalPortable(good[:i]); !errors.Is(err, ErrPortable) {
			t.Fatalf("cut to %d: got %v", i, err)
		}
	}
}

func TestPortableRefuses(t *testing.T) {
	b := newBench(t)
	tr := tree{}
	tr.file("keys/k", []byte("secret"))
	b.full(tr)
	for what, change := range map[string]func(*Portable){
		"owner":      func(p *Portable) { p.Record.Owner = "x" },
		"blobs":      func(p *Portable) { p.Snapshot.Blobs = []BlobID{{1}} },
		"blob less":  func(p *Portable) { p.Blobs = p.Blobs[1:] },
		"order":      func(p *Portable) { p.Blobs[0], p.Blobs[1] = p.Blobs[1], p.Blobs[0] },
		"blob twice": func(p *Portable) { p.Blobs[1] = p.Blobs[0]; p.Snapshot.Critical[1] = p.Blobs[0].ID },
		"short blob": func(p *Portable) { p.Blobs[0].Sealed = []byte{1} },
		"books":      func(p *Portable) { p.Snapshot.Books = []BlobID{{1}} },
		"record":     func(p *Portable) { p.Record.ID = VaultID{} },
	} {
		p := b.portable(b.last)
		p.Snapshot.Critical = append([]BlobID(nil), p.Snapshot.Critical...)
		change(&p)
		if _, err := p.Marshal(); err == nil {
			t.Errorf("%s: encoded", what)
		}
	}
	p := b.portable(b.last)
	tail, err := p.tail()
	if err != nil {
		t.Fatal(err)
	}
	for what, body := range map[string][]byte{
		"no tail":           {},
		"blobs missing":     tail,
		"bytes behind":      append(bytes.Clone(tail), 0),
		"array of no blob":  append([]byte{0x80}, tail...),
		"array of one":      append([]byte{0x81, 0x40}, tail...),
		"indefinite length": append([]byte{0x9f, 0x40, 0x40, 0xff}, tail...),
	} {
		if _, err := UnmarshalPortable(frame(portableMagic, portableFormat, body)); !errors.Is(err, ErrPortable) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := UnmarshalPortable(frame(portableMagic, 2, nil)); !errors.Is(err, ErrPortable) {
		t.Errorf("another format: got %v", err)
	}
}

func TestLocalCopy(t *testing.T) {
	b := newBench(t)
	tr := sampleTree()
	d := b.full(tr)
	for i := range 3 {
		tr.file("user-data/n", []byte{byte(i)})
		_, d = b.incremental(d, tr)
	}
	enc, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeDataSet(enc)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Header(), d.Header()) || !reflect.DeepEqual(got.parts, d.parts) || !reflect.DeepEqual(got.Blobs(Bulk), d.Blobs(Bulk)) || got.Vault() != b.vault {
		t.Error("the copy differs")
	}
	b.verify(got, tr)
	if c, _ := b.incremental(got, tr); !c.Empty() {
		t.Error("a backup on the copy is not empty")
	}
	for i := 0; i < len(enc); i += 7 {
		bad := bytes.Clone(enc)
		bad[i] ^= 1
		if _, err := DecodeDataSet(bad); !errors.Is(err, ErrDataSet) {
			t.Fatalf("byte %d: got %v", i, err)
		}
	}
}

func TestRecords(t *testing.T) {
	r := testRecord(VaultID{1})
	r.Owner = "peer"
	enc, err := r.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var got Record
	if err := got.UnmarshalBinary(enc); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, %v", got, err)
	}
	s := SnapshotRecord{Snapshot: SnapshotID{1}, Seq: 3, Committed: time.Unix(9, 0).UTC(), Header: make([]byte, SealOverhead), Blobs: []BlobID{{1}, {2}}, Critical: []BlobID{{2}}, Bytes: 77}
	if enc, err = s.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	var back SnapshotRecord
	if err := back.UnmarshalBinary(enc); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("got %+v, %v", back, err)
	}
	s.Blobs[1] = s.Blobs[0]
	if enc, err = s.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	if err := back.UnmarshalBinary(enc); !errors.Is(err, ErrRecord) {
		t.Errorf("a blob that stands twice: got %v", err)
	}
}

func TestParts(t *testing.T) {
	want := map[userdata.Class]Part{userdata.ServiceBooks: Critical, userdata.Keys: Critical, userdata.Preferences: Bulk, userdata.UserData: Bulk}
	for class, part := range want {
		if got := PartOf(class); got != part {
			t.Errorf("%s: %s part", class, got)
		}
	}
}
