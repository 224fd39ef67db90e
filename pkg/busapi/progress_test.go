package busapi_test

import (
	"reflect"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/reprovision/reprovision/pkg/busapi"
	"github.com/reprovision/reprovision/pkg/busapi/bustest"
)

// TestProgressIsInProperties wants a desktop to see how far an operation is, how fast it
// goes and how long it takes, and that it has ended.
func TestProgressIsInProperties(t *testing.T) {
	bus := bustest.Start(t)
	d, _ := bus.ServeDevice(t, &bustest.Device{DeviceValues: deviceValues()})
	conn := bus.Connect(t)
	signals := make(chan *dbus.Signal, 100)
	conn.Signal(signals)
	if err := conn.AddMatchSignal(dbus.WithMatchObjectPath(busapi.DevicePath)); err != nil {
		t.Fatal(err)
	}
	v := dbus.MakeVariant
	for _, step := range []struct {
		progress busapi.Progress
		want     busapi.Dict
	}{
		{
			busapi.Progress{Operation: "backup", Done: 5, Total: 100, Rate: 10, TimeLeft: 9},
			busapi.Dict{"ProgressOperation": v("backup"), "ProgressDone": v(int64(5)), "ProgressTotal": v(int64(100)),
				"ProgressRate": v(int64(10)), "ProgressTimeLeft": v(int64(9))},
		},
		{
			busapi.Progress{},
			busapi.Dict{"ProgressOperation": v(""), "ProgressDone": v(int64(0)), "ProgressTotal": v(int64(0)),
				"ProgressRate": v(int64(0)), "ProgressTimeLeft": v(int64(-1))},
		},
	} {
		d.SetProgress(step.progress)
		s := await(t, signals, "org.freedesktop.DBus.Properties.PropertiesChanged")
		if want := []any{"org.reprovision.Device1", step.want, []string{}}; !reflect.DeepEqual(s.Body, want) {
			t.Errorf("got %v, want %v", s.Body, want)
		}
	}
}
