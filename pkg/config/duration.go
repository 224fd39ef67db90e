package config

import (
	"fmt"
	"time"
)

// Duration is a span of time written as Go writes it: "750ms", "2m", "24h".
type Duration struct{ time.Duration }

// UnmarshalText reads a duration and refuses a negative one.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"750ms\", \"2m\" or \"24h\"", text)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	d.Duration = v
	return nil
}

// MarshalText writes a duration as UnmarshalText reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
