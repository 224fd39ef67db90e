package local

import (
	"bytes"
	"errors"
	"testing"

	"github.com/reprovision/reprovision/pkg/link"
)

func TestAnswers(t *testing.T) {
	tests := []struct {
		answer []byte
		want   error
	}{
		{makeAnswer(accepted), nil},
		{makeAnswer(unknownAddress), link.ErrUnreachable},
		{makeAnswer(busy), link.ErrUnreachable},
		{makeAnswer(77), errPreamble},
		{[]byte("HTTP/1"), errPreamble},
	}
	for _, tt := range tests {
		if err := readAnswer(bytes.NewReader(tt.answer)); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v; want %v", tt.answer, err, tt.want)
		}
	}
	if err := readAnswer(bytes.NewReader(makeAnswer(otherVersion))); err == nil || errors.Is(err, link.ErrUnreachable) {
		t.Errorf("another version: %v", err)
	}
}

func TestHelloOfAnotherVersion(t *testing.T) {
	hello := makeHello(link.Address{1, 2, 3, 4, 5, 6})
	hello[len(magic)] = 9
	if v, _, err := parseHello(hello); v != 9 || err != nil {
		t.Errorf("got version %d, %v", v, err)
	}
}

func FuzzParseHello(f *testing.F) {
	f.Add(makeHello(link.Address{1, 2, 3, 4, 5, 6}))
	f.Add([]byte("RPVL"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, a, err := parseHello(b)
		if err == nil && v == version && !bytes.Equal(makeHello(a), b) {
			t.Errorf("%x was read as %s", b, a)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(makeAnswer(accepted))
	f.Add(makeAnswer(unknownAddress))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := readAnswer(bytes.NewReader(b))
		if err == nil && (len(b) < answerLength || string(b[:len(magic)]) != magic || b[len(magic)+1] != 0) {
			t.Errorf("%x was taken for an acceptance", b)
		}
	})
}
