package session

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/reprovision/reprovision/pkg/session/sessionpb"
)

func TestCertificateIsMinimal(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certificate(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := len(cert.Certificate[0]); n > 250 || len(parsed.Subject.Names)+len(parsed.DNSNames)+len(parsed.Extensions) > 0 {
		t.Errorf("%d bytes, subject %v, %d extensions", n, parsed.Subject, len(parsed.Extensions))
	}
}

// TestAlertTexts pins the assumption of remoteAlert to this Go release.
func TestAlertTexts(t *testing.T) {
	for alert, text := range map[tls.AlertError]string{
		alertBadCertificate: "tls: bad certificate", alertNoApplicationProtocol: "tls: no application protocol",
	} {
		if alert.Error() != text {
			t.Errorf("alert %d is %q; want %q", uint8(alert), alert.Error(), text)
		}
	}
	local := &net.OpError{Op: "local error", Err: alertBadCertificate}
	if remoteAlert(local, alertBadCertificate) || remoteAlert(errors.New("tls: bad certificate"), alertBadCertificate) {
		t.Error("an alert of our own is taken for the reader's")
	}
}

// TestLyingReader feeds fromStatus what a reader could send to mislead.
func TestLyingReader(t *testing.T) {
	st, err := status.New(codes.Internal, "x").WithDetails(&sessionpb.Failure{Code: sessionpb.Failure_LOCKED_OUT, RetryAfterMs: 1 << 63})
	if err != nil {
		t.Fatal(err)
	}
	remote, ok := errors.AsType[*RemoteError](fromStatus(st.Err()))
	if !ok || remote.RetryAfter != maxRetryAfter {
		t.Errorf("got %v", fromStatus(st.Err()))
	}
	st, err = status.New(codes.OK+5, "x").WithDetails(&sessionpb.Failure{Code: 999})
	if err != nil {
		t.Fatal(err)
	}
	if got := fromStatus(st.Err()); !errors.Is(got, ErrProtocol) {
		t.Errorf("an unknown code became %v", got)
	}
}

// message decodes data into m, and skips what is no message at all.
func message(t *testing.T, data []byte, m proto.Message) {
	if proto.Unmarshal(data, m) != nil {
		t.Skip()
	}
}

func marshal(f *testing.F, m proto.Message) []byte {
	f.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

func FuzzReadCommit(f *testing.F) {
	f.Add(marshal(f, writeCommit(Commit{Vault: ID{1}, Snapshot: ID{2}, Seq: 3, Header: []byte("h"), Add: []ID{{4}}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m sessionpb.CommitRequest
		message(t, data, &m)
		c, err := readCommit(&m)
		if err != nil {
			return
		}
		if again, err := readCommit(writeCommit(c)); err != nil || again.Vault != c.Vault || len(again.Add) != len(c.Add) {
			t.Errorf("%v: %v", c, err)
		}
	})
}

func FuzzReadVault(f *testing.F) {
	f.Add(marshal(f, writeVault(Vault{ID: ID{1}, Owner: "phone", Slots: []Slot{{Kind: "device"}}, Head: &Snapshot{ID: ID{2}}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m sessionpb.Vault
		message(t, data, &m)
		v, err := readVault(&m)
		if err != nil {
			return
		}
		if len(v.Owner) > MaxName || len(v.Slots) > MaxSlots || len(v.Label) > MaxLabel {
			t.Errorf("limits do not hold: %+v", v)
		}
		if _, err := readVault(writeVault(v)); err != nil {
			t.Errorf("cannot read back %+v: %v", v, err)
		}
	})
}

func FuzzReadEvent(f *testing.F) {
	f.Add(marshal(f, writeEvent(Event{Kind: EventNotice, Text: "due"})))
	f.Add(marshal(f, writeEvent(Event{Kind: EventCard, Card: CardState{Status: CardFull}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m sessionpb.Event
		message(t, data, &m)
		e, _ := readEvent(&m)
		if len(e.Text) > MaxText || e.Card.Status > CardError || tame(e.Text, MaxText) != e.Text {
			t.Errorf("%+v", e)
		}
	})
}

// FuzzAssembler cuts data into pieces as the fuzzer likes: what comes out whole
// must be what was announced.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte("hello"), uint64(5), uint64(0), byte(2))
	f.Add(make([]byte, 100), uint64(1<<40), uint64(7), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, total, offset uint64, cut byte) {
		var a assembler
		at := min(int(cut), len(data))
		first := &sessionpb.BlobPiece{Id: make([]byte, 16), Total: total, Data: data[:at], Last: at == len(data)}
		b, whole, err := a.add(first)
		if err == nil && !whole {
			b, whole, err = a.add(&sessionpb.BlobPiece{Offset: offset, Data: data[at:], Last: true})
		}
		if err == nil && whole && (uint64(len(b.Data)) != total || !bytes.Equal(b.Data, data)) {
			t.Errorf("%d bytes of %d came out", len(b.Data), total)
		}
	})
}

func FuzzTame(f *testing.F) {
	f.Add("Robin's phone")
	f.Add("\x1b]0;x\x07é")
	f.Fuzz(func(t *testing.T, s string) {
		got := tame(s, MaxName)
		if len(got) > MaxName || tame(got, MaxName) != got || !proto.Equal(&sessionpb.Notice{Text: got}, reread(t, got)) {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// reread sends a text through protobuf, which refuses what is no UTF-8.
func reread(t *testing.T, s string) *sessionpb.Notice {
	data, err := proto.Marshal(&sessionpb.Notice{Text: s})
	if err != nil {
		t.Fatal(err)
	}
	var m sessionpb.Notice
	if err := proto.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}
