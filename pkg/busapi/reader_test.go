package busapi_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

func readerValues() bustest.ReaderValues {
	card := busapi.CardInfo{State: "ok", Profile: "iso7816", Capacity: 100, Used: 3, Generation: 2, PIN: "set", PINTries: 3, CardKey: true, Classes: []string{"service-books"},
		Reader: "slot", Device: "phone", Others: []busapi.OtherCard{{Reader: "other", State: "blank", Identity: "cd", Capacity: 9}}}
	return bustest.ReaderValues{
		State: busapi.ReaderStatus{Name: "pi", Address: "00:1A:7D:DA:71:13", PairingOpen: true, PairingUntil: 9,
			Devices: []busapi.PeerInfo{{ID: "aa", Name: "phone", Paired: 3, InRange: true,
				Usage: &busapi.UsageInfo{Used: 5, Quota: 9, Blobs: 1}}}, Vaults: 1, Stored: 5, Card: card,
			DamagedBlobs: 1, Damage: []busapi.BlobDamage{{Device: "aa", Vault: "bb", Blob: "cc", Snapshots: 2, Newest: true}},
			Overdue: []busapi.OverdueInfo{{ID: "aa", Name: "phone", Every: 86400, Late: 9}}},
		Screen: busapi.DisplayInfo{State: "passcode", Address: "00:1A:7D:DA:71:13", Passcode: "123456", Lines: []string{"123 456"}},
		Card:   card,
		Report: busapi.CardReport{Card: card, Whole: true, Blobs: 3, Bytes: 77, Versions: []busapi.CardVersion{}},
		PIN:    busapi.PINInfo{PIN: "set", Tries: 2},
	}
}

func TestReaderMethods(t *testing.T) {
	bus, v := bustest.Start(t), readerValues()
	backend := &bustest.Reader{ReaderValues: v}
	bus.ServeReader(t, backend)
	c, err := busapi.DialReader(t.Context(), bus.Env, true)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	same(t, v.State)(c.Status(ctx))
	same(t, v.Screen)(c.Press(ctx))
	same(t, v.Screen)(c.Display(ctx))
	same(t, v.State.Devices)(c.Devices(ctx))
	same(t, v.Card)(c.CardStatus(ctx))
	same(t, v.Card)(c.CardInit(ctx, busapi.CardChoice{Force: true, Reader: "slot", Identity: "ab", Expect: true}))
	same(t, v.Report)(c.CardVerify(ctx))
	codes := busapi.PINCodes{PIN: "1", New: "2", PUK: "3"}
	same(t, v.PIN)(c.CardPIN(ctx))
	same(t, v.PIN)(c.CardSetPIN(ctx, codes))
	same(t, v.PIN)(c.CardChangePIN(ctx, codes))
	same(t, v.PIN)(c.CardClearPIN(ctx, codes))
	if err := c.Forget(ctx, "aa"); err != nil {
		t.Error(err)
	}
	want := []string{"Press", "Display", "Devices", "CardStatus", "CardInit {Force:true Reader:slot Identity:ab Expect:true}", "CardVerify",
		"CardPIN", "CardSetPIN {PIN:1 New:2 PUK:3}", "CardChangePIN {PIN:1 New:2 PUK:3}", "CardClearPIN {PIN:1 New:2 PUK:3}", "Forget aa"}
	if diff := cmp.Diff(want, backend.Calls()); diff != "" {
		t.Error(diff)
	}
	backend.Fail("CardVerify", fmt.Errorf("cannot read: %w", busapi.ErrCard))
	if _, err := c.CardVerify(ctx); busapi.ErrorName(err) != "Card" {
		t.Errorf("got %v", err)
	}
}

// The reader may be on another bus than the device.
func TestReaderOnAnotherBus(t *testing.T) {
	one, two := bustest.Start(t), bustest.Start(t)
	two.ServeReader(t, &bustest.Reader{ReaderValues: readerValues()})
	env := func(name string) string {
		if name == "REPROVISION_READER_BUS_ADDRESS" {
			return two.Address
		}
		return one.Env(name)
	}
	c, err := busapi.DialReader(t.Context(), env, true)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if st, err := c.Status(t.Context()); err != nil || st.Name != "pi" {
		t.Errorf("got %q, %v", st.Name, err)
	}
}
