// Package config owns the settings files of the two daemons: parsing,
// defaults and validation. A setting that is unknown, of the wrong type or out
// of range is an error that names the file, the line and the key.
//
// Settings are values, read once at start. The daemons and tests import it.
package config
